// Totals of all runs of the filter (spec.md §5.7.2), and how they spread over the days.

import type { ReactElement } from 'react';
import type { RunSummary, SummaryReply } from '../../api/schema.js';
import {
  formatDuration,
  formatMoney,
  formatNumber,
  formatPercent,
  type ITranslation
} from '../../format.js';
import { daysOf, type IDay, type ISums } from './days.js';

const GOOD_RATE = 0.9;
const MOST_BARS = 60;

/** The cards and charts; `null` totals are being loaded. */
export function SummaryCards(props: {
  summary: SummaryReply | null;
  trans: ITranslation;
}): ReactElement {
  const { summary, trans } = props;
  const rate = summary?.success_rate ?? null;
  const average = summary?.average_duration_ms ?? null;
  const days = daysOf(summary?.groups ?? [], MOST_BARS);
  return (
    <div className="jp-MelleaDashboard-summary">
      <dl>
        <Card label={trans.__('Total runs')} value={summary && formatNumber(summary.total_runs)} />
        <Card
          label={trans.__('Success rate')}
          value={rate === null ? '–' : formatPercent(rate)}
          modifier={rate === null ? '' : rate > GOOD_RATE ? 'jp-mod-good' : 'jp-mod-poor'}
        />
        <Card
          label={trans.__('Total tokens')}
          value={summary && formatNumber(summary.total_tokens)}
          note={summary ? missingUsage(summary, trans) : ''}
        />
        <Card
          label={trans.__('Total cost')}
          value={summary && totalCost(summary)}
          note={summary ? missingPrices(summary, trans) : ''}
        />
        <Card
          label={trans.__('Average duration')}
          value={average === null ? '–' : formatDuration(average)}
        />
      </dl>
      {days.length > 1 && (
        <div className="jp-MelleaDashboard-charts">
          <DayChart
            title={trans.__('Runs per day')}
            days={days}
            value={day => day.runs}
            text={formatNumber}
          />
          <DayChart
            title={trans.__('Cost per day')}
            days={days}
            value={day => day.cost}
            text={formatMoney}
            note={day => missingPrices(day, trans)}
          />
          <DayChart
            title={trans.__('Success rate per day')}
            days={days}
            value={day => (day.ended === 0 ? null : day.succeeded / day.ended)}
            text={formatPercent}
            top={1}
          />
        </div>
      )}
    </div>
  );
}

/** Calls that are not in a cost; empty for none. */
export function missingPrices(sums: Pick<ISums, 'unpriced_calls'>, trans: ITranslation): string {
  const count = sums.unpriced_calls;
  return count === 0
    ? ''
    : trans._n('%2 call unpriced', '%2 calls unpriced', count, formatNumber(count));
}

/** Calls that are not in a number of tokens; empty for none. */
export function missingUsage(summary: RunSummary, trans: ITranslation): string {
  const count = summary.calls_without_usage;
  return count === 0
    ? ''
    : trans._n('%2 call without usage', '%2 calls without usage', count, formatNumber(count));
}

function totalCost(summary: RunSummary): string {
  const cost = formatMoney(summary.total_cost_usd);
  return summary.unpriced_calls > 0 ? `≥ ${cost}` : cost;
}

function Card(props: {
  label: string;
  value: string | null;
  note?: string;
  modifier?: string;
}): ReactElement {
  return (
    <div className={`jp-MelleaDashboard-card ${props.modifier ?? ''}`}>
      <dt>{props.label}</dt>
      <dd>
        {props.value ?? '…'}
        {props.note && <small>{props.note}</small>}
      </dd>
    </div>
  );
}

const CHART = { width: 180, height: 48 };

/** Bars, one a day; read out as a sentence a day. A day without a value has no bar. */
function DayChart(props: {
  title: string;
  days: readonly IDay[];
  value: (day: ISums) => number | null;
  text: (value: number) => string;
  note?: (day: ISums) => string;
  top?: number;
}): ReactElement {
  const values = props.days.map(({ sums }) => sums && props.value(sums));
  const top = props.top ?? Math.max(...values.map(value => value ?? 0), Number.MIN_VALUE);
  const step = CHART.width / values.length;
  const texts = props.days.map(({ key, last, sums }, index) => {
    const value = values[index] ?? null;
    const note = sums && props.note?.(sums);
    const when = key === last ? key : `${key} – ${last}`;
    return `${when}: ${value === null ? '–' : props.text(value)}${note ? `, ${note}` : ''}`;
  });
  return (
    <figure className="jp-MelleaChart">
      <figcaption>{props.title}</figcaption>
      <svg
        role="img"
        aria-label={`${props.title}: ${texts.join(', ')}`}
        viewBox={`0 0 ${CHART.width} ${CHART.height}`}
        preserveAspectRatio="none"
      >
        {values.map((value, index) => {
          const height = value === null ? 0 : Math.max(1, (value / top) * CHART.height);
          return (
            <g key={texts[index]}>
              <title>{texts[index]}</title>
              <rect
                className="jp-mod-day"
                x={index * step}
                y={0}
                width={step}
                height={CHART.height}
              />
              <rect
                x={index * step + step * 0.1}
                y={CHART.height - height}
                width={step * 0.8}
                height={height}
              />
            </g>
          );
        })}
      </svg>
      <p className="jp-MelleaChart-ends" aria-hidden="true">
        <span>{props.days[0]?.key.slice(5)}</span>
        <span>{props.days.at(-1)?.last.slice(5)}</span>
      </p>
    </figure>
  );
}
