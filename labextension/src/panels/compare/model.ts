// Runs that are compared, each kept current.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../../api/rest.js';
import type { Run } from '../../api/schema.js';
import type { RunsStream } from '../../api/stream.js';
import { RunModel } from '../../models/run.js';

/** Several runs at once. */
export class CompareModel {
  private readonly models: readonly RunModel[];
  private readonly changedSignal = new Signal<this, void>(this);

  constructor(
    readonly runIds: readonly string[],
    api: RunsApi,
    stream: RunsStream
  ) {
    this.models = runIds.map(runId => new RunModel(runId, api, stream));
    this.models.forEach(model => model.changed.connect(() => this.changedSignal.emit()));
  }

  /** One of the runs has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  /** Those that were read, in the order they were asked for. */
  get runs(): Run[] {
    return this.models.flatMap(model => (model.run === null ? [] : [model.run]));
  }

  /** Ids of those that can not be read. */
  get missing(): string[] {
    return this.models
      .filter(model => model.run === null && model.error !== null)
      .map(model => model.runId);
  }

  dispose(): void {
    this.models.forEach(model => model.dispose());
    Signal.clearData(this);
  }
}
