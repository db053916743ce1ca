// Today's cost in the status bar, a toast when a run ends, and the menus and shortcuts of
// `schema/plugin.json`.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import type { Run } from '../api/schema.js';
import { CommandIDs } from '../commands.js';
import { reasonText, statusText } from '../components/status.js';
import { formatCost, formatDuration } from '../format.js';
import { isUnmet, runTitle } from '../models/statuses.js';
import { TodayItem } from '../panels/status.js';
import { IMelleaRuns } from '../tokens.js';
import { SETTINGS_ID } from './settings.js';

/** Notices. Its id is that of the settings. */
export const noticesPlugin: JupyterFrontEndPlugin<void> = {
  id: SETTINGS_ID,
  description: 'Today’s cost in the status bar, and a notice when a run ends.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator, ISettingRegistry, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    { runs }: IMelleaRuns,
    translator: ITranslator | null,
    registry: ISettingRegistry | null,
    statusBar: IStatusBar | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    let areToastsOn = true;
    registry?.load(SETTINGS_ID).then(
      settings => {
        const read = (): void => {
          areToastsOn = settings.composite['toasts'] !== false;
        };
        read();
        settings.changed.connect(read);
      },
      (error: unknown) => console.warn('The settings of mellea-jupyter can not be read', error)
    );
    runs.runEnded.connect((_, run) => {
      if (areToastsOn) {
        showToast(run, app, trans);
      }
    });
    statusBar?.registerStatusItem('mellea-jupyter:today', {
      item: new TodayItem(runs, app.commands, trans),
      align: 'right',
      rank: 50
    });
  }
};

function showToast(run: Run, app: JupyterFrontEnd, trans: TranslationBundle): void {
  const { metrics } = run;
  const facts = [
    isUnmet(run) ? trans.__('requirements not met') : reasonText(run, trans),
    formatDuration(metrics.total_duration_ms),
    metrics.llm_calls > 0
      ? formatCost(metrics.estimated_cost_usd, metrics.unpriced_calls, trans)
      : ''
  ].filter(Boolean);
  const text = `${runTitle(run)}: ${statusText(run.status, trans)} (${facts.join(', ')})`;
  const type =
    run.status === 'failed' ? 'error' : run.status === 'cancelled' ? 'warning' : 'success';
  Notification.emit(text, isUnmet(run) ? 'warning' : type, {
    autoClose: 6000,
    actions: [
      {
        label: trans.__('Open'),
        callback: () => void app.commands.execute(CommandIDs.openRun, { runId: run.id })
      }
    ]
  });
}
