// What is told outside of the panels: the bell, toasts when runs end, today's cost in the status
// bar. Also the menus and shortcuts of `schema/plugin.json`.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry, Notification } from '@jupyterlab/apputils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import type { Notice } from '../api/schema.js';
import { CommandIDs } from '../commands.js';
import { failureOf, NoticesModel, wantsToast } from '../models/notices.js';
import { describeError } from '../components/errors.js';
import { nextStepLabel } from '../components/status.js';
import { NoticesBell } from '../panels/notices/bell.js';
import { NoticesPopup } from '../panels/notices/popup.js';
import { editPreferences } from '../panels/notices/preferences.js';
import { TodayItem } from '../panels/status.js';
import { IMelleaRuns } from '../tokens.js';
import { SETTINGS_ID } from './settings.js';

const BELL = 'mellea-notices';

/** Notices. Its id is that of the settings. */
export const noticesPlugin: JupyterFrontEndPlugin<void> = {
  id: SETTINGS_ID,
  description: 'The bell with notices, toasts when runs end, today’s cost in the status bar.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator, IStatusBar, IToolbarWidgetRegistry, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    { api, stream, runs }: IMelleaRuns,
    translator: ITranslator | null,
    statusBar: IStatusBar | null,
    toolbars: IToolbarWidgetRegistry | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const model = new NoticesModel(api, stream);
    const report = (error: unknown): void => {
      Notification.error(describeError(error), { autoClose: 8000 });
    };
    const popup = new NoticesPopup(
      model,
      {
        openRun: runId => void app.commands.execute(CommandIDs.openRun, { runId }),
        takeNextStep: runId => void app.commands.execute(CommandIDs.takeNextStep, { runId }),
        openDashboard: () => void app.commands.execute(CommandIDs.openDashboard),
        editPreferences: () => void app.commands.execute(CommandIDs.editNoticePreferences),
        report
      },
      trans
    );
    app.commands.addCommand(CommandIDs.toggleNotices, {
      label: trans.__('Show notifications of runs'),
      caption: trans.__('Open or close the list of runs that have ended'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        const bell = document.querySelector<HTMLElement>('.jp-MelleaBell button');
        popup.toggle(bell ?? document.body);
      }
    });
    app.commands.addCommand(CommandIDs.editNoticePreferences, {
      label: trans.__('Notification preferences of runs…'),
      caption: trans.__('Choose when toasts and mails tell of runs that end'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        try {
          await editPreferences(api, await api.getNotificationSettings(), trans);
        } catch (error) {
          report(error);
        }
      }
    });
    for (const command of [CommandIDs.toggleNotices, CommandIDs.editNoticePreferences]) {
      palette?.addItem({ command, category: trans.__('Mellea') });
    }
    toolbars?.addFactory('TopBar', BELL, () => new NoticesBell(model, popup, trans));
    statusBar?.registerStatusItem('mellea-jupyter:today', {
      item: new TodayItem(runs, app.commands, trans),
      align: 'right',
      rank: 50
    });
    new Toasts(model, app, trans, report);
  }
};

/** A toast a notice; one that tells of further runs is changed, not shown again. */
class Toasts {
  private readonly shown = new Map<string, { id: string; type: ToastType }>();

  constructor(
    private readonly model: NoticesModel,
    private readonly app: JupyterFrontEnd,
    private readonly trans: TranslationBundle,
    private readonly report: (error: unknown) => void
  ) {
    model.arrived.connect((_, notice) => void this.show(notice));
  }

  private async show(notice: Notice): Promise<void> {
    if (!wantsToast(notice, await this.model.loadSettings())) {
      return;
    }
    const failure = failureOf(notice);
    const step = failure && nextStepLabel(failure, this.trans);
    const text = failure
      ? `${notice.title} (${failure.summary}). ${failure.explanation}`
      : notice.body
        ? `${notice.title} (${notice.body})`
        : notice.title;
    const options = {
      autoClose: failure ? 10_000 : 6000,
      actions: [
        ...(step ? [{ label: step, callback: () => this.takeNextStep(notice) }] : []),
        { label: this.trans.__('Open'), callback: () => this.open(notice) }
      ]
    };
    const type = toastType(notice);
    const shown = this.shown.get(notice.id);
    if (shown?.type === type) {
      if (Notification.update({ id: shown.id, message: text, ...options })) {
        return;
      }
    } else if (shown) {
      Notification.dismiss(shown.id); // the colour of one on the screen can not be changed
    }
    this.shown.set(notice.id, { id: Notification.emit(text, type, options), type });
  }

  private takeNextStep(notice: Notice): void {
    const runId = notice.runs[0]?.run_id ?? '';
    void this.app.commands.execute(CommandIDs.takeNextStep, { runId });
    this.model.markRead(notice.id).catch(this.report);
  }

  private open(notice: Notice): void {
    const first = notice.runs[0];
    const [command, args] =
      notice.run_count === 1 && first?.link
        ? [CommandIDs.openRun, { runId: first.run_id }]
        : [CommandIDs.openDashboard, {}];
    void this.app.commands.execute(command, args);
    this.model.markRead(notice.id).catch(this.report);
  }
}

type ToastType = 'error' | 'warning' | 'success' | 'info';

function toastType({ by_status, runs, run_count, type }: Notice): ToastType {
  if (type === 'run_shared') {
    return 'info';
  }
  if (by_status.failed) {
    return 'error';
  }
  const isUnmet = run_count === 1 && runs[0]?.status === 'succeeded' && runs[0].reason !== '';
  return by_status.cancelled || isUnmet ? 'warning' : 'success';
}
