// Provides `IMelleaRuns`: one REST client, one websocket and one list of runs for the whole page.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { LabApi } from '../api/lab.js';
import { RunsStream } from '../api/stream.js';
import { createTransport } from '../api/transport.js';
import { RunsModel } from '../models/runs.js';
import { IMelleaRuns } from '../tokens.js';

/** The shared parts. */
export const runsPlugin: JupyterFrontEndPlugin<IMelleaRuns> = {
  id: 'mellea-jupyter:runs',
  description: 'The runs of this server, kept current.',
  autoStart: true,
  provides: IMelleaRuns,
  activate: (app: JupyterFrontEnd): IMelleaRuns => {
    const transport = createTransport(app.serviceManager.serverSettings);
    const api = new LabApi(transport);
    const stream = new RunsStream({
      openSocket: () => transport.openSocket('runs/ws'),
      setTimeout: (callback, milliseconds) => window.setTimeout(callback, milliseconds),
      clearTimeout: handle => window.clearTimeout(handle),
      random: Math.random
    });
    window.addEventListener('online', () => stream.reconnectNow());
    window.addEventListener('pagehide', () => stream.dispose());
    return { api, stream, runs: new RunsModel(api, stream) };
  }
};
