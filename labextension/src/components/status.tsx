// A run's status as icon and text (spec.md §5.6.2), never by colour alone.

import type { ReactElement } from 'react';
import type { ErrorClassification, Run, RunStatus } from '../api/schema.js';
import type { ITranslation } from '../format.js';
import { isStopping, isUnmet } from '../models/statuses.js';
import { Icon, type IconName } from './icons.js';

/** The status in words. */
export function statusText(status: RunStatus, trans: ITranslation): string {
  switch (status) {
    case 'created':
      return trans.__('created');
    case 'queued':
      return trans.__('queued');
    case 'pulling_image':
      return trans.__('pulling image');
    case 'starting':
      return trans.__('starting');
    case 'running':
      return trans.__('running');
    case 'succeeded':
      return trans.__('succeeded');
    case 'failed':
      return trans.__('failed');
    case 'cancelled':
      return trans.__('cancelled');
    default: {
      const unknown: never = status;
      return unknown;
    }
  }
}

/** Why a run has its status, in words; empty where the status says it all. */
export function reasonText(
  run: Pick<Run, 'status_reason' | 'exit_code'>,
  trans: ITranslation
): string {
  switch (run.status_reason) {
    case 'exit_code':
      return run.exit_code === null ? '' : trans.__('exit %1', run.exit_code);
    case 'signal':
      return run.exit_code === null
        ? trans.__('ended by a signal')
        : trans.__('signal %1', -run.exit_code);
    case 'timeout':
      return trans.__('timed out');
    case 'out_of_memory':
      return trans.__('out of memory');
    case 'lost':
      return trans.__('lost');
    case 'launch_failed':
      return trans.__('could not be started');
    case 'image_pull_failed':
      return trans.__('image not available');
    case 'environment_unavailable':
      return trans.__('environment not available');
    case 'quota_exceeded':
      return trans.__('over the artifact quota');
    case 'budget_exceeded':
      return trans.__('over the budget');
    case 'requirements_unmet':
      return trans.__('requirements not met');
    case 'server_stopped':
      return trans.__('server stopped');
    case 'engine_restarted':
      return trans.__('engine restarted');
    default:
      return '';
  }
}

/** What a failure is called, in lists: `rate limit`; of other runs, why they have their status. */
export function failureName(run: Run, trans: ITranslation): string {
  return run.error_classification?.summary ?? reasonText(run, trans);
}

/** What the button for the next step after a failure says; null without one. */
export function nextStepLabel(
  { next_step }: Pick<ErrorClassification, 'next_step'>,
  trans: ITranslation
): string | null {
  return next_step && (next_step.command === null ? next_step.label : trans.__('Copy command'));
}

function look(run: Run): { icon: IconName; modifier: string } {
  if (isStopping(run)) {
    return { icon: 'stopping', modifier: 'stopping' };
  }
  return isUnmet(run)
    ? { icon: 'unmet', modifier: 'unmet' }
    : { icon: run.status, modifier: run.status };
}

/** The icon alone, named for those who do not see it. */
export function StatusIcon({ run, trans }: { run: Run; trans: ITranslation }): ReactElement {
  const { icon, modifier } = look(run);
  const name = isStopping(run) ? trans.__('stopping') : statusText(run.status, trans);
  return (
    <span
      className={`jp-MelleaStatus jp-mod-${modifier}`}
      role="img"
      aria-label={name}
      title={name}
    >
      <Icon name={icon} />
    </span>
  );
}

/** Icon and text. */
export function StatusBadge({ run, trans }: { run: Run; trans: ITranslation }): ReactElement {
  const { icon, modifier } = look(run);
  const reason = isUnmet(run) ? trans.__('requirements not met') : failureName(run, trans);
  return (
    <span
      className={`jp-MelleaStatus jp-MelleaStatus-badge jp-mod-${modifier}`}
      title={run.error_classification?.explanation}
    >
      <Icon name={icon} />
      <span>
        {isStopping(run) ? trans.__('stopping') : statusText(run.status, trans)}
        {reason && ` · ${reason}`}
      </span>
    </span>
  );
}
