// What a run's tab shows: header, failure, numbers, and the tabs below.

import { Clipboard } from '@jupyterlab/apputils';
import { useCallback, useEffect, useState, type ReactElement } from 'react';
import { CommandIDs } from '../../commands.js';
import { useSignal, useStreamState } from '../../components/hooks.js';
import { Late } from '../../components/late.js';
import { Numbers } from '../../components/numbers.js';
import { Tabs } from '../../components/tabs.js';
import { formatNumber } from '../../format.js';
import { LogView } from '../../logview/LogView.js';
import type { ILine } from '../../logview/core/buffer.js';
import type { LogModel } from '../../logview/core/model.js';
import type { RunModel } from '../../models/run.js';
import { isUnmet } from '../../models/statuses.js';
import type { IKeptCalls } from '../calls/index.js';
import { ConfigurationTab } from './configuration.js';
import { RunHeader } from './header.js';
import type { IRunPanelOptions } from './index.js';
import { CallsLink, type ICallsTarget } from './links.js';
import { MetricsTab } from './metrics.js';
import { Expired } from './retention.js';
import { SourceTab, type ISourcePlace } from './source.js';

interface IRunBodyProps extends IRunPanelOptions {
  model: RunModel;
  log: LogModel;
  kept: IKeptCalls;
  /** The line of the program to show; null when none was asked for. */
  place: ISourcePlace | null;
}

const loadExplained = async () => (await import('./explained.js')).Explained;
const loadArtifacts = async () => (await import('./artifacts.js')).ArtifactsTab;
const loadCharts = async () => (await import('../charts/index.js')).Charts;
const loadCalls = async () => (await import('../calls/index.js')).CallsTab;

/** Everything in the tab. */
export function RunBody(props: IRunBodyProps): ReactElement {
  const { model, log, api, stream, trans } = props;
  useSignal(model.changed);
  const { place } = props;
  const [chosen, setChosen] = useState<{ tab: string; place: ISourcePlace | null }>({
    tab: 'logs',
    place: null
  });
  const tab = chosen.place === place ? chosen.tab : 'source'; // a new place is to be seen
  const setTab = useCallback((next: string) => setChosen({ tab: next, place }), [place]);
  const [target, setTarget] = useState<ICallsTarget | null>(null);
  const showCalls = useCallback(
    (wanted: ICallsTarget) => {
      setTarget(wanted);
      setTab('calls');
    },
    [setTab]
  );
  const linkCalls = useCallback(
    (line: ILine) => <CallsLink line={line} onShow={showCalls} trans={trans} />,
    [showCalls, trans]
  );
  const [revealed, setRevealed] = useState<{ line: number } | null>(null);
  useEffect(() => {
    if (revealed !== null) {
      void log.reveal(revealed.line); // the viewer is there by now
    }
  }, [log, revealed]);
  const streamState = useStreamState(stream);
  const { run } = model;
  if (run === null) {
    return <NoRun {...props} />;
  }
  return (
    <div className="jp-MelleaRun">
      {streamState === 'reconnecting' && (
        <p className="jp-MelleaRuns-bar" role="status">
          {trans.__('Reconnecting…')}
        </p>
      )}
      {model.isDeleted && (
        <p className="jp-MelleaRuns-bar" role="status">
          {trans.__('The record of this run was deleted.')}
        </p>
      )}
      <RunHeader {...props} run={run} />
      {(run.status === 'failed' || isUnmet(run)) && (
        <Late load={loadExplained} isQuiet with={{ run, api, commands: props.commands, trans }} />
      )}
      <Numbers run={run} trans={trans} />
      <Tabs
        label={trans.__('Parts of the run')}
        current={tab}
        onChange={setTab}
        tabs={[
          {
            id: 'logs',
            label: trans.__('Logs'),
            content: () =>
              run.artifacts_purged ? (
                <div className="jp-MelleaRun-tab">
                  <Expired run={run} trans={trans} />
                </div>
              ) : (
                <LogView
                  model={log}
                  run={run}
                  streamState={streamState}
                  downloadUrl={api.logUrl(run.id)}
                  lineUrl={line => props.linkOf(run.id, line)}
                  after={linkCalls}
                  trans={trans}
                />
              )
          },
          {
            id: 'calls',
            label: trans.__('Calls (%1)', formatNumber(run.metrics.llm_calls)),
            content: () => (
              <Late
                load={loadCalls}
                with={{
                  run,
                  api,
                  stream,
                  kept: props.kept,
                  target,
                  onShowLine: line => {
                    setTab('logs');
                    setRevealed({ line });
                  },
                  trans
                }}
              />
            )
          },
          {
            id: 'artifacts',
            label: trans.__('Artifacts (%1)', run.artifacts.length),
            content: () => (
              <Late
                load={loadArtifacts}
                with={{
                  run,
                  api,
                  onChanged: changed => model.accept(changed),
                  copy: text => Clipboard.copyToSystem(text),
                  trans
                }}
              />
            )
          },
          {
            id: 'metrics',
            label: trans.__('Metrics'),
            content: () => (
              <MetricsTab
                run={run}
                charts={<Late load={loadCharts} with={{ run, api, trans }} />}
                trans={trans}
              />
            )
          },
          {
            id: 'configuration',
            label: trans.__('Configuration'),
            content: () => (
              <ConfigurationTab
                run={run}
                api={api}
                trans={trans}
                onClone={() => void props.commands.execute(CommandIDs.cloneRun, { runId: run.id })}
                onOpen={runId => void props.commands.execute(CommandIDs.openRun, { runId })}
              />
            )
          },
          {
            id: 'source',
            label: trans.__('Source'),
            content: () => (
              <SourceTab
                runId={run.id}
                place={place}
                api={api}
                editor={props.editor}
                trans={trans}
              />
            )
          }
        ]}
      />
    </div>
  );
}

function NoRun({ model, trans }: IRunBodyProps): ReactElement {
  if (model.error === null) {
    return <p className="jp-MelleaRun-message">{trans.__('Loading…')}</p>;
  }
  return (
    <div className="jp-MelleaRun-message" role="alert">
      <p>{model.error.message}</p>
      <button
        type="button"
        className="jp-MelleaButton jp-mod-text"
        onClick={() => void model.refresh()}
      >
        {trans.__('Try again')}
      </button>
    </div>
  );
}
