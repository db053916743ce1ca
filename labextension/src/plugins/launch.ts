// *Run with Mellea…*: from the file browser, the launcher and the palette; and its variants for
// runs that exist, *Clone configuration* and *Retry with changes…*.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { NextStep } from '../api/schema.js';
import { CommandIDs, RUN_ARGS } from '../commands.js';
import { runsIcon } from '../icons.js';
import type { Launch } from '../panels/launch/dialogs.js';
import { IMelleaRuns } from '../tokens.js';
import { runIdUnderMenu } from './run.js';

const PROGRAM = /\.(py|ipynb)$/i;

/** The launch dialog's commands. */
export const launchPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:launch',
  description: 'Starts programs as runs.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [
    ITranslator,
    IDefaultFileBrowser,
    IDocumentManager,
    IStateDB,
    ISettingRegistry,
    ICommandPalette,
    ILauncher
  ],
  activate: (
    app: JupyterFrontEnd,
    mellea: IMelleaRuns,
    translator: ITranslator | null,
    browser: IDefaultFileBrowser | null,
    documents: IDocumentManager | null,
    state: IStateDB | null,
    settings: ISettingRegistry | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    let loaded: Promise<Launch> | null = null;
    const load = (): Promise<Launch> =>
      (loaded ??= import('../panels/launch/dialogs.js').then(
        dialogs => new dialogs.Launch({ app, mellea, documents, state, settings, trans })
      ));
    const { commands } = app;

    commands.addCommand(CommandIDs.launch, {
      label: trans.__('Run with Mellea…'),
      caption: trans.__('Run a program as a managed run'),
      icon: args => (args['isPalette'] ? undefined : runsIcon),
      describedBy: {
        args: {
          type: 'object',
          properties: { path: { type: 'string', description: 'Program, relative to the root' } }
        }
      },
      execute: async args => {
        const given = args['path'];
        const path =
          typeof given === 'string'
            ? given
            : selectedProgram(browser) || openProgram(app, documents);
        await (await load()).program(path);
      }
    });
    for (const [id, label, act] of [
      [CommandIDs.cloneRun, trans.__('Clone configuration…'), 'clone'],
      [CommandIDs.retryEdited, trans.__('Retry with changes…'), 'retry']
    ] as const) {
      commands.addCommand(id, {
        label,
        describedBy: { args: RUN_ARGS },
        execute: async args => {
          const runId = args['runId'] ?? runIdUnderMenu(app);
          if (typeof runId === 'string') {
            await (await load())[act](runId, args['step'] as NextStep | undefined);
          }
        }
      });
    }
    palette?.addItem({
      command: CommandIDs.launch,
      category: trans.__('Mellea'),
      args: { isPalette: true }
    });
    launcher?.add({ command: CommandIDs.launch, category: trans.__('Mellea'), rank: 1 });
  }
};

/** The program that is selected in the file browser; empty when it is none. */
function selectedProgram(browser: IDefaultFileBrowser | null): string {
  for (const item of browser?.selectedItems() ?? []) {
    if (PROGRAM.test(item.path)) {
      return item.path.replace(/^[^:/]*:/, ''); // without the drive
    }
  }
  return '';
}

/** The program that is in front; empty when it is none. */
function openProgram(app: JupyterFrontEnd, documents: IDocumentManager | null): string {
  const { currentWidget } = app.shell;
  const path = currentWidget ? documents?.contextForWidget(currentWidget)?.localPath : undefined;
  return path !== undefined && PROGRAM.test(path) ? path : '';
}
