// `RunsDashboard(filters)` and `RunsTable(filters)`: many runs, in an output.

import type { ReactElement } from 'react';
import { useSignal } from '../components/hooks.js';
import { RunsTableModel, type TableFilters } from '../models/table.js';
import { DashboardBody, SelectionBar } from '../panels/dashboard/body.js';
import { DEFAULT_COLUMNS } from '../panels/dashboard/columns.js';
import { RunsTable } from '../panels/dashboard/table.js';
import type { IViewContext } from './context.js';
import { useOwned } from './hooks.js';

interface IRunsViewProps {
  filters: TableFilters;
  context: IViewContext;
}

function useTable({ filters, context }: IRunsViewProps): RunsTableModel | null {
  return useOwned(
    () =>
      new RunsTableModel(context.api, context.stream, {
        filters,
        sort: '-created_at',
        columns: DEFAULT_COLUMNS
      })
  );
}

/** Filters, totals and table, as in JupyterLab's dashboard. */
export function DashboardOutput(props: IRunsViewProps): ReactElement {
  const { context } = props;
  const model = useTable(props);
  return (
    <section
      className="jp-MelleaView-dashboard"
      role="region"
      aria-label={context.trans.__('Mellea runs dashboard')}
    >
      {model !== null && (
        <DashboardBody model={model} commands={context.commands} trans={context.trans} />
      )}
    </section>
  );
}

/** The table alone. */
export function TableOutput(props: IRunsViewProps): ReactElement {
  const model = useTable(props);
  const { trans } = props.context;
  return (
    <section className="jp-MelleaView-table" role="region" aria-label={trans.__('Mellea runs')}>
      {model !== null && <Rows model={model} context={props.context} />}
    </section>
  );
}

function Rows({ model, context }: { model: RunsTableModel; context: IViewContext }): ReactElement {
  const { trans } = context;
  useSignal(model.changed);
  return (
    <>
      {model.error !== null && (
        <p className="jp-MelleaView-note" role="alert">
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
      {model.waiting > 0 && (
        <button type="button" className="jp-MelleaRuns-bar" onClick={() => void model.reload()}>
          {trans._n(
            '%1 run was started since. Show it',
            '%1 runs were started since. Show them',
            model.waiting
          )}
        </button>
      )}
      {model.runs.length === 0 && !model.isLoading && model.error === null && (
        <p className="jp-MelleaView-note">{trans.__('No run passes the filter.')}</p>
      )}
      <RunsTable model={model} commands={context.commands} trans={trans} />
      <SelectionBar model={model} commands={context.commands} trans={trans} />
    </>
  );
}
