// Comparisons: a tab for the runs that are chosen, restored with the layout.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification, WidgetTracker, type MainAreaWidget } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs, RUNS_ARGS } from '../commands.js';
import { parseCompared, type Compared } from '../models/comparison.js';
import { ComparePanel } from '../panels/compare/index.js';
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
      describedBy: {
        args: {
          type: 'object',
          properties: {
            ...RUNS_ARGS.properties,
            groupId: { type: 'string', description: 'Or a group' }
          }
        }
      },
      execute: args => {
        const compared = parseCompared({ run_ids: args['runIds'], group_id: args['groupId'] });
        if (compared === null) {
          Notification.warning(trans.__('Choose two to ten runs to compare.'), { autoClose: 6000 });
          return;
        }
        const id = `mellea-compare-${keyOf(compared)}`;
        const known = tracker.find(widget => widget.id === id);
        if (known) {
          shell.activateById(known.id);
          return;
        }
        const widget = showTab(shell, {
          content: new ComparePanel(compared, { api, stream, commands, trans }),
          id,
          type: 'Mellea comparison',
          url: labUrl(`${PARAMETER}=${keyOf(compared)}`)
        });
        if (widget) {
          void tracker.add(widget);
        }
      }
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.compareRuns,
      args: widget => argsOf(keyOf(widget.content.compared)),
      name: widget => widget.id
    });
    const asked = new URLSearchParams(window.location.search).get(PARAMETER);
    if (asked) {
      void app.restored.then(() => commands.execute(CommandIDs.compareRuns, argsOf(asked)));
    }
  }
};

/** What is compared, as a part of an address or of a tab's name. */
function keyOf(compared: Compared): string {
  return 'group_id' in compared ? compared.group_id : compared.run_ids.join(',');
}

function argsOf(key: string): { groupId: string } | { runIds: string[] } {
  return key.startsWith('grp_') ? { groupId: key } : { runIds: key.split(',') };
}
