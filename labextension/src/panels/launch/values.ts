// What the launch dialog asks for, and how it becomes a RunConfig. Pure.

import type {
  Environment,
  NextStep,
  Problem,
  RunConfig,
  RunConfigInput
} from '../../api/schema.js';
import type { ITranslation } from '../../format.js';

/** A name and a value, as typed. */
export interface IPair {
  name: string;
  value: string;
}

/** A dataset under the name by which the program asks for it. */
export interface IDatasetRow {
  name: string;
  /** Empty while none is chosen. */
  datasetId: string;
  /** `latest` or the version itself. */
  version: string;
}

/** The fields of the dialog, as typed. */
export interface ILaunchValues {
  path: string;
  model: string;
  environmentId: string;
  args: string;
  variables: IPair[];
  datasets: IDatasetRow[];
  timeoutSeconds: string;
  quotaMb: string;
  maxCostUsd: string;
  maxLlmCalls: string;
  /** `stop` or `ask`. */
  onBudget: string;
  /** What the environment is to allow from now on; empty: as it does. */
  memoryMb: string;
  /** Whether the kernel of a run that fails stays, to look around in it. */
  keepKernel: boolean;
  tags: string;
}

/** A field of the dialog. */
export type LaunchField = keyof ILaunchValues;

/** A problem, next to its field. Errors forbid the run, warnings do not. */
export interface IProblem {
  /** Null for what is about no field of the dialog. */
  field: LaunchField | null;
  /** The row of a field that has rows; absent: it is about all of them. */
  row?: number;
  text: string;
  isWarning?: boolean;
}

const SECRET = /KEY|SECRET|PASSWORD|CREDENTIAL|TOKEN(?![A-Z])/i;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const LONGEST_TIMEOUT = 7 * 24 * 3600;
const MASK = '••••';

/** The version that was registered last. */
export const LATEST = 'latest';

/** Whether the server treats a variable of this name as a secret. */
export function isSecretName(name: string): boolean {
  return SECRET.test(name);
}

/** The dialog for a program that was never run. */
export function emptyValues(path: string): ILaunchValues {
  return {
    path,
    model: '',
    environmentId: '',
    args: '',
    variables: [],
    datasets: [],
    timeoutSeconds: '3600',
    quotaMb: '200',
    maxCostUsd: '',
    maxLlmCalls: '',
    onBudget: 'stop',
    memoryMb: '',
    keepKernel: false,
    tags: ''
  };
}

/** The dialog for a run like another one. Masked values have to be typed again. */
export function valuesOf(path: string, config: RunConfig, tags: readonly string[]): ILaunchValues {
  return {
    path,
    model: config.model ?? '',
    environmentId: config.environment_id ?? '',
    args: joinArgs(config.args),
    variables: Object.entries(config.env_vars).map(([name, value]) => ({ name, value })),
    datasets: config.datasets.map(({ name, dataset_id, version }) => ({
      name,
      datasetId: dataset_id,
      version: version ?? LATEST
    })),
    timeoutSeconds: String(config.timeout_seconds),
    quotaMb: String(config.artifact_quota_mb),
    maxCostUsd: config.max_cost_usd ?? '',
    onBudget: config.on_budget,
    keepKernel: config.keep_kernel,
    maxLlmCalls: config.max_llm_calls === null ? '' : String(config.max_llm_calls),
    memoryMb: '',
    tags: tags.join(', ')
  };
}

/** The values with what a failure asks for, and the field that the person is to look at. */
export function prepare(
  values: ILaunchValues,
  { action, value, overrides }: NextStep
): { values: ILaunchValues; focus: LaunchField | undefined } {
  const { timeout_seconds: timeout, max_cost_usd: cost, max_llm_calls: calls } = overrides ?? {};
  switch (action) {
    case 'set_key': {
      const name = value ?? '';
      const others = values.variables.filter(pair => pair.name !== name);
      const variables = [{ name, value: '' }, ...others];
      return { values: { ...values, variables }, focus: 'variables' };
    }
    case 'retry_with_more_time':
      return {
        values: { ...values, timeoutSeconds: String(timeout ?? values.timeoutSeconds) },
        focus: 'timeoutSeconds'
      };
    case 'retry_with_more_budget':
      return {
        values: {
          ...values,
          maxCostUsd: String(cost ?? values.maxCostUsd),
          maxLlmCalls: String(calls ?? values.maxLlmCalls)
        },
        focus: cost === undefined && calls !== undefined ? 'maxLlmCalls' : 'maxCostUsd'
      };
    case 'retry_with_more_memory':
      return { values: { ...values, memoryMb: value ?? '' }, focus: 'memoryMb' };
    default:
      return { values, focus: undefined };
  }
}

