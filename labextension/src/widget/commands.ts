// What can be done with runs where there is no JupyterLab: stop, retry, and open as a link.

import type { RunsApi } from '../api/rest.js';
import type { BudgetDecision, Run } from '../api/schema.js';
import { CommandIDs, type ICommands } from '../commands.js';

/** What the commands need. */
export interface IWidgetCommandsOptions {
  api: RunsApi;
  /** Address of a run; null where there is no JupyterLab to open it in. */
  linkOf: ((runId: string) => string) | null;
  /** A newer state of a run. */
  onRun: (run: Run) => void;
  /** A run was started in the place of another. */
  onRetry: (runId: string, retry: Run) => void;
}

/** The widget's commands; components leave out those that are not here. */
export class WidgetCommands implements ICommands {
  private readonly known: Record<string, (args: Record<string, unknown>) => Promise<void>>;

  constructor({ api, linkOf, onRun, onRetry }: IWidgetCommandsOptions) {
    this.known = {
      [CommandIDs.cancelRun]: async ({ runId }) => onRun(await api.cancelRun(String(runId))),
      [CommandIDs.retryRun]: async ({ runId }) =>
        onRetry(String(runId), await api.retryRun(String(runId))),
      [CommandIDs.answerBudget]: async ({ runId, ...body }) =>
        onRun(await api.answerBudget(String(runId), body as unknown as BudgetDecision)),
      [CommandIDs.cancelRuns]: async ({ runIds }) => {
        await api.cancelRuns(runIds as string[]);
      }
    };
    if (linkOf !== null) {
      this.known[CommandIDs.openRun] = async ({ runId }) => {
        window.open(linkOf(String(runId)), '_blank', 'noopener');
      };
    }
  }

  hasCommand(id: string): boolean {
    return id in this.known;
  }

  async execute(id: string, args: Record<string, unknown> = {}): Promise<void> {
    await this.known[id]?.(args);
  }
}
