// The quickstart: a notebook of a few cells that run as they are, in the user's own folder.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../commands.js';
import { quickstartNotebook } from '../quickstart.js';

const PATH = 'mellea-quickstart.ipynb';

/** Opens the quickstart; the first time it is written. */
export const quickstartPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:quickstart',
  description: 'A notebook to begin with.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const { contents } = app.serviceManager;
    app.commands.addCommand(CommandIDs.openQuickstart, {
      label: trans.__('Mellea quickstart'),
      caption: trans.__('Open a notebook that starts a run'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        try {
          if (!(await exists())) {
            await contents.save(PATH, {
              type: 'notebook',
              format: 'json',
              content: quickstartNotebook()
            });
          }
          await app.commands.execute('docmanager:open', { path: PATH });
        } catch (error) {
          Notification.error(
            trans.__('The quickstart could not be opened: %1', (error as Error).message),
            { autoClose: 8000 }
          );
        }
      }
    });
    palette?.addItem({ command: CommandIDs.openQuickstart, category: trans.__('Mellea') });

    // a listing, because asking for a file that is not there is an error in the browser's console
    const exists = async (): Promise<boolean> => {
      const { content } = (await contents.get('')) as { content: { name: string }[] };
      return content.some(each => each.name === PATH);
    };
  }
};
