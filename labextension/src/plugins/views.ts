// Draws our outputs in notebooks: cards, logs, tables and costs of runs.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ViewOutput } from '../panels/output/index.js';
import { IMelleaRuns } from '../tokens.js';
import { VIEW_MIME_TYPE } from '../views/spec.js';
import { linkOf } from './run.js';

/** Before the widget of the same output (rank -10), which needs a kernel. */
const RANK = -20;

/** Outputs of notebooks. */
export const viewsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:views',
  description: 'Draws runs in the outputs of notebooks.',
  autoStart: true,
  requires: [IMelleaRuns, IRenderMimeRegistry],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { api, stream }: IMelleaRuns,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const options = { api, stream, commands: app.commands, rendermime, linkOf, trans };
    rendermime.addFactory(
      {
        safe: true, // it reads ids, asks our own API for them, and draws text
        mimeTypes: [VIEW_MIME_TYPE],
        createRenderer: () => new ViewOutput(options)
      },
      RANK
    );
  }
};
