// `cost_summary(by, last)`: what runs cost, by model, program or day, with what is not in it.

import { useCallback, useEffect, useState, type ReactElement } from 'react';
import type { RunsApi } from '../api/rest.js';
import type { RunSummary, SummaryReply } from '../api/schema.js';
import { formatDuration, formatMoney, formatNumber, type ITranslation } from '../format.js';
import { missingPrices, missingUsage } from '../panels/dashboard/summary.js';
import type { IViewContext } from './context.js';
import type { TableFilters } from '../models/table.js';
import type { CostGroup } from './spec.js';

const REFRESH_MS = 30_000;
const NAMED_ASSETS = 50;

interface ICostProps {
  by: CostGroup;
  lastSeconds: number | null;
  filters?: TableFilters;
  context: Pick<IViewContext, 'api' | 'stream' | 'trans'>;
}

interface IRow {
  key: string;
  label: string;
  summary: RunSummary;
}

/** The summary; read again when runs have changed. */
export function CostView({ by, lastSeconds, filters, context }: ICostProps): ReactElement {
  const { api, stream, trans } = context;
  const [found, setFound] = useState<{ total: SummaryReply; rows: IRow[] } | null>(null);
  const [failure, setFailure] = useState('');
  const load = useCallback(async () => {
    try {
      const total = await api.summarize({
        ...filters,
        group_by: by,
        utc_offset_minutes: -new Date().getTimezoneOffset(),
        ...(lastSeconds !== null && {
          started_after: new Date(Date.now() - lastSeconds * 1000).toISOString()
        })
      });
      setFound({ total, rows: await rowsOf(total, by, api, trans) });
      setFailure('');
    } catch (error) {
      setFailure((error as Error).message);
    }
  }, [api, by, filters, lastSeconds, trans]);
  useEffect(() => {
    let timer: number | null = null;
    void load();
    const stop = stream.subscribe('runs', {
      onRun: () => {
        timer ??= window.setTimeout(() => {
          timer = null;
          void load();
        }, REFRESH_MS);
      }
    });
    return () => {
      stop();
      if (timer !== null) {
        window.clearTimeout(timer);
      }
    };
  }, [load, stream]);
  return (
    <section className="jp-MelleaCost" role="region" aria-label={trans.__('Cost of Mellea runs')}>
      <h3>{titleText(by, lastSeconds, trans)}</h3>
      {failure !== '' && (
        <p className="jp-MelleaView-note" role="alert">
          {failure}{' '}
          <button type="button" className="jp-MelleaButton jp-mod-link" onClick={() => void load()}>
            {trans.__('Try again')}
          </button>
        </p>
      )}
      {found === null && failure === '' && (
        <p className="jp-MelleaView-note">{trans.__('Loading…')}</p>
      )}
      {found !== null && <CostTable {...found} by={by} trans={trans} />}
    </section>
  );
}

function titleText(by: CostGroup, lastSeconds: number | null, trans: ITranslation): string {
  const name = {
    model: trans.__('Cost by model'),
    asset: trans.__('Cost by program'),
    owner: trans.__('Cost by owner'),
    day: trans.__('Cost by day')
  }[by];
  if (lastSeconds === null) {
    return name;
  }
  const days = lastSeconds / 86_400;
  const span = Number.isInteger(days)
    ? trans._n('last day', 'last %1 days', days)
    : trans.__('last %1', formatDuration(lastSeconds * 1000));
  return `${name} · ${span}`;
}

async function rowsOf(
  total: SummaryReply,
  by: CostGroup,
  api: RunsApi,
  trans: ITranslation
): Promise<IRow[]> {
  const rows = total.groups.map(({ key, summary }) => ({
    key,
    label: key || trans.__('(none)'),
    summary
  }));
  if (by === 'day') {
    return rows;
  }
  rows.sort((a, b) => b.summary.total_cost_usd - a.summary.total_cost_usd);
  if (by === 'asset') {
    await Promise.all(
      rows.slice(0, NAMED_ASSETS).map(async row => {
        try {
          row.label = (await api.getAsset(row.key)).name || row.key;
        } catch {
          // the id is a name, too
        }
      })
    );
  }
  return rows;
}

function CostTable(props: {
  total: SummaryReply;
  rows: readonly IRow[];
  by: CostGroup;
  trans: ITranslation;
}): ReactElement {
  const { total, rows, by, trans } = props;
  const most = Math.max(...rows.map(row => row.summary.total_cost_usd), Number.MIN_VALUE);
  if (rows.length === 0) {
    return <p className="jp-MelleaView-note">{trans.__('No runs in this time.')}</p>;
  }
  const group = {
    model: trans.__('Model'),
    asset: trans.__('Program'),
    owner: trans.__('Owner'),
    day: trans.__('Day')
  }[by];
  return (
    <table className="jp-MelleaTable">
      <thead>
        <tr>
          <th scope="col">{group}</th>
          {[trans.__('Runs'), trans.__('Calls'), trans.__('Tokens'), trans.__('Cost')].map(name => (
            <th key={name} scope="col" className="jp-mod-number">
              {name}
            </th>
          ))}
          <td />
        </tr>
      </thead>
      <tbody>
        {rows.map(row => (
          <tr key={row.key}>
            <th scope="row">{row.label}</th>
            <Figures summary={row.summary} trans={trans} />
            <td className="jp-MelleaCost-share">
              {row.summary.total_cost_usd > 0 && (
                <span
                  className="jp-MelleaCost-bar"
                  style={{ width: `${(row.summary.total_cost_usd / most) * 100}%` }}
                />
              )}
              <Missing summary={row.summary} trans={trans} />
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{trans.__('Total')}</th>
          <Figures summary={total} trans={trans} />
          <td>
            <Missing summary={total} trans={trans} />
          </td>
        </tr>
      </tfoot>
    </table>
  );
}

function Figures({ summary, trans }: { summary: RunSummary; trans: ITranslation }): ReactElement {
  return (
    <>
      <td className="jp-mod-number">{formatNumber(summary.total_runs)}</td>
      <td className="jp-mod-number">{formatNumber(summary.llm_calls)}</td>
      <td className="jp-mod-number">{formatNumber(summary.total_tokens)}</td>
      <td className="jp-mod-number">{costText(summary, trans)}</td>
    </>
  );
}

/** `$0.42`, `≥ $0.42` with calls of no known price, `unpriced` where there is nothing else. */
function costText(summary: RunSummary, trans: ITranslation): string {
  if (summary.unpriced_calls === 0) {
    return formatMoney(summary.total_cost_usd);
  }
  return summary.total_cost_usd === 0
    ? trans.__('unpriced')
    : `≥ ${formatMoney(summary.total_cost_usd)}`;
}

function Missing(props: { summary: RunSummary; trans: ITranslation }): ReactElement | null {
  const { summary, trans } = props;
  const notes = [missingPrices(summary, trans), missingUsage(summary, trans)].filter(Boolean);
  return notes.length === 0 ? null : <small>{notes.join(', ')}</small>;
}
