// Runs side by side: a column a run, the rows that differ first.

import type { CommandRegistry } from '@lumino/commands';
import { useState, type ReactElement } from 'react';
import { CommandIDs } from '../../commands.js';
import { useSignal } from '../../components/hooks.js';
import { StatusIcon } from '../../components/status.js';
import type { ITranslation } from '../../format.js';
import { runTitle } from '../../models/statuses.js';
import type { CompareModel } from './model.js';
import { compareRuns } from './rows.js';

interface ICompareProps {
  model: CompareModel;
  commands: CommandRegistry;
  trans: ITranslation;
}

/** Everything in the tab. */
export function CompareBody({ model, commands, trans }: ICompareProps): ReactElement {
  useSignal(model.changed);
  const [isBrief, setBrief] = useState(false);
  const { runs, missing } = model;
  if (runs.length === 0) {
    return (
      <p className="jp-MelleaRun-message" role={missing.length > 0 ? 'alert' : undefined}>
        {missing.length > 0 ? trans.__('None of these runs can be read.') : trans.__('Loading…')}
      </p>
    );
  }
  const groups = compareRuns(runs, trans)
    .map(({ title, rows }) => ({ title, rows: rows.filter(row => !isBrief || row.isDifferent) }))
    .filter(group => group.rows.length > 0);
  return (
    <div className="jp-MelleaCompare">
      <div className="jp-MelleaCompare-bar">
        <label>
          <input
            type="checkbox"
            checked={isBrief}
            onChange={event => setBrief(event.target.checked)}
          />
          {trans.__('Only differences')}
        </label>
        {missing.length > 0 && (
          <span role="alert">
            {trans.__('Not to be read: %1', missing.map(runId => runId.slice(0, 6)).join(', '))}
          </span>
        )}
      </div>
      <div className="jp-MelleaCompare-scroll">
        <table className="jp-MelleaTable" aria-label={trans.__('Compared runs')}>
          <thead>
            <tr>
              <td />
              {runs.map(run => (
                <th key={run.id} scope="col">
                  <StatusIcon run={run} trans={trans} />{' '}
                  <button
                    type="button"
                    className="jp-MelleaTable-open"
                    title={runTitle(run)}
                    onClick={() => void commands.execute(CommandIDs.openRun, { runId: run.id })}
                  >
                    {runTitle(run)} · {run.id.slice(0, 6)}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          {groups.map(group => (
            <tbody key={group.title}>
              <tr className="jp-MelleaCompare-group">
                <th colSpan={runs.length + 1} scope="rowgroup">
                  {group.title}
                </th>
              </tr>
              {group.rows.map(row => (
                <tr key={row.label} className={row.isDifferent ? 'jp-mod-different' : undefined}>
                  <th scope="row">{row.label}</th>
                  {row.values.map((value, at) => (
                    <td
                      key={runs[at]?.id}
                      className={row.isNumber ? 'jp-mod-number' : undefined}
                      title={value.length > 40 ? value : undefined}
                    >
                      {value}
                      {row.changes[at] && <small>{row.changes[at]}</small>}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          ))}
        </table>
        {groups.length === 0 && <p>{trans.__('Nothing differs.')}</p>}
      </div>
    </div>
  );
}
