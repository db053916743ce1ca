// The sidebar in the left area.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../commands.js';
import { runsIcon } from '../icons.js';
import { RunsSidebar } from '../panels/sidebar/index.js';
import { IMelleaRuns } from '../tokens.js';

/** Active and recent runs. */
export const sidebarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:sidebar',
  description: 'The user’s active and recent runs in the left area.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    mellea: IMelleaRuns,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const sidebar = new RunsSidebar(mellea.runs, app.commands, trans);
    app.shell.add(sidebar, 'left', { rank: 300, type: 'Mellea runs' });
    restorer?.add(sidebar, 'mellea-runs');
    app.commands.addCommand(CommandIDs.showSidebar, {
      label: trans.__('Show Mellea runs'),
      caption: trans.__('Show the list of runs'),
      icon: runsIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => app.shell.activateById(sidebar.id)
    });
    palette?.addItem({ command: CommandIDs.showSidebar, category: trans.__('Mellea') });
  }
};
