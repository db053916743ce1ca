// *Run with Mellea…*: from the file browser, the launcher and the palette; and its variants for
// runs that exist, *Clone configuration* and *Retry with changes…*.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONValue } from '@lumino/coreutils';
import type { EnvironmentList, ModelOffer, Run, RunCheck } from '../api/schema.js';
import { CommandIDs, RUN_ARGS } from '../commands.js';
import { runsIcon } from '../icons.js';
import { describeError } from '../components/errors.js';
import { showLaunchDialog } from '../panels/launch/index.js';
import { DatasetOffers } from '../panels/launch/offers.js';
import {
  configOf,
  emptyValues,
  findProblems,
  overridesOf,
  problemsOf,
  recallValues,
  tagsOf,
  valuesOf,
  withoutSecrets,
  type ILaunchValues
} from '../panels/launch/values.js';
import { IMelleaRuns } from '../tokens.js';
import { SETTINGS_ID } from './settings.js';
import { runIdUnderMenu } from './run.js';

const PROGRAM = /\.(py|ipynb)$/i;

/** The launch dialog's commands. */
export const launchPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:launch',
  description: 'Starts programs as runs.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [
    ITranslator,
    IDefaultFileBrowser,
    IDocumentManager,
    IStateDB,
    ISettingRegistry,
    ICommandPalette,
    ILauncher
  ],
  activate: (
    app: JupyterFrontEnd,
    mellea: IMelleaRuns,
    translator: ITranslator | null,
    browser: IDefaultFileBrowser | null,
    documents: IDocumentManager | null,
    state: IStateDB | null,
    settings: ISettingRegistry | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const launch = new Launch({ app, mellea, documents, state, settings, trans });
    const { commands } = app;

    commands.addCommand(CommandIDs.launch, {
      label: trans.__('Run with Mellea…'),
      caption: trans.__('Run a program as a managed run'),
      icon: args => (args['isPalette'] ? undefined : runsIcon),
      describedBy: {
        args: {
          type: 'object',
          properties: { path: { type: 'string', description: 'Program, relative to the root' } }
        }
      },
      execute: args => {
        const given = args['path'];
        return launch.program(
          typeof given === 'string'
            ? given
            : selectedProgram(browser) || openProgram(app, documents)
        );
      }
    });
    for (const [id, label, act] of [
      [CommandIDs.cloneRun, trans.__('Clone configuration…'), 'clone'],
      [CommandIDs.retryEdited, trans.__('Retry with changes…'), 'retry']
    ] as const) {
      commands.addCommand(id, {
        label,
        describedBy: { args: RUN_ARGS },
        execute: async args => {
          const runId = args['runId'] ?? runIdUnderMenu(app);
          if (typeof runId === 'string') {
            await launch[act](runId);
          }
        }
      });
    }
    palette?.addItem({
      command: CommandIDs.launch,
      category: trans.__('Mellea'),
      args: { isPalette: true }
    });
    launcher?.add({ command: CommandIDs.launch, category: trans.__('Mellea'), rank: 1 });
  }
};

/** The program that is selected in the file browser; empty when it is none. */
function selectedProgram(browser: IDefaultFileBrowser | null): string {
  for (const item of browser?.selectedItems() ?? []) {
    if (PROGRAM.test(item.path)) {
      return item.path.replace(/^[^:/]*:/, ''); // without the drive
    }
  }
  return '';
}

/** The program that is in front; empty when it is none. */
function openProgram(app: JupyterFrontEnd, documents: IDocumentManager | null): string {
  const { currentWidget } = app.shell;
  const path = currentWidget ? documents?.contextForWidget(currentWidget)?.localPath : undefined;
  return path !== undefined && PROGRAM.test(path) ? path : '';
}

interface ILaunchParts {
  app: JupyterFrontEnd;
  mellea: IMelleaRuns;
  documents: IDocumentManager | null;
  state: IStateDB | null;
  settings: ISettingRegistry | null;
  trans: TranslationBundle;
}

class Launch {
  constructor(private readonly parts: ILaunchParts) {}

  /** Ask how to run a program, and run it. */
  async program(path: string): Promise<void> {
    const { trans } = this.parts;
    const last = await this.recall(path);
    await this.ask({
      title: trans.__('Run with Mellea'),
      initial: last ?? emptyValues(path),
      isProgramFixed: false,
      describe: values => ({ path: values.path.trim(), config: configOf(values) }),
      submit: values => this.create(values)
    });
  }