/** What of the values may be written to a file: no secrets. */
export function withoutSecrets(values: ILaunchValues): ILaunchValues {
  return { ...values, variables: values.variables.filter(({ name }) => !isSecretName(name)) };
}

/** What was remembered of a program's values; rows of another shape are left out. */
export function recallValues(path: string, found: object): ILaunchValues {
  const values = { ...emptyValues(path), ...found, path };
  const isRow = (row: Partial<IDatasetRow>): boolean => typeof row.datasetId === 'string';
  return { ...values, datasets: values.datasets.filter(isRow) };
}

/** A row that nobody has filled is none. */
function isFilled(row: IDatasetRow): boolean {
  return row.name.trim() !== '' || row.datasetId !== '';
}

/** The config that the values stand for. Call it when `findProblems` found no error. */
export function configOf(values: ILaunchValues): RunConfigInput {
  const variables = values.variables.filter(({ name }) => name.trim() !== '');
  return {
    model: values.model.trim() || null,
    environment_id: values.environmentId || null,
    args: splitArgs(values.args) ?? [],
    env_vars: Object.fromEntries(variables.map(({ name, value }) => [name.trim(), value])),
    datasets: values.datasets.filter(isFilled).map(({ name, datasetId, version }) => ({
      name: name.trim(),
      dataset_id: datasetId,
      version
    })),
    timeout_seconds: Number(values.timeoutSeconds),
    artifact_quota_mb: Number(values.quotaMb),
    max_cost_usd: values.maxCostUsd.trim() === '' ? null : values.maxCostUsd.trim(),
    max_llm_calls: values.maxLlmCalls.trim() === '' ? null : Number(values.maxLlmCalls),
    on_budget: hasBudget(values) && values.onBudget === 'ask' ? 'ask' : 'stop',
    keep_kernel: values.keepKernel
  };
}

/** Whether money or calls are limited. */
export function hasBudget({ maxCostUsd, maxLlmCalls }: ILaunchValues): boolean {
  return maxCostUsd.trim() !== '' || maxLlmCalls.trim() !== '';
}

/** What of a config differs from another one's, to send with a retry. */
export function overridesOf(before: RunConfig, values: ILaunchValues): Record<string, unknown> {
  const { env_vars, ...after } = configOf(values);
  const overrides: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(after)) {
    const old = before[name as keyof RunConfig];
    if (JSON.stringify(old) !== JSON.stringify(value)) {
      overrides[name] = value;
    }
  }
  const variables: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(env_vars ?? {})) {
    if (before.env_vars[name] !== value && value !== MASK) {
      variables[name] = value;
    }
  }
  for (const name of Object.keys(before.env_vars)) {
    if (!(name in (env_vars ?? {}))) {
      variables[name] = null;
    }
  }
  return Object.keys(variables).length > 0 ? { ...overrides, env_vars: variables } : overrides;
}

/** The tags that were typed, separated by commas. */
export function tagsOf(values: ILaunchValues): string[] {
  return values.tags
    .split(',')
    .map(tag => tag.trim())
    .filter(Boolean);
}

/** What there is to know besides the values. */
export interface IPreflight {
  environments: readonly Environment[];
  /** Whether the program is open with unsaved changes. */
  isUnsaved: boolean;
  /** Whether masked values stay what they are (a retry) or have to be typed (a clone). */
  keepsSecrets: boolean;
}

/** Whether it is known that no run starts there; the first look at one may still go on. */
export function isUnavailable(environment: Environment): boolean {
  return !environment.available && environment.checked_at !== null;
}

