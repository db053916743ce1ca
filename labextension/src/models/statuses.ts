// Sets of run statuses and what may be done in them; mirrors `lifecycle/statuses.py`.

import type { Run, RunStatus } from '../api/schema.js';

/** All statuses, in the order of a run's life. */
export const STATUSES: readonly RunStatus[] = [
  'created',
  'queued',
  'pulling_image',
  'starting',
  'running',
  'succeeded',
  'failed',
  'cancelled'
];

const TERMINAL: ReadonlySet<RunStatus> = new Set(['succeeded', 'failed', 'cancelled']);

/** Whether the status is final. */
export function isTerminal(run: Pick<Run, 'status'>): boolean {
  return TERMINAL.has(run.status);
}

/** Whether somebody asked for a stop that has not happened yet. */
export function isStopping(run: Run): boolean {
  return run.cancel_requested_at !== null && !isTerminal(run);
}

/** Whether whoever looks at it may do everything: it is theirs, or they administrate the server. */
export function isOwn(run: Run): boolean {
  return run.role !== 'viewer' && run.role !== 'operator';
}

/** Whether they may cancel and retry it. */
export function mayOperate(run: Run): boolean {
  return run.role !== 'viewer';
}

/** Whether *Cancel* makes sense. */
export function canCancel(run: Run): boolean {
  return !isTerminal(run) && run.cancel_requested_at === null && mayOperate(run);
}

/** Whether a run may be retried, by those who may: failed or cancelled ones only. */
export function isRetryable(run: Pick<Run, 'status'>): boolean {
  return run.status === 'failed' || run.status === 'cancelled';
}

/** Whether *Retry* makes sense. */
export function canRetry(run: Run): boolean {
  return isRetryable(run) && mayOperate(run);
}

/** Succeeded, but a sampling loop ended without meeting its requirements. */
export function isUnmet(run: Run): boolean {
  return run.status === 'succeeded' && run.metrics.loops_exhausted > 0;
}

/** What a run is called: the name people gave it, or its program's. */
export function runTitle(run: Run): string {
  return run.name || run.asset_name || run.asset_id;
}

/** The model to show: what it used, or what was asked for. */
export function runModel(run: Run): string {
  return run.models_used.length > 0 ? run.models_used.join(', ') : (run.config.model ?? '');
}

/** Milliseconds since the run began, or that it took; 0 before it began. */
export function elapsedMs(run: Run, now: number): number {
  if (isTerminal(run) && run.metrics.total_duration_ms > 0) {
    return run.metrics.total_duration_ms;
  }
  const end = run.finished_at ? Date.parse(run.finished_at) : now;
  return Math.max(0, end - Date.parse(run.started_at ?? run.created_at));
}
