// Where a log comes from. In lab: REST for what was, the stream for what comes.

import type { RunsApi } from '../../api/rest.js';
import type { GetRunsRunIdLogsQuery, LogPage } from '../../api/schema.js';
import type { ITopicListener, RunsStream } from '../../api/stream.js';

/** A log that can be read in pieces and followed. */
export interface ILogSource {
  read(query: GetRunsRunIdLogsQuery): Promise<LogPage>;
  /** Hear of lines after a cursor. Returns what ends it. */
  follow(after: string | null, listener: ITopicListener): () => void;
  /** Hear of lines after another cursor, when following had to be given up. */
  followFrom(after: string | null): void;
}

/** The log of a run on the server. */
export function createLogSource(runId: string, api: RunsApi, stream: RunsStream): ILogSource {
  const topic = `run/${runId}/logs`;
  return {
    read: query => api.readLog(runId, query),
    follow: (after, listener) => stream.subscribe(topic, listener, after),
    followFrom: after => stream.resubscribe(topic, after)
  };
}
