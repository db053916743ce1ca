// The failure box of a run's tab: with what the verdict rests on, and how often it was seen.

import { useEffect, useState, type ReactElement } from 'react';
import type { ErrorClassification, FailureSeen, Run } from '../../api/schema.js';
import { CommandIDs } from '../../commands.js';
import { formatExact, formatPercent, type ITranslation } from '../../format.js';
import { FailureBox, failureText, type IFailureProps } from './failure.js';

/** Everything that is known of why the run failed. */
export function Explained(props: IFailureProps): ReactElement {
  const { run, trans } = props;
  const why = run.error_classification;
  return (
    <FailureBox {...props}>
      {why && (
        <>
          <Seen {...props} why={why} />
          <Evidence run={run} why={why} trans={trans} />
        </>
      )}
    </FailureBox>
  );
}

/** `Seen 4 times since Tuesday`, as a way to the others; nothing for a failure that is new. */
function Seen(props: IFailureProps & { why: ErrorClassification }): ReactElement | null {
  const { run, api, commands, why, trans } = props;
  const [read, setRead] = useState<FailureSeen | null>(null);
  useEffect(() => {
    if (run.seen) {
      return; // it was counted when the run was read
    }
    const reading = new AbortController();
    api.getRun(run.id, { signal: reading.signal, isBackground: true }).then(
      found => setRead(found.seen),
      () => undefined // the box says the rest without it
    );
    return () => reading.abort();
  }, [api, run.id, run.seen]);
  const seen = run.seen ?? read;
  if (seen === null || seen.count < 2) {
    return null;
  }
  const filters = { fingerprint: [why.fingerprint] };
  return (
    <p className="jp-MelleaRun-seen">
      <button
        type="button"
        className="jp-MelleaButton jp-mod-link"
        title={formatExact(seen.first_seen_at)}
        onClick={() => void commands.execute(CommandIDs.openDashboard, { filters })}
      >
        {trans.__('Seen %1 times %2', seen.count, sinceText(seen.first_seen_at, Date.now(), trans))}
      </button>
    </p>
  );
}

/** `since 14:03`, `since yesterday`, `since Tuesday`, then the date. */
export function sinceText(iso: string, now: number, trans: ITranslation): string {
  const moment = new Date(iso);
  const midnight = (time: number | string): number => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(now) - midnight(iso)) / 86_400_000);
  if (days < 1) {
    const clock = moment.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
    return trans.__('since %1', clock);
  }
  if (days === 1) {
    return trans.__('since yesterday');
  }
  const options: Intl.DateTimeFormatOptions = days < 7 ? { weekday: 'long' } : {};
  return trans.__('since %1', moment.toLocaleDateString(undefined, options));
}

function Evidence(props: {
  run: Run;
  why: ErrorClassification;
  trans: ITranslation;
}): ReactElement {
  const { run, why, trans } = props;
  const said = failureText(run, trans);
  const further = why.evidence.filter(each => !said.includes(each));
  return (
    <details>
      <summary>
        {trans.__('%1, %2 sure', categoryText(why.category, trans), formatPercent(why.confidence))}
      </summary>
      <ul>
        {(further.length > 0 ? further : why.evidence).map(each => (
          <li key={each}>{each}</li>
        ))}
      </ul>
    </details>
  );
}

/** Whose matter a failure is. */
function categoryText(category: ErrorClassification['category'], trans: ITranslation): string {
  switch (category) {
    case 'user_code':
      return trans.__('A matter of the program');
    case 'program_outcome':
      return trans.__('A matter of its limits and demands');
    case 'external_service':
      return trans.__('A matter of a service it called');
    case 'infrastructure':
      return trans.__('A matter of what runs it');
    case 'unknown':
      return trans.__('Nothing says why');
    default: {
      const unknown: never = category;
      return unknown;
    }
  }
}
