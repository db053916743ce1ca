// *Run with Mellea…*, *Clone configuration* and *Retry with changes…*: from values to a run. Loaded
// when the first of them is asked for.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONValue } from '@lumino/coreutils';
import type { EnvironmentList, ModelOffer, NextStep, Run, RunCheck } from '../../api/schema.js';
import { CommandIDs } from '../../commands.js';
import { describeError } from '../../components/errors.js';
import { SETTINGS_ID } from '../../plugins/settings.js';
import type { IMelleaRuns } from '../../tokens.js';
import { showLaunchDialog } from './index.js';
import { DatasetOffers } from './offers.js';
import {
  configOf,
  emptyValues,
  findProblems,
  overridesOf,
  prepare,
  problemsOf,
  recallValues,
  tagsOf,
  valuesOf,
  withoutSecrets,
  type ILaunchValues,
  type LaunchField
} from './values.js';

/** What the dialogs need of the lab. */
export interface ILaunchParts {
  app: JupyterFrontEnd;
  mellea: IMelleaRuns;
  documents: IDocumentManager | null;
  state: IStateDB | null;
  settings: ISettingRegistry | null;
  trans: TranslationBundle;
}

/** The dialogs that start runs. */
export class Launch {
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

  /** The same run again, with overrides; `step` is what its failure asks for. */
  async retry(runId: string, step?: NextStep): Promise<void> {
    const { mellea, trans } = this.parts;
    const run = await this.read(runId);
    if (run) {
      const values = valuesOf(run.asset_name, run.config, run.tags);
      const prepared = step && prepare(values, step);
      await this.ask({
        title: trans.__('Retry with changes'),
        initial: prepared?.values ?? values,
        focus: prepared?.focus,
        isProgramFixed: true,
        keepsSecrets: true,
        describe: changed => ({ retry_of: run.id, config: overridesOf(run.config, changed) }),
        submit: async changed => {
          const environment = changed.environmentId || run.environment_id;
          if (changed.memoryMb && environment !== null) {
            await mellea.api.updateEnvironment(environment, {
              memory_mb: Number(changed.memoryMb)
            });
          }
          return mellea.api.retryRun(run.id, overridesOf(run.config, changed));
        }
      });
    }
  }

  private async ask(options: {
    title: string;
    initial: ILaunchValues;
    isProgramFixed: boolean;
    keepsSecrets?: boolean;
    focus?: LaunchField;
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
        const { problems, forecast } = await mellea.api.checkRun(body, { signal });
        return { problems: problemsOf(problems, values), forecast };
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
