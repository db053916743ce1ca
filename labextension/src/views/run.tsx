// `LogView(run)` and `RunMetrics(run)`.

import type { ReactElement, ReactNode } from 'react';
import type { Run } from '../api/schema.js';
import { useNow, useSignal, useStreamState } from '../components/hooks.js';
import { StatusBadge } from '../components/status.js';
import { formatDuration } from '../format.js';
import { LogView } from '../logview/LogView.js';
import type { RunModel } from '../models/run.js';
import { elapsedMs, isTerminal, runModel, runTitle } from '../models/statuses.js';
import { MetricsTab } from '../panels/run/metrics.js';
import type { IViewContext } from './context.js';
import { useLogModel, useRunModel } from './hooks.js';
import { NoRun } from './missing.js';

interface IRunViewProps {
  runId: string;
  context: IViewContext;
}

/** The log of a run, with search and filters. */
export function LogOutput({ runId, context }: IRunViewProps): ReactElement {
  return (
    <WithRun
      runId={runId}
      context={context}
      label={name => context.trans.__('Log of %1', name)}
      content={run => <Log run={run} context={context} />}
    />
  );
}

function Log({ run, context }: { run: Run; context: IViewContext }): ReactElement | null {
  const log = useLogModel(run.id, context);
  const streamState = useStreamState(context.stream);
  return log === null ? null : (
    <div className="jp-MelleaView-log">
      <LogView
        model={log}
        run={run}
        streamState={streamState}
        downloadUrl={context.hasLinks ? context.api.logUrl(run.id) : null}
        lineUrl={line => context.linkOf?.(run.id, line) ?? ''}
        trans={context.trans}
      />
    </div>
  );
}

/** What a run used, each figure with its meaning; it ticks. */
export function MetricsOutput({ runId, context }: IRunViewProps): ReactElement {
  return (
    <WithRun
      runId={runId}
      context={context}
      label={name => context.trans.__('Metrics of %1', name)}
      content={run => <MetricsTab run={run} trans={context.trans} />}
    />
  );
}

interface IWithRunProps extends IRunViewProps {
  label: (name: string) => string;
  content: (run: Run) => ReactNode;
}

function WithRun(props: IWithRunProps): ReactElement {
  const model = useRunModel(props.runId, props.context);
  return model === null ? (
    <NoRun model={null} context={props.context} />
  ) : (
    <Shown {...props} model={model} />
  );
}

function Shown(props: IWithRunProps & { model: RunModel }): ReactElement {
  const { model, context } = props;
  useSignal(model.changed);
  const { run } = model;
  const now = useNow(run === null || isTerminal(run) ? 60_000 : 1000);
  if (run === null) {
    return <NoRun model={model} context={context} />;
  }
  return (
    <section className="jp-MelleaCard" role="region" aria-label={props.label(runTitle(run))}>
      <header className="jp-MelleaCard-header">
        <span role="status">
          <StatusBadge run={run} trans={context.trans} />
        </span>
        <strong className="jp-MelleaCard-title">{runTitle(run)}</strong>
        <span className="jp-MelleaCard-facts">{runModel(run)}</span>
        <span className="jp-MelleaCard-elapsed">{formatDuration(elapsedMs(run, now))}</span>
      </header>
      {props.content(run)}
    </section>
  );
}
