// The card of a run: what it is, how far it has come, what came of it, and what can be done.

import { useEffect, useRef, useState, type ReactElement, type ReactNode } from 'react';
import type { ArtifactRef, Run, StructuredOutput } from '../api/schema.js';
import { CommandIDs } from '../commands.js';
import { useNow, useSignal, useStreamState } from '../components/hooks.js';
import { Numbers } from '../components/numbers.js';
import { StatusBadge } from '../components/status.js';
import { JsonTree } from '../components/tree.js';
import { budgetAnswers, waitingText } from '../components/waiting.js';
import { formatBytes, formatDuration } from '../format.js';
import { LogView } from '../logview/LogView.js';
import type { LogModel } from '../logview/core/model.js';
import type { RunModel } from '../models/run.js';
import {
  canRetry,
  elapsedMs,
  isTerminal,
  mayOperate,
  runModel,
  runTitle
} from '../models/statuses.js';
import { FailureBox } from '../panels/run/failure.js';
import type { IViewContext } from './context.js';
import { useLogModel, useRunModel } from './hooks.js';
import { NoRun } from './missing.js';

const SHOWN_ARTIFACTS = 20;

interface ICardProps {
  runId: string;
  context: IViewContext;
}

/** The card of one run. */
export function RunCard({ runId, context }: ICardProps): ReactElement {
  const model = useRunModel(runId, context);
  return model === null ? (
    <NoRun model={null} context={context} />
  ) : (
    <Card model={model} context={context} />
  );
}

function Card({ model, context }: { model: RunModel; context: IViewContext }): ReactElement {
  useSignal(model.changed);
  const { run } = model;
  return run === null ? (
    <NoRun model={model} context={context} />
  ) : (
    <ShownCard run={run} model={model} context={context} />
  );
}

interface IShownProps {
  run: Run;
  context: IViewContext;
}

function ShownCard({ run, model, context }: IShownProps & { model: RunModel }): ReactElement {
  const { trans } = context;
  const now = useNow(isTerminal(run) ? 60_000 : 500);
  const log = useLogModel(run.id, context);
  const outputs = useOutputs(run, context);
  const streamState = useStreamState(context.stream);
  const waiting = waitingText(run, now, trans);
  return (
    <section
      className={`jp-MelleaCard jp-mod-${run.status}`}
      role="region"
      aria-label={trans.__('Mellea run %1', runTitle(run))}
    >
      <header className="jp-MelleaCard-header">
        <span role="status">
          <StatusBadge run={run} trans={trans} />
        </span>
        <strong className="jp-MelleaCard-title">{runTitle(run)}</strong>
        <span className="jp-MelleaCard-facts">
          {[runModel(run), attemptText(run, context)].filter(Boolean).join(' · ')}
        </span>
        <span className="jp-MelleaCard-elapsed">{formatDuration(elapsedMs(run, now))}</span>
        <Controls run={run} context={context} />
      </header>
      {model.isDeleted && (
        <p className="jp-MelleaView-note" role="status">
          {trans.__('The record of this run was deleted.')}
        </p>
      )}
      {streamState === 'reconnecting' && !isTerminal(run) && (
        <p className="jp-MelleaView-note" role="status">
          {trans.__('Reconnecting…')}
        </p>
      )}
      {waiting && !hasProgress(run) && <p className="jp-MelleaCard-waiting">{waiting}</p>}
      <Progress run={run} text={waiting} />
      <Numbers run={run} trans={trans} />
      <FailureBox run={run} api={context.api} commands={context.commands} trans={trans} />
      <Loops run={run} context={context} />
      {outputs.map((output, index) => (
        <div className="jp-MelleaCard-output" key={index}>
          <JsonTree value={output.data} label={trans.__('output')} trans={trans} />
        </div>
      ))}
      {log !== null && (
        <Lines run={run} log={log} isFolded={outputs.length > 0} context={context} />
      )}
      <Artifacts run={run} context={context} />
    </section>
  );
}

function attemptText(run: Run, { trans }: IViewContext): string {
  return run.retry_of === null ? '' : trans.__('retry %1', run.attempt - 1);
}

/** What the program declared as its result. */
function useOutputs(run: Run, context: IViewContext): StructuredOutput[] {
  const [outputs, setOutputs] = useState<StructuredOutput[]>([]);
  const { api, onSeed } = context;
  useEffect(
    () =>
      onSeed?.(seed => seed.run?.id === run.id && seed.outputs && setOutputs(seed.outputs)) ??
      undefined,
    [onSeed, run.id]
  );
  const hasEnded = isTerminal(run);
  useEffect(() => {
    if (!hasEnded) {
      return;
    }
    let isCurrent = true;
    api.listOutputs(run.id).then(
      found => isCurrent && setOutputs(found),
      () => undefined // the artifacts are the same values as files
    );
    return () => {
      isCurrent = false;
    };
  }, [api, run.id, hasEnded]);
  return outputs;
}

