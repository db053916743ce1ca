// Where a run's money went, and its memory, processor time and cost over time. Loaded when the
// Metrics tab is first opened.

import '../../../style/charts.css';

import { useEffect, useState, type PointerEvent, type ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { Run, RunMetrics, UsagePoint } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import {
  formatDuration,
  formatMoney,
  formatNumber,
  formatPercent,
  type ITranslation
} from '../../format.js';
import { isTerminal } from '../../models/statuses.js';
import { coresOf, costOf, memoryOf, nearest, pathOf, type ISeries } from './series.js';

const REFRESH_MS = 2000;
const WIDTH = 300; // of the drawing; it is as wide as its place
const HEIGHT = 64;

interface IChartsProps {
  run: Run;
  api: Pick<LabApi, 'getUsage'>;
  trans: ITranslation;
}

/** All charts of a run; they go on while it runs. */
export function Charts({ run, api, trans }: IChartsProps): ReactElement {
  const { points, error } = useUsage(run, api);
  return (
    <>
      <CostSplit metrics={run.metrics} trans={trans} />
      {error !== '' && (
        <p className="jp-MelleaRun-meaning" role="alert">
          {error}
        </p>
      )}
      {points !== null && points.length < 2 && (
        <p className="jp-MelleaRun-meaning">
          {isTerminal(run)
            ? trans.__('The run was too short for charts over time.')
            : trans.__('Charts over time appear when it has run for a moment.')}
        </p>
      )}
      {points !== null && points.length >= 2 && (
        <div className="jp-MelleaCharts">
          <Chart
            title={trans.__('Memory')}
            series={memoryOf(points)}
            text={value => trans.__('%1 MB', formatNumber(value))}
            trans={trans}
          />
          <Chart
            title={trans.__('CPU')}
            series={coresOf(points)}
            text={value => trans.__('%1 cores', (Math.round(value * 100) / 100).toString())}
            trans={trans}
          />
          <Chart
            title={trans.__('Cost')}
            series={costOf(points)}
            text={formatMoney}
            trans={trans}
          />
        </div>
      )}
    </>
  );
}

function useUsage(
  run: Run,
  api: Pick<LabApi, 'getUsage'>
): { points: readonly UsagePoint[] | null; error: string } {
  const [points, setPoints] = useState<readonly UsagePoint[] | null>(null);
  const [error, setError] = useState('');
  const hasEnded = isTerminal(run);
  useEffect(() => {
    const reading = new AbortController();
    const read = (): void => {
      if (document.hidden && !hasEnded) {
        return;
      }
      api.getUsage(run.id, { signal: reading.signal, isBackground: true }).then(
        series => {
          setPoints(series.points);
          setError('');
        },
        (failure: Error) => !reading.signal.aborted && setError(describeError(failure))
      );
    };
    read();
    const timer = hasEnded ? null : window.setInterval(read, REFRESH_MS);
    return () => {
      reading.abort();
      if (timer !== null) {
        window.clearInterval(timer);
      }
    };
  }, [api, run.id, hasEnded]);
  return { points, error };
}

/** Useful, repair, judge and wasted as parts of the whole cost; nothing where there is none. */
function CostSplit(props: { metrics: RunMetrics; trans: ITranslation }): ReactElement | null {
  const { metrics, trans } = props;
  const whole = metrics.estimated_cost_usd ?? 0;
  if (whole <= 0 || metrics.useful_cost_usd === null) {
    return null;
  }
  const parts = [
    { id: 'useful', label: trans.__('useful'), usd: metrics.useful_cost_usd },
    { id: 'repair', label: trans.__('repair'), usd: metrics.repair_cost_usd ?? 0 },
    { id: 'judge', label: trans.__('judge'), usd: metrics.judge_cost_usd ?? 0 },
    { id: 'wasted', label: trans.__('wasted'), usd: metrics.wasted_cost_usd ?? 0 }
  ].filter(part => part.usd > 0);
  return (
    <section className="jp-MelleaSplit" aria-label={trans.__('Where the money went')}>
      <h3>{trans.__('Where the money went')}</h3>
      <div className="jp-MelleaSplit-bar" aria-hidden="true">
        {parts.map(({ id, usd }) => (
          <span key={id} className={`jp-mod-${id}`} style={{ flexGrow: usd / whole }} />
        ))}
      </div>
      <ul>
        {parts.map(({ id, label, usd }) => (
          <li key={id}>
            <span className={`jp-MelleaSplit-sign jp-mod-${id}`} /> {label} {formatMoney(usd)} ·{' '}
            {formatPercent(Math.round((usd / whole) * 100) / 100)}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Chart(props: {
  title: string;
  series: ISeries | null;
  text: (value: number) => string;
  trans: ITranslation;
}): ReactElement {
  const { title, series, text, trans } = props;
  const [at, setAt] = useState<number | null>(null);
  if (series === null) {
    return (
      <figure>
        <figcaption>{title}</figcaption>
        <p className="jp-MelleaRun-meaning">{trans.__('No call has a price.')}</p>
      </figure>
    );
  }
  const whole = series.seconds.at(-1) ?? 0;
  const path = pathOf(series, WIDTH, HEIGHT);
  const look = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    setAt(nearest(series, (event.clientX - box.left) / box.width));
  };
  const seconds = at === null ? undefined : series.seconds[at];
  const value = at === null ? undefined : series.values[at];
  return (
    <figure>
      <figcaption>
        {title}{' '}
        <span className="jp-MelleaRun-meaning">
          {value === undefined || seconds === undefined
            ? trans.__('highest %1, last %2', text(series.highest), text(series.last))
            : trans.__('%1 after %2', text(value), formatDuration(seconds * 1000))}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={trans.__(
          '%1 over %2: highest %3, last %4',
          title,
          formatDuration(whole * 1000),
          text(series.highest),
          text(series.last)
        )}
        onPointerMove={look}
        onPointerLeave={() => setAt(null)}
      >
        <path className="jp-MelleaCharts-area" d={`${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
        <path className="jp-MelleaCharts-line" d={path} />
        {seconds !== undefined && (
          <line
            className="jp-MelleaCharts-mark"
            x1={(seconds / (whole || 1)) * WIDTH}
            x2={(seconds / (whole || 1)) * WIDTH}
            y1={0}
            y2={HEIGHT}
          />
        )}
      </svg>
      <span className="jp-MelleaCharts-scale" aria-hidden="true">
        <span>0</span>
        <span>{formatDuration(whole * 1000)}</span>
      </span>
    </figure>
  );
}
