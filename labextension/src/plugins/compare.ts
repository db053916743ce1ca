// Comparisons: a tab for the runs that are chosen, restored with the layout.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification, WidgetTracker, type MainAreaWidget } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs, RUNS_ARGS, runIdsOf } from '../commands.js';
import { ComparePanel } from '../panels/compare/index.js';
import { CompareModel } from '../panels/compare/model.js';
import { LEAST_COMPARED, MOST_COMPARED } from '../panels/compare/rows.js';
import { IMelleaRuns } from '../tokens.js';
import { labUrl, showTab } from './tabs.js';

const PARAMETER = 'mellea-compare';

/** Runs side by side. */
export const comparePlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:compare',
  description: 'Two to ten runs side by side.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    { api, stream }: IMelleaRuns,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const tracker = new WidgetTracker<MainAreaWidget<ComparePanel>>({
      namespace: 'mellea-compare'
    });
    const { commands, shell } = app;
    commands.addCommand(CommandIDs.compareRuns, {
      label: trans.__('Compare runs'),
      caption: trans.__('Configuration and metrics of two to ten runs side by side'),
      describedBy: { args: RUNS_ARGS },
      execute: args => {
        const runIds = [...new Set(runIdsOf(args))];
        if (runIds.length < LEAST_COMPARED || runIds.length > MOST_COMPARED) {
          Notification.warning(trans.__('Choose two to ten runs to compare.'), { autoClose: 6000 });
          return;
        }
        const id = `mellea-compare-${runIds.join('-')}`;
        const known = tracker.find(widget => widget.id === id);
        if (known) {
          shell.activateById(known.id);
          return;
        }
        const model = new CompareModel(runIds, api, stream);
        const widget = showTab(shell, {
          content: new ComparePanel(model, commands, trans),
          id,
          type: 'Mellea comparison',
          url: labUrl(`${PARAMETER}=${runIds.join(',')}`)
        });
        if (widget) {
          void tracker.add(widget);
        }
      }
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.compareRuns,
      args: widget => ({ runIds: [...widget.content.model.runIds] }),
      name: widget => widget.id
    });
    const asked = new URLSearchParams(window.location.search).get(PARAMETER);
    if (asked) {
      const runIds = asked.split(',');
      void app.restored.then(() => commands.execute(CommandIDs.compareRuns, { runIds }));
    }
  }
};