function Controls({ run, context }: IShownProps): ReactElement {
  const { commands, trans } = context;
  const [isAsked, setAsked] = useState(false);
  const [said, setSaid] = useState('');
  const act = (id: string, args?: object): void => {
    setAsked(true);
    setSaid('');
    commands
      .execute(id, { runId: run.id, ...args })
      .catch((error: Error) => setSaid(error.message))
      .finally(() => setAsked(false));
  };
  return (
    <span className="jp-MelleaCard-controls">
      {said && <span role="alert">{said}</span>}
      {budgetAnswers(run, trans).map(([label, body]) => (
        <button
          key={label}
          type="button"
          className="jp-MelleaButton"
          disabled={isAsked}
          onClick={() => act(CommandIDs.answerBudget, body)}
        >
          {label}
        </button>
      ))}
      {!isTerminal(run) && mayOperate(run) && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-warn"
          disabled={isAsked || run.cancel_requested_at !== null}
          onClick={() => act(CommandIDs.cancelRun)}
        >
          {trans.__('Cancel')}
        </button>
      )}
      {canRetry(run) && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-accept"
          disabled={isAsked}
          onClick={() => act(CommandIDs.retryRun)}
        >
          {trans.__('Retry')}
        </button>
      )}
      {commands.hasCommand(CommandIDs.openRun) && (
        <button type="button" className="jp-MelleaButton" onClick={() => act(CommandIDs.openRun)}>
          {trans.__('Open')}
        </button>
      )}
    </span>
  );
}

function hasProgress(run: Run): run is Run & { progress: { done: number; total: number } } {
  const { progress } = run;
  return typeof progress?.['done'] === 'number' && typeof progress['total'] === 'number';
}

/** How far the program says it has come. */
function Progress({ run, text }: { run: Run; text: string }): ReactElement | null {
  return isTerminal(run) || !hasProgress(run) ? null : (
    <p className="jp-MelleaCard-progress">
      <progress value={run.progress.done} max={run.progress.total} aria-label={text} />
      <span>{text}</span>
    </p>
  );
}

/** The attempts of its sampling loops; loaded once it has asked a model. */
function Loops({ run, context }: IShownProps): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const hasCalls = run.metrics.llm_calls > 0;
  useEffect(() => {
    let remove: (() => void) | null = null;
    let isGone = !hasCalls;
    if (hasCalls) {
      context.loadLoops().then(
        ({ mount }) => {
          if (!isGone && host.current) {
            remove = mount(host.current, { ...context, run });
          }
        },
        () => undefined // the card says the rest without them
      );
    }
    return () => {
      isGone = true;
      remove?.();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- of the run, only what stays is used
  }, [context, run.id, hasCalls]);
  return <div ref={host} />;
}

function Lines(props: {
  run: Run;
  log: LogModel;
  isFolded: boolean;
  context: IViewContext;
}): ReactElement {
  const { run, log, context } = props;
  const { trans } = context;
  const [choice, setChoice] = useState<boolean | null>(null);
  const isOpen = choice ?? !props.isFolded;
  const streamState = useStreamState(context.stream);
  return (
    <>
      {props.isFolded && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link jp-MelleaCard-toggle"
          aria-expanded={isOpen}
          onClick={() => setChoice(!isOpen)}
        >
          {isOpen ? trans.__('Hide the log') : trans.__('Show the log')}
        </button>
      )}
      {isOpen && (
        <div className="jp-MelleaCard-log">
          <LogView
            model={log}
            run={run}
            streamState={streamState}
            downloadUrl={null}
            lineUrl={null}
            isCompact={true}
            trans={trans}
          />
        </div>
      )}
    </>
  );
}

function Artifacts({ run, context }: IShownProps): ReactElement | null {
  const { trans } = context;
  const hidden = run.artifacts.length - SHOWN_ARTIFACTS;
  if (run.artifacts.length === 0) {
    return null;
  }
  return (
    <ul className="jp-MelleaCard-artifacts" aria-label={trans.__('Artifacts')}>
      {run.artifacts.slice(0, SHOWN_ARTIFACTS).map(artifact => (
        <li key={artifact.id}>
          <ArtifactLink run={run} artifact={artifact} context={context}>
            {artifact.path}
          </ArtifactLink>{' '}
          <small>{formatBytes(artifact.size_bytes)}</small>
        </li>
      ))}
      {hidden > 0 && <li>{trans._n('%1 more', '%1 more', hidden)}</li>}
    </ul>
  );
}

function ArtifactLink(
  props: IShownProps & { artifact: ArtifactRef; children: ReactNode }
): ReactElement {
  const { run, artifact, context } = props;
  const [said, setSaid] = useState('');
  const { download } = context;
  if (download === null) {
    return (
      <a href={context.api.artifactUrl(run.id, artifact.id)} download={artifact.name}>
        {props.children}
      </a>
    );
  }
  return (
    <>
      <button
        type="button"
        className="jp-MelleaButton jp-mod-link"
        onClick={() => {
          setSaid('');
          download(run.id, artifact.id, artifact.name).catch((error: Error) =>
            setSaid(error.message)
          );
        }}
      >
        {props.children}
      </button>
      {said && <span role="alert"> {said}</span>}
    </>
  );
}
