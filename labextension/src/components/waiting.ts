// What a run that has not ended waits for, in words.

import type { Run } from '../api/schema.js';
import type { ITranslation } from '../format.js';
import { isTerminal } from '../models/statuses.js';

/** What the run waits for; empty when it does not. */
export function waitingText(run: Run, now: number, trans: ITranslation): string {
  if (isTerminal(run)) {
    return '';
  }
  if (run.cancel_requested_at !== null) {
    const left = run.kill_at === null ? 0 : Math.ceil((Date.parse(run.kill_at) - now) / 1000);
    return left > 0 ? trans.__('Stopping, kill in %1 s', left) : trans.__('Stopping…');
  }
  if (run.status === 'queued') {
    const place =
      run.queue_position === null
        ? trans.__('In the queue')
        : trans.__('No. %1 in the queue', run.queue_position);
    return run.queue_reason ? `${place}: ${run.queue_reason}` : place;
  }
  const progress = run.progress;
  if (progress && typeof progress['done'] === 'number' && typeof progress['total'] === 'number') {
    const said = typeof progress['text'] === 'string' ? ` ${progress['text']}` : '';
    return trans.__('%1 of %2', progress['done'], progress['total']) + said;
  }
  return '';
}
