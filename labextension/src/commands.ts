// Command ids and the shape of their arguments.

import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

/** What runs commands by their id: JupyterLab's registry, or the few of a widget elsewhere. */
export interface ICommands {
  /** Components leave out what the place they are drawn in can not do. */
  hasCommand(id: string): boolean;
  execute(id: string, args?: ReadonlyPartialJSONObject): Promise<unknown>;
}

/** All commands of the extension. */
export namespace CommandIDs {
  export const openRun = 'mellea:run-open';
  export const cancelRun = 'mellea:run-cancel';
  export const answerBudget = 'mellea:run-budget';
  export const retryRun = 'mellea:run-retry';
  export const retryEdited = 'mellea:run-retry-edited';
  export const takeNextStep = 'mellea:run-next-step';
  export const cloneRun = 'mellea:run-clone';
  export const openConsole = 'mellea:run-console';
  export const copyId = 'mellea:run-copy-id';
  export const copyLink = 'mellea:run-copy-link';
  export const downloadLogs = 'mellea:run-download-logs';
  export const downloadArtifacts = 'mellea:run-download-artifacts';
  export const shareRun = 'mellea:run-share';
  export const deleteRun = 'mellea:run-delete';
  export const cancelRuns = 'mellea:runs-cancel';
  export const deleteRuns = 'mellea:runs-delete';
  export const compareRuns = 'mellea:runs-compare';
  export const launch = 'mellea:launch';
  export const openDashboard = 'mellea:dashboard-open';
  export const openQuickstart = 'mellea:quickstart-open';
  export const showSidebar = 'mellea:sidebar-show';
  export const toggleNotices = 'mellea:notices-toggle';
  export const editNoticePreferences = 'mellea:notices-preferences';
  export const openFromLink = 'mellea:run-open-link';
}

/** The runs that a command was given. */
export function runIdsOf(args: ReadonlyPartialJSONObject): string[] {
  const runIds = args['runIds'];
  return Array.isArray(runIds) ? runIds.filter(each => typeof each === 'string') : [];
}

/** The argument of the commands that act on one run. */
export const RUN_ARGS = {
  type: 'object',
  properties: { runId: { type: 'string', description: 'Id of the run' } },
  required: ['runId']
} as const;

/** The arguments of the answer to a run that waits at its budget. */
export const BUDGET_ARGS = {
  type: 'object',
  properties: {
    ...RUN_ARGS.properties,
    decision: { enum: ['raise', 'stop'], description: 'Go on, or refuse the call' },
    max_cost_usd: { type: 'number', description: 'The new limit in US dollars' },
    max_llm_calls: { type: 'number', description: 'The new limit of calls' }
  },
  required: ['runId', 'decision']
} as const;

/** The argument of the commands that act on several runs. */
export const RUNS_ARGS = {
  type: 'object',
  properties: {
    runIds: { type: 'array', items: { type: 'string' }, description: 'Ids of the runs' }
  },
  required: ['runIds']
} as const;
