// The shell of a run's tab: owns the run's model and its log's model.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import type { ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { RunsStream } from '../../api/stream.js';
import type { ITranslation } from '../../format.js';
import { runsIcon } from '../../icons.js';
import { LogModel } from '../../logview/core/model.js';
import { createLogSource } from '../../logview/core/source.js';
import { RunModel } from '../../models/run.js';
import type { RunsModel } from '../../models/runs.js';
import { runTitle } from '../../models/statuses.js';
import type { IKeptCalls } from '../calls/index.js';
import { RunBody } from './body.js';
import type { ISourcePlace, SourceEditor } from './source.js';

/** What a run's tab needs. */
export interface IRunPanelOptions {
  runId: string;
  /** Line of the log to begin at; null for its end. */
  line: number | null;
  api: LabApi;
  stream: RunsStream;
  /** Knows the replies to commands before the stream tells of them. */
  runs: RunsModel;
  commands: CommandRegistry;
  /** Address of the run, or of a line of its log. */
  linkOf: (runId: string, line?: number) => string;
  /** Draws source read-only; null where there is no editor. */
  editor: SourceEditor | null;
  trans: ITranslation;
}

/** One run. */
export class RunPanel extends ReactWidget {
  readonly model: RunModel;
  readonly log: LogModel;
  private readonly kept: IKeptCalls = {};
  private place: ISourcePlace | null = null;

  constructor(private readonly options: IRunPanelOptions) {
    super();
    this.model = new RunModel(options.runId, options.api, options.stream);
    this.log = new LogModel(createLogSource(options.runId, options.api, options.stream));
    this.id = `mellea-run-${options.runId}`;
    this.addClass('jp-MelleaRun-panel');
    this.title.icon = runsIcon;
    this.title.closable = true;
    this.title.label = options.trans.__('Run');
    this.node.setAttribute('role', 'region');
    this.model.changed.connect(this.updateTitle, this);
    options.runs.changed.connect(this.takeReply, this);
    void this.log.open(options.line);
  }

  /** Bring a line of the log into view. */
  reveal(line: number): void {
    void this.log.reveal(line);
  }

  /** Show a line of the program. */
  showSource(place: ISourcePlace): void {
    this.place = place;
    this.update();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.options.runs.changed.disconnect(this.takeReply, this);
      this.model.dispose();
      this.log.dispose();
      this.kept.view?.dispose();
      super.dispose();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    // here, because MainAreaWidget gives its content a label of its own
    this.updateTitle();
  }

  protected override render(): ReactElement {
    return (
      <RunBody
        {...this.options}
        model={this.model}
        log={this.log}
        kept={this.kept}
        place={this.place}
      />
    );
  }

  private takeReply(): void {
    const run = this.options.runs.find(this.options.runId);
    if (run && run.version > (this.model.run?.version ?? -1)) {
      this.model.accept(run);
    }
  }

  private updateTitle(): void {
    const { run, runId } = this.model;
    const name = `${run ? runTitle(run) : ''} · ${runId.slice(0, 6)}`;
    this.node.setAttribute('aria-label', this.options.trans.__('Run %1', name));
    if (run !== null) {
      this.title.label = name;
      this.title.caption = `${name}\n${run.status}`;
    }
  }
}
