// The dashboard: one tab, its filter, order and columns kept in the layout.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, WidgetTracker, type MainAreaWidget } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { JSONObject } from '@lumino/coreutils';
import { CommandIDs } from '../commands.js';
import { runsIcon } from '../icons.js';
import { RunsTableModel, type ITableState, type TableFilters } from '../models/table.js';
import { DEFAULT_COLUMNS } from '../panels/dashboard/columns.js';
import { DashboardPanel } from '../panels/dashboard/index.js';
import { IMelleaRuns } from '../tokens.js';
import { labUrl, showTab } from './tabs.js';

const PARAMETER = 'mellea-dashboard';
const FAILURE_PARAMETER = 'mellea-failure';

/** The table of all runs. */
export const dashboardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:dashboard',
  description: 'All runs as a table with filters and totals.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette, ILauncher],
  activate: (
    app: JupyterFrontEnd,
    { api, stream }: IMelleaRuns,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const tracker = new WidgetTracker<MainAreaWidget<DashboardPanel>>({
      namespace: 'mellea-dashboard'
    });
    const { commands, shell } = app;
    commands.addCommand(CommandIDs.openDashboard, {
      label: trans.__('Mellea dashboard'),
      caption: trans.__('All runs as a table with filters and totals'),
      icon: runsIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            filters: { type: 'object', description: 'Fields of the list filters' },
            sort: { type: 'string', description: 'Column, - for descending' },
            columns: { type: 'array', items: { type: 'string' } }
          }
        }
      },
      execute: args => {
        const known = tracker.currentWidget;
        if (known) {
          if (args['filters'] !== undefined) {
            known.content.model.update({ filters: args['filters'] as TableFilters });
          }
          shell.activateById(known.id);
          return;
        }
        const model = new RunsTableModel(api, stream, stateOf(args as Partial<ITableState>));
        const widget = showTab(shell, {
          content: new DashboardPanel(model, commands, stream, trans),
          id: 'mellea-dashboard-tab',
          type: 'Mellea dashboard',
          url: labUrl(PARAMETER)
        });
        if (widget === null) {
          return;
        }
        let kept = model.state;
        model.changed.connect(() => {
          if (model.state !== kept) {
            kept = model.state;
            void tracker.save(widget);
          }
        });
        void tracker.add(widget);
      }
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.openDashboard,
      args: widget => widget.content.model.state as unknown as JSONObject,
      name: () => 'dashboard'
    });
    palette?.addItem({ command: CommandIDs.openDashboard, category: trans.__('Mellea') });
    launcher?.add({ command: CommandIDs.openDashboard, category: trans.__('Mellea'), rank: 2 });
    const asked = new URLSearchParams(window.location.search);
    if (asked.has(PARAMETER)) {
      const fingerprint = asked.getAll(FAILURE_PARAMETER);
      const args = fingerprint.length > 0 ? { filters: { fingerprint } } : {};
      void app.restored.then(() => commands.execute(CommandIDs.openDashboard, args));
    }
  }
};

function stateOf(args: Partial<ITableState>): ITableState {
  return {
    filters: args.filters ?? {},
    sort: args.sort ?? '-created_at',
    columns: args.columns ?? DEFAULT_COLUMNS
  };
}
