// What other extensions may use.

import { Token } from '@lumino/coreutils';
import type { LabApi } from './api/lab.js';
import type { RunsStream } from './api/stream.js';
import type { RunsModel } from './models/runs.js';

/** The runs of this server. */
export interface IMelleaRuns {
  /** The REST API. */
  readonly api: LabApi;
  /** The tab's websocket. */
  readonly stream: RunsStream;
  /** The user's own active and recent runs. */
  readonly runs: RunsModel;
}

/** Ask for this token to work with Mellea runs. */
export const IMelleaRuns = new Token<IMelleaRuns>(
  'mellea-jupyter:IMelleaRuns',
  "The server's Mellea runs: REST client, live stream and the user's own runs."
);
