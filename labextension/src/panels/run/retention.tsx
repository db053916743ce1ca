// How long a run's log and artifacts stay, and who decides: *Keep* and *let expire*.

import { useState, type ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { Run } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { useNow } from '../../components/hooks.js';
import { formatExact, type ITranslation } from '../../format.js';
import { isOwn, isTerminal } from '../../models/statuses.js';

const HOUR_MS = 3_600_000;

/** `expires in 3 days · Keep`; nothing while the run is active. */
export function Retention(props: {
  run: Run;
  api: Pick<RunsApi, 'updateRun'>;
  /** Take the run as it is after the change. */
  onChanged: (run: Run) => void;
  trans: ITranslation;
}): ReactElement | null {
  const { run, api, trans } = props;
  const now = useNow(60_000);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState('');
  if (run.artifacts_purged) {
    return <Expired run={run} trans={trans} />;
  }
  if (!isTerminal(run) || !isOwn(run)) {
    return null;
  }
  const pin = async (): Promise<void> => {
    setBusy(true);
    setError('');
    try {
      props.onChanged(await api.updateRun(run.id, { pinned: !run.pinned }));
    } catch (failure) {
      setError(describeError(failure));
    } finally {
      setBusy(false);
    }
  };
  const canExpire = run.pinned || run.expires_at !== null;
  return (
    <>
      <p
        className="jp-MelleaRun-meaning"
        title={run.expires_at === null ? undefined : formatExact(run.expires_at)}
      >
        {retentionText(run, now, trans)}
        {canExpire && (
          <>
            {' · '}
            <button
              type="button"
              className="jp-MelleaButton jp-mod-link"
              disabled={isBusy}
              title={
                run.pinned
                  ? trans.__('Let the log and artifacts be removed after their time')
                  : trans.__('Keep the log and artifacts for good')
              }
              onClick={() => void pin()}
            >
              {run.pinned ? trans.__('let expire') : trans.__('Keep')}
            </button>
          </>
        )}
      </p>
      {error !== '' && (
        <p className="jp-MelleaRun-refusal" role="alert">
          {error}
        </p>
      )}
    </>
  );
}

/** What stands in the place of what retention has removed. */
export function Expired({ run, trans }: { run: Run; trans: ITranslation }): ReactElement {
  const at = run.artifacts_purged_at;
  return (
    <p>
      {at === null
        ? trans.__('The log and artifacts have expired.')
        : trans.__(
            'The log and artifacts expired on %1.',
            new Date(at).toLocaleDateString(undefined, { dateStyle: 'long' })
          )}{' '}
      {trans.__('The record, metrics and source stay, and the run can still be cloned.')}
    </p>
  );
}

/** `kept`, `expires in 3 days`, `expires within the hour`. */
export function retentionText(run: Run, now: number, trans: ITranslation): string {
  if (run.pinned) {
    return trans.__('kept');
  }
  if (run.expires_at === null) {
    return trans.__('kept for good');
  }
  const hours = Math.ceil((Date.parse(run.expires_at) - now) / HOUR_MS);
  if (hours <= 1) {
    return trans.__('expires within the hour');
  }
  const days = Math.floor(hours / 24);
  return days > 0
    ? trans._n('expires in %1 day', 'expires in %1 days', days)
    : trans._n('expires in %1 hour', 'expires in %1 hours', hours);
}