/** Everything that is wrong, or worth a warning. */
export function findProblems(
  values: ILaunchValues,
  preflight: IPreflight,
  trans: ITranslation
): IProblem[] {
  const problems: IProblem[] = [];
  const add = (field: LaunchField, text: string, isWarning = false, row?: number): void => {
    problems.push({ field, text, isWarning, row });
  };
  if (values.path.trim() === '') {
    add('path', trans.__('Choose a program.'));
  }
  if (preflight.isUnsaved) {
    add('path', trans.__('The file has unsaved changes; what is saved will run.'), true);
  }
  const environment = preflight.environments.find(each => each.id === values.environmentId);
  if (environment && isUnavailable(environment)) {
    add('environmentId', environment.reason ?? trans.__('This environment is not available.'));
  }
  if (splitArgs(values.args) === null) {
    add('args', trans.__('A quotation mark is not closed.'));
  }
  for (const { name, value } of values.variables) {
    if (name.trim() === '' && value !== '') {
      add('variables', trans.__('A variable has no name.'));
    } else if (name.trim() !== '' && !NAME.test(name.trim())) {
      add('variables', trans.__('“%1” is not a name: letters, digits and _ only.', name));
    } else if (value === MASK && !preflight.keepsSecrets) {
      add('variables', trans.__('Type the value of %1 again; it is not kept here.', name));
    }
  }
  values.datasets.filter(isFilled).forEach(row => {
    const name = row.name.trim();
    const at = values.datasets.indexOf(row);
    if (name === '') {
      const text = trans.__('By which name does the program ask for it?');
      add('datasets', text, false, at);
    } else if (!NAME.test(name)) {
      const text = trans.__('“%1” is not a name: letters, digits and _ only.', name);
      add('datasets', text, false, at);
    } else if (row.datasetId === '') {
      add('datasets', trans.__('Choose a dataset, or register one.'), false, at);
    }
  });
  const timeout = Number(values.timeoutSeconds);
  if (!(timeout > 0 && timeout <= LONGEST_TIMEOUT)) {
    add('timeoutSeconds', trans.__('Between 1 and %1 seconds.', LONGEST_TIMEOUT));
  }
  const quota = Number(values.quotaMb);
  if (values.quotaMb.trim() === '' || !(quota >= 0 && quota <= 1_000_000)) {
    add('quotaMb', trans.__('Between 0 and 1 000 000 MB.'));
  }
  const memory = values.memoryMb.trim();
  if (memory !== '' && !/^[1-9]\d{0,7}$/.test(memory)) {
    add('memoryMb', trans.__('A whole number of MB, or empty to leave it.'));
  } else if (memory !== '') {
    add('memoryMb', trans.__('All runs of this environment get it from now on.'), true);
  }
  const cost = values.maxCostUsd.trim();
  if (cost !== '' && !(/^\d{0,9}(\.\d{1,12})?$/.test(cost) && Number(cost) > 0)) {
    add('maxCostUsd', trans.__('US dollars above 0, e.g. 0.50, or empty for no limit.'));
  }
  if (values.maxLlmCalls.trim() !== '' && !/^[1-9]\d{0,8}$/.test(values.maxLlmCalls.trim())) {
    add('maxLlmCalls', trans.__('A whole number above 0, or empty for no limit.'));
  }
  return problems;
}

const FIELDS: Record<string, LaunchField> = {
  path: 'path',
  'config.model': 'model',
  'config.environment_id': 'environmentId',
  'config.args': 'args',
  'config.env_vars': 'variables',
  'config.datasets': 'datasets',
  'config.timeout_seconds': 'timeoutSeconds',
  'config.artifact_quota_mb': 'quotaMb',
  'config.max_cost_usd': 'maxCostUsd',
  'config.max_llm_calls': 'maxLlmCalls',
  'config.on_budget': 'onBudget',
  'config.keep_kernel': 'keepKernel'
};

/** What the server found in values, next to the fields and rows it is about. */
export function problemsOf(
  found: readonly Problem[],
  { datasets }: Pick<ILaunchValues, 'datasets'>
): IProblem[] {
  const sent = datasets.filter(isFilled);
  return found.map(({ field, message, hint, severity }) => {
    const name = Object.keys(FIELDS).find(each => field === each || field.startsWith(`${each}.`));
    const index = /^config\.datasets\.(\d+)/.exec(field)?.[1];
    const row = index === undefined ? undefined : sent[Number(index)];
    return {
      field: name === undefined ? null : (FIELDS[name] as LaunchField),
      row: row && datasets.indexOf(row),
      text: hint ? `${message.replace(/\.?$/, '.')} ${hint}` : message,
      isWarning: severity === 'warning'
    };
  });
}

/** Words of a command line, as a shell without expansions splits them; null when a quote is open. */
export function splitArgs(text: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const char = text[index] as string;
    if (char === '\\' && quote !== "'" && index + 1 < text.length) {
      index += 1;
      word = (word ?? '') + text[index];
    } else if (quote !== '') {
      if (char === quote) {
        quote = '';
      } else {
        word = (word ?? '') + char;
      }
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== null) {
        words.push(word);
        word = null;
      }
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') {
    return null;
  }
  return word === null ? words : [...words, word];
}

/** The reverse of `splitArgs`. */
export function joinArgs(words: readonly string[]): string {
  return words
    .map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
