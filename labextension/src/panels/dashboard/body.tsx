// The dashboard's content: filters, totals, table, and what can be done with the chosen runs.

import type { ReactElement, ReactNode } from 'react';
import { CommandIDs, type ICommands } from '../../commands.js';
import { useSignal } from '../../components/hooks.js';
import { formatNumber, type ITranslation } from '../../format.js';
import { LEAST_COMPARED, MOST_COMPARED } from '../../models/comparison.js';
import { canCancel, isOwn, isTerminal } from '../../models/statuses.js';
import type { RunsTableModel } from '../../models/table.js';
import { FilterBar } from './filters.js';
import { SummaryCards } from './summary.js';
import { RunsTable } from './table.js';

interface IDashboardProps {
  model: RunsTableModel;
  commands: ICommands;
  trans: ITranslation;
  /** What stands below the totals. */
  children?: ReactNode;
}

/** Everything in the tab. */
export function DashboardBody(props: IDashboardProps): ReactElement {
  const { model, trans } = props;
  useSignal(model.changed);
  return (
    <div className="jp-MelleaDashboard">
      <FilterBar model={model} trans={trans} />
      <SummaryCards summary={model.summary} trans={trans} />
      {props.children}
      {model.waiting > 0 && (
        <button type="button" className="jp-MelleaRuns-bar" onClick={() => void model.reload()}>
          {trans._n(
            '%2 run was started since. Show it',
            '%2 runs were started since. Show them',
            model.waiting,
            formatNumber(model.waiting)
          )}
        </button>
      )}
      {model.error !== null && (
        <p className="jp-MelleaRuns-bar jp-mod-error" role="alert">
          {model.error.message}{' '}
          <button
            type="button"
            className="jp-MelleaButton jp-mod-link"
            onClick={() => void model.reload()}
          >
            {trans.__('Try again')}
          </button>
        </p>
      )}
      {model.runs.length === 0 && !model.isLoading && model.error === null && (
        <NothingFound model={model} trans={trans} />
      )}
      <RunsTable {...props} />
      <SelectionBar {...props} />
    </div>
  );
}

function NothingFound(props: { model: RunsTableModel; trans: ITranslation }): ReactElement {
  const { model, trans } = props;
  const names: Record<string, string> = {
    status: trans.__('status'),
    owner_id: trans.__('owner'),
    asset_id: trans.__('asset'),
    model: trans.__('model'),
    tags: trans.__('tags'),
    group_id: trans.__('group'),
    started_after: trans.__('from'),
    started_before: trans.__('before'),
    search: trans.__('search')
  };
  const used = Object.keys(model.state.filters);
  return (
    <div className="jp-MelleaRuns-empty">
      {used.length === 0 ? (
        <p>{trans.__('No runs yet.')}</p>
      ) : (
        <>
          <p>{trans.__('No run passes the filter. Drop one:')}</p>
          {used.map(name => (
            <button
              key={name}
              type="button"
              className="jp-MelleaButton"
              onClick={() => {
                const { [name as keyof typeof model.state.filters]: _dropped, ...rest } =
                  model.state.filters;
                model.update({ filters: rest });
              }}
            >
              {names[name]}
            </button>
          ))}
        </>
      )}
    </div>
  );
}

/** What can be done with the chosen runs; nothing while none is chosen. */
export function SelectionBar({ model, commands, trans }: IDashboardProps): ReactElement | null {
  const chosen = model.selection;
  if (chosen.size === 0) {
    return null;
  }
  const runs = model.runs.filter(run => chosen.has(run.id));
  const active = runs.filter(canCancel).map(run => run.id);
  const ended = runs.filter(run => isTerminal(run) && isOwn(run)).map(run => run.id);
  return (
    <div
      className="jp-MelleaDashboard-selection"
      role="toolbar"
      aria-label={trans.__('Selected runs')}
    >
      <span role="status">{trans.__('%1 selected', formatNumber(chosen.size))}</span>
      <button
        type="button"
        className="jp-MelleaButton jp-mod-warn"
        disabled={active.length === 0}
        onClick={() => void commands.execute(CommandIDs.cancelRuns, { runIds: active })}
      >
        {trans.__('Cancel')}
      </button>
      {commands.hasCommand(CommandIDs.compareRuns) && (
        <button
          type="button"
          className="jp-MelleaButton"
          disabled={chosen.size < LEAST_COMPARED || chosen.size > MOST_COMPARED}
          title={trans.__('Two to ten runs side by side')}
          onClick={() => void commands.execute(CommandIDs.compareRuns, { runIds: [...chosen] })}
        >
          {trans.__('Compare')}
        </button>
      )}
      {commands.hasCommand(CommandIDs.deleteRuns) && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-warn"
          disabled={ended.length === 0}
          onClick={() => void commands.execute(CommandIDs.deleteRuns, { runIds: ended })}
        >
          {trans.__('Delete')}
        </button>
      )}
      <button
        type="button"
        className="jp-MelleaButton jp-mod-link"
        onClick={() => model.select([...chosen], false)}
      >
        {trans.__('Clear selection')}
      </button>
    </div>
  );
}
