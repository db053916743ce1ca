// The run's header: status, what ran with which model, for how long, and the controls.

import type { CommandRegistry } from '@lumino/commands';
import { useState, type ReactElement } from 'react';
import type { Run } from '../../api/schema.js';
import { CommandIDs } from '../../commands.js';
import { BudgetButtons } from '../../components/budget.js';
import { useNow } from '../../components/hooks.js';
import { MenuButton } from '../../components/menu.js';
import { StatusBadge } from '../../components/status.js';
import { Ago } from '../../components/time.js';
import { pulledPart, waitingText } from '../../components/waiting.js';
import { formatDuration, type ITranslation } from '../../format.js';
import {
  elapsedMs,
  isOwn,
  isRetryable,
  isTerminal,
  mayOperate,
  runModel,
  runTitle
} from '../../models/statuses.js';

interface IRunHeaderProps {
  run: Run;
  commands: CommandRegistry;
  trans: ITranslation;
}

/** Name, status and controls. */
export function RunHeader({ run, commands, trans }: IRunHeaderProps): ReactElement {
  const now = useNow(isTerminal(run) ? 30_000 : 500);
  const facts = [
    run.asset_version.slice(0, 20),
    runModel(run),
    run.environment_name ?? run.config.environment_id ?? '',
    run.owner_id,
    run.role === 'viewer' ? trans.__('you may look at it') : '',
    run.role === 'operator' ? trans.__('you may operate it') : ''
  ].filter(Boolean);
  return (
    <div className="jp-MelleaRun-header">
      <div className="jp-MelleaRun-title">
        <h2>{runTitle(run)}</h2>
        <span role="status">
          <StatusBadge run={run} trans={trans} />
        </span>
        <span className="jp-MelleaRun-elapsed">{formatDuration(elapsedMs(run, now))}</span>
        <span className="jp-MelleaRun-when">
          <Ago iso={run.started_at ?? run.created_at} now={now} trans={trans} />
        </span>
      </div>
      <p className="jp-MelleaRun-facts">
        {facts.join(' · ')}
        {run.group_id !== null && (
          <>
            {' · '}
            <button
              type="button"
              className="jp-MelleaButton jp-mod-link"
              onClick={() =>
                void commands.execute(CommandIDs.compareRuns, { groupId: run.group_id })
              }
            >
              {trans.__('compare its group')}
            </button>
          </>
        )}
        {run.retry_of !== null && (
          <>
            {' · '}
            {trans.__('attempt %1,', run.attempt)}{' '}
            <button
              type="button"
              className="jp-MelleaButton jp-mod-link"
              onClick={() => void commands.execute(CommandIDs.openRun, { runId: run.retry_of })}
            >
              {trans.__('retry of %1', run.retry_of.slice(0, 6))}
            </button>
          </>
        )}
      </p>
      {waitingText(run, now, trans) && (
        <p className="jp-MelleaRun-waiting" role="status">
          {waitingText(run, now, trans)}
          <BudgetButtons run={run} commands={commands} trans={trans} />
        </p>
      )}
      {run.budget !== null && run.budget.refused_calls > 0 && (
        <p className="jp-MelleaRun-waiting">
          {trans._n(
            '%1 call was not made: over the budget.',
            '%1 calls were not made: over the budget.',
            run.budget.refused_calls
          )}
        </p>
      )}
      {pulledPart(run) !== null && (
        <progress
          className="jp-MelleaRun-pulling"
          aria-label={trans.__('Image')}
          value={pulledPart(run) ?? 0}
        />
      )}
      <Controls run={run} now={now} commands={commands} trans={trans} />
    </div>
  );
}

function Controls({ run, now, commands, trans }: IRunHeaderProps & { now: number }): ReactElement {
  const [isAsked, setAsked] = useState(false);
  const args = { runId: run.id };
  const may = mayOperate(run);
  const why = may ? undefined : trans.__('Only its owner and operators may. Ask %1.', run.owner_id);
  const execute = (id: string) => (): void => void commands.execute(id, args);
  return (
    <div className="jp-MelleaRun-controls" role="toolbar" aria-label={trans.__('Run')}>
      {!isTerminal(run) && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-warn"
          disabled={isAsked || run.cancel_requested_at !== null || !may}
          title={why}
          onClick={() => {
            setAsked(true);
            void commands.execute(CommandIDs.cancelRun, args).finally(() => setAsked(false));
          }}
        >
          {trans.__('Cancel')}
        </button>
      )}
      {run.kernel && isOwn(run) && Date.parse(run.kernel.until) > now && (
        <button type="button" className="jp-MelleaButton" onClick={execute(CommandIDs.openConsole)}>
          {trans.__('Open console')}
        </button>
      )}
      {isRetryable(run) && (
        <>
          <button
            type="button"
            className="jp-MelleaButton jp-mod-accept"
            disabled={!may}
            title={why}
            onClick={execute(CommandIDs.retryRun)}
          >
            {trans.__('Retry')}
          </button>
          {isOwn(run) && (
            <button
              type="button"
              className="jp-MelleaButton"
              onClick={execute(CommandIDs.retryEdited)}
            >
              {trans.__('Retry with changes…')}
            </button>
          )}
        </>
      )}
      <button type="button" className="jp-MelleaButton" onClick={execute(CommandIDs.cloneRun)}>
        {trans.__('Clone configuration')}
      </button>
      <MenuButton
        label={trans.__('More actions')}
        entries={[
          ...(run.artifacts_purged
            ? []
            : [{ label: trans.__('Download logs'), onClick: execute(CommandIDs.downloadLogs) }]),
          ...(run.artifacts.length > 0
            ? [
                {
                  label: trans.__('Download all artifacts'),
                  onClick: execute(CommandIDs.downloadArtifacts)
                }
              ]
            : []),
          { label: trans.__('Copy id'), onClick: execute(CommandIDs.copyId) },
          { label: trans.__('Copy link'), onClick: execute(CommandIDs.copyLink) },
          ...(isOwn(run)
            ? [{ label: trans.__('Share…'), onClick: execute(CommandIDs.shareRun) }]
            : []),
          ...(isTerminal(run) && isOwn(run)
            ? [{ label: trans.__('Delete…'), onClick: execute(CommandIDs.deleteRun) }]
            : [])
        ]}
      />
    </div>
  );
}
