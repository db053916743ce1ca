// What a run that has not ended waits for, in words.

import type { Run, RunImage, RunWaiting } from '../api/schema.js';
import { formatBytes, formatMoney, type ITranslation } from '../format.js';
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
  const { waiting } = run;
  if (waiting !== null) {
    return trans.__('Would pass %1.', limitText(waiting, limitOf(waiting, waiting), trans));
  }
  if (run.status === 'queued') {
    const place =
      run.queue_position === null
        ? trans.__('In the queue')
        : trans.__('No. %1 in the queue', run.queue_position);
    return run.queue_reason ? `${place}: ${run.queue_reason}` : place;
  }
  if (run.status === 'pulling_image' && run.image) {
    return pullingText(run.image, trans);
  }
  const progress = run.progress;
  if (progress && typeof progress['done'] === 'number' && typeof progress['total'] === 'number') {
    if (progress['unit'] === 'cell') {
      const cell = Math.min(progress['done'] + 1, progress['total']);
      return trans.__('cell %1 of %2', cell, progress['total']);
    }
    const said = typeof progress['text'] === 'string' ? ` ${progress['text']}` : '';
    return trans.__('%1 of %2', progress['done'], progress['total']) + said;
  }
  return '';
}

/** How far an image has come; just its name while no layer is known. */
function pullingText(image: RunImage, trans: ITranslation): string {
  const name = trans.__('Pulling %1', image.reference);
  if (image.layers_total === 0) {
    return name;
  }
  const layers = trans.__('%1 of %2 layers', image.layers_done, image.layers_total);
  const bytes = trans.__('%1 of %2', formatBytes(image.bytes_done), formatBytes(image.bytes_total));
  return `${name}: ${layers}, ${bytes}`;
}

/** The part of an image that is downloaded and unpacked, 0 to 1; null when nothing is known. */
export function pulledPart(run: Run): number | null {
  const { image } = run;
  if (run.status !== 'pulling_image' || !image || image.bytes_total === 0) {
    return null;
  }
  return (image.bytes_done + image.bytes_extracted) / (2 * image.bytes_total);
}

type Limits = Pick<RunWaiting | Run['config'], 'max_cost_usd' | 'max_llm_calls'>;

function limitOf({ limit }: RunWaiting, limits: Limits): number {
  return Number(limit === 'cost' ? limits.max_cost_usd : limits.max_llm_calls);
}

function limitText({ limit }: RunWaiting, value: number, trans: ITranslation): string {
  return limit === 'cost' ? formatMoney(value) : trans.__('%1 calls', value);
}

/** What a run that waits at its budget can be answered, each with the arguments of the command. */
export function budgetAnswers({ waiting, config }: Run, trans: ITranslation): [string, object][] {
  if (waiting === null) {
    return [];
  }
  const more = limitOf(waiting, config);
  const limit = Number((limitOf(waiting, waiting) + more).toPrecision(12));
  const name = waiting.limit === 'cost' ? 'max_cost_usd' : 'max_llm_calls';
  return [
    [
      trans.__('Allow %1 more', limitText(waiting, more, trans)),
      { decision: 'raise', [name]: limit }
    ],
    [trans.__('Stop'), { decision: 'stop' }]
  ];
}
