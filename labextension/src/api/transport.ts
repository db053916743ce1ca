// How requests reach the server in JupyterLab: XSRF, token and base URL come from its settings.

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { ISocket } from './stream.js';

/** What the API client needs of the place it runs in. */
export interface ITransport {
  /** Ask for `path`, relative to the API prefix. */
  request(path: string, init: RequestInit): Promise<Response>;
  /** The address of `path` for links and downloads. */
  url(path: string): string;
  /** Open the websocket at `path`. */
  openSocket(path: string): ISocket;
}

/** Works whatever prefix the operator chose for `/api`. */
const PREFIX = 'mellea/api';

/** The transport of JupyterLab and Notebook. */
export function createTransport(
  settings: ServerConnection.ISettings = ServerConnection.makeSettings()
): ITransport {
  const url = (path: string): string => URLExt.join(settings.baseUrl, PREFIX, path);
  return {
    url,
    request: (path, init) => ServerConnection.makeRequest(url(path), init, settings),
    openSocket: path => {
      const address = URLExt.join(settings.wsUrl, PREFIX, path);
      const token = settings.appendToken && settings.token ? `?token=${settings.token}` : '';
      return new settings.WebSocket(address + token);
    }
  };
}
