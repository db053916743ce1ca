// The commands that act on runs: cancel, retry, clone, copy, download, delete.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { BudgetDecision } from '../api/schema.js';
import { BUDGET_ARGS, CommandIDs, RUN_ARGS, runIdsOf, RUNS_ARGS } from '../commands.js';
import { describeError } from '../components/errors.js';
import { IMelleaRuns } from '../tokens.js';
import { linkOf, runIdUnderMenu } from './run.js';

/** Commands on runs. */
export const actionsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:actions',
  description: 'Commands that act on runs.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, mellea: IMelleaRuns, translator: ITranslator | null): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    addRunCommands(app, mellea, trans);
    addBulkCommands(app, mellea, trans);
  }
};

function addRunCommands(
  app: JupyterFrontEnd,
  { api, runs }: IMelleaRuns,
  trans: TranslationBundle
): void {
  const { commands } = app;
  const add = (
    id: string,
    label: string,
    caption: string,
    act: (runId: string) => Promise<void> | void
  ): void => {
    commands.addCommand(id, {
      label,
      caption,
      describedBy: { args: RUN_ARGS },
      execute: async args => {
        const runId = args['runId'] ?? runIdUnderMenu(app);
        if (typeof runId === 'string') {
          await report(() => act(runId));
        }
      }
    });
  };
  add(CommandIDs.cancelRun, trans.__('Cancel'), trans.__('Stop the run'), async runId => {
    runs.accept(await api.cancelRun(runId));
  });
  add(
    CommandIDs.retryRun,
    trans.__('Retry'),
    trans.__('Run again with the same source and configuration'),
    async runId => {
      const run = await api.retryRun(runId);
      runs.accept(run);
      await commands.execute(CommandIDs.openRun, { runId: run.id });
    }
  );
  add(
    CommandIDs.takeNextStep,
    trans.__('Next step'),
    trans.__('Do or prepare what helps after the failure of the run'),
    async runId => {
      const { error_classification: why } = await api.getRun(runId);
      const step = why?.next_step ?? null;
      if (step === null) {
        await commands.execute(CommandIDs.openRun, { runId });
      } else if (step.command !== null) {
        Clipboard.copyToSystem(step.command);
        Notification.info(trans.__('Copied: %1', step.command), { autoClose: 4000 });
      } else if (step.action === 'retry') {
        await commands.execute(CommandIDs.retryRun, { runId });
      } else if (step.action === 'open_source') {
        const { file, line } = why?.location ?? { file: '', line: 1 };
        await commands.execute(CommandIDs.openRun, { runId, source: { file, line } });
      } else {
        const prepared = step as unknown as ReadonlyPartialJSONObject;
        await commands.execute(CommandIDs.retryEdited, { runId, step: prepared });
      }
    }
  );
  commands.addCommand(CommandIDs.answerBudget, {
    label: trans.__('Answer about the budget'),
    describedBy: { args: BUDGET_ARGS },
    execute: async ({ runId, ...body }) => {
      await report(async () => {
        runs.accept(await api.answerBudget(String(runId), body as unknown as BudgetDecision));
      });
    }
  });
  add(
    CommandIDs.openConsole,
    trans.__('Open console'),
    trans.__('Look into the kernel that the failed run has left'),
    async runId => {
      const { id, name } = await api.openKernel(runId);
      const kernelPreference = { id, name, autoStartDefault: false };
      await commands.execute('console:create', { kernelPreference, name: trans.__('Failed run') });
    }
  );
  add(CommandIDs.copyId, trans.__('Copy id'), trans.__('Copy the id of the run'), runId =>
    Clipboard.copyToSystem(runId)
  );
  add(CommandIDs.copyLink, trans.__('Copy link'), trans.__('Copy a link to the run'), runId =>
    Clipboard.copyToSystem(linkOf(runId))
  );
  add(
    CommandIDs.downloadLogs,
    trans.__('Download logs'),
    trans.__('Download what the program wrote'),
    runId => download(api.logUrl(runId))
  );
  add(
    CommandIDs.downloadArtifacts,
    trans.__('Download all artifacts'),
    trans.__('Download the files that the run kept as one archive'),
    runId => download(api.artifactsZipUrl(runId))
  );
  add(
    CommandIDs.shareRun,
    trans.__('Share…'),
    trans.__('Let others see the run, and see who does'),
    async runId => {
      const { shareRun } = await import('../panels/share/index.js');
      await shareRun(runs.find(runId) ?? (await api.getRun(runId)), api, trans);
    }
  );
  add(
    CommandIDs.deleteRun,
    trans.__('Delete…'),
    trans.__('Remove the record, log and artifacts of the run'),
    runId => commands.execute(CommandIDs.deleteRuns, { runIds: [runId] })
  );
}

function addBulkCommands(
  app: JupyterFrontEnd,
  { api }: IMelleaRuns,
  trans: TranslationBundle
): void {
  const add = (
    id: string,
    label: string,
    question: (count: number) => { title: string; body: string; button: string },
    act: (runIds: string[]) => Promise<Record<string, string>>
  ): void => {
    app.commands.addCommand(id, {
      label,
      describedBy: { args: RUNS_ARGS },
      execute: async args => {
        const runIds = runIdsOf(args);
        if (runIds.length === 0) {
          return;
        }
        const { title, body, button } = question(runIds.length);
        const answer = await showDialog({
          title,
          body,
          buttons: [
            Dialog.cancelButton({ label: trans.__('Keep') }),
            Dialog.warnButton({ label: button })
          ]
        });
        if (answer.button.accept) {
          await report(async () => warnOfErrors(await act(runIds), trans));
        }
      }
    });
  };
  add(
    CommandIDs.cancelRuns,
    trans.__('Cancel runs…'),
    count => ({
      title: trans._n('Cancel %1 run?', 'Cancel %1 runs?', count),
      body: trans.__('Programs get 10 seconds to end by themselves.'),
      button: trans._n('Cancel %1 run', 'Cancel %1 runs', count)
    }),
    runIds => api.cancelRuns(runIds)
  );
  add(
    CommandIDs.deleteRuns,
    trans.__('Delete runs…'),
    count => ({
      title: trans._n('Delete %1 run?', 'Delete %1 runs?', count),
      body: trans.__('Records, logs and artifacts are removed for good.'),
      button: trans._n('Delete %1 run', 'Delete %1 runs', count)
    }),
    runIds => api.deleteRuns(runIds)
  );
}

/** Do it; say in a notice why it did not work. */
async function report(act: () => Promise<void> | void): Promise<void> {
  try {
    await act();
  } catch (error) {
    Notification.error(describeError(error), { autoClose: 8000 });
  }
}

function warnOfErrors(reply: Record<string, string>, trans: TranslationBundle): void {
  const errors = Object.entries(reply).filter(([, said]) => said.startsWith('error'));
  if (errors.length > 0) {
    const [runId, said] = errors[0] as [string, string];
    Notification.warning(
      trans._n(
        '%1 run was left as it is. %2: %3',
        '%1 runs were left as they are. First %2: %3',
        errors.length,
        runId.slice(0, 6),
        said.replace(/^error: /, '')
      ),
      { autoClose: 8000 }
    );
  }
}

/** Let the browser save what is at an address of this server. */
function download(url: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = '';
  link.rel = 'noopener';
  link.click();
}
