// What the views need of the place they are drawn in: JupyterLab, or a widget elsewhere. Nothing
// here or in what the views use imports JupyterLab.

import type { RunsApi } from '../api/rest.js';
import type { Run, StructuredOutput } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';
import type { ICommands } from '../commands.js';
import type { ITranslation } from '../format.js';

/** What is known of a run before anything was asked. */
export interface ISeed {
  run?: Run;
  outputs?: StructuredOutput[];
}

/** What is needed to draw the sampling loops of a run. */
export interface ILoopsOptions {
  readonly run: Run;
  readonly api: RunsApi;
  readonly stream: RunsStream;
  readonly trans: ITranslation;
}

/** The module that draws them: `panels/calls/card.tsx`. */
export interface ILoopsModule {
  mount(host: HTMLElement, options: ILoopsOptions): () => void;
}

/** The surroundings of a view. */
export interface IViewContext {
  readonly api: RunsApi;
  readonly stream: RunsStream;
  readonly commands: ICommands;
  readonly trans: ITranslation;
  /** Where the log and the artifacts are downloaded from; false where links lead nowhere. */
  readonly hasLinks: boolean;
  /** Save an artifact without a link; null where there are links. */
  readonly download: ((runId: string, artifactId: string, name: string) => Promise<void>) | null;
  /** Address of a run, or of a line of its log; null where there is none. */
  readonly linkOf: ((runId: string, line?: number) => string) | null;
  /** Hear of a newer state of the run that was not asked for. Returns what ends it. */
  readonly onSeed: ((listener: (seed: ISeed) => void) => () => void) | null;
  /** Load what draws sampling loops. */
  readonly loadLoops: () => Promise<ILoopsModule>;
  /** Draw the static snapshot that was saved with the output; null where there is none. */
  readonly drawSnapshot: ((host: HTMLElement) => () => void) | null;
}