  /** A new run of the same program, beginning with the config of another run. */
  async clone(runId: string): Promise<void> {
    const { mellea, trans } = this.parts;
    const run = await this.read(runId);
    if (run) {
      await this.ask({
        title: trans.__('Clone configuration'),
        initial: valuesOf(run.asset_name, run.config, run.tags),
        isProgramFixed: true,
        describe: values => ({
          asset_id: run.asset_id,
          config: { ...run.config, ...configOf(values) }
        }),
        submit: values =>
          mellea.api.createRun({
            asset_id: run.asset_id,
            config: { ...run.config, ...configOf(values) },
            tags: run.tags
          })
      });
    }
  }

  /** The same run again, with overrides. */
  async retry(runId: string): Promise<void> {
    const { mellea, trans } = this.parts;
    const run = await this.read(runId);
    if (run) {
      await this.ask({
        title: trans.__('Retry with changes'),
        initial: valuesOf(run.asset_name, run.config, run.tags),
        isProgramFixed: true,
        keepsSecrets: true,
        describe: values => ({ retry_of: run.id, config: overridesOf(run.config, values) }),
        submit: values => mellea.api.retryRun(run.id, overridesOf(run.config, values))
      });
    }
  }

  private async ask(options: {
    title: string;
    initial: ILaunchValues;
    isProgramFixed: boolean;
    keepsSecrets?: boolean;
    /** The run that the values stand for, to have the server look at it. */
    describe: (values: ILaunchValues) => { [Field in keyof RunCheck]: unknown };
    submit: (values: ILaunchValues) => Promise<Run>;
  }): Promise<void> {
    const { app, mellea, trans } = this.parts;
    const datasets = new DatasetOffers(mellea.api);
    const [environments, models] = await Promise.all([
      this.environments(),
      this.models(),
      datasets.load()
    ]);
    const run = await showLaunchDialog({
      ...options,
      environments: environments.environments,
      defaultEnvironmentId: environments.default_id,
      models,
      datasets,
      check: async (values, signal) => {
        const body = options.describe(values) as RunCheck;
        return problemsOf((await mellea.api.checkRun(body, { signal })).problems, values);
      },
      findProblems: values =>
        findProblems(
          values,
          {
            environments: environments.environments,
            isUnsaved: !options.isProgramFixed && this.isUnsaved(values.path),
            keepsSecrets: options.keepsSecrets ?? false
          },
          trans
        ),
      trans
    });
    if (run !== null) {
      mellea.runs.accept(run);
      await app.commands.execute(CommandIDs.openRun, { runId: run.id });
    }
  }

  private async create(values: ILaunchValues): Promise<Run> {
    const { api } = this.parts.mellea;
    const asset = await api.registerAsset({ path: values.path.trim() });
    const run = await api.createRun({
      asset_id: asset.id,
      config: configOf(values),
      tags: tagsOf(values)
    });
    const kept = withoutSecrets(values) as unknown as ReadonlyJSONValue;
    await this.parts.state?.save(memoryKey(values.path.trim()), kept);
    return run;
  }

  /** What was asked for the last time this program was run from here. */
  private async recall(path: string): Promise<ILaunchValues | null> {
    const found = path === '' ? undefined : await this.parts.state?.fetch(memoryKey(path));
    return found && typeof found === 'object' ? recallValues(path, found) : null;
  }

  private async read(runId: string): Promise<Run | null> {
    try {
      return await this.parts.mellea.api.getRun(runId);
    } catch (error) {
      Notification.error(describeError(error), { autoClose: 8000 });
      return null;
    }
  }

  private async environments(): Promise<EnvironmentList> {
    try {
      return await this.parts.mellea.api.listEnvironments();
    } catch {
      return { environments: [], default_id: '' }; // the default one remains; a real fault shows when the run is created
    }
  }

  /** What the server offers, then the models of one's own settings. */
  private async models(): Promise<ModelOffer[]> {
    const { mellea, settings } = this.parts;
    const [offered, loaded] = await Promise.all([
      mellea.api.listModels().then(
        reply => reply.models,
        () => [] // a model can be typed
      ),
      settings?.load(SETTINGS_ID).catch(() => null)
    ]);
    const own = loaded?.composite['models'];
    const names = new Set(offered.map(({ model }) => model));
    return [
      ...offered,
      ...(Array.isArray(own) ? own.map(String) : [])
        .filter(model => !names.has(model))
        .map(model => ({ model, source: 'configured' as const }))
    ];
  }

  private isUnsaved(path: string): boolean {
    const { documents } = this.parts;
    const widget = documents?.findWidget(path.trim());
    return widget ? (documents?.contextForWidget(widget)?.model.dirty ?? false) : false;
  }
}

function memoryKey(path: string): string {
  return `mellea-jupyter:launch:${path}`;
}
