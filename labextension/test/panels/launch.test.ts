import { describe, expect, test } from 'vitest';
import type { Environment } from '../../src/api/schema.js';
import {
  configOf,
  emptyValues,
  findProblems,
  joinArgs,
  overridesOf,
  prepare,
  problemsOf,
  recallValues,
  splitArgs,
  tagsOf,
  valuesOf,
  withoutSecrets,
  type ILaunchValues
} from '../../src/panels/launch/values.js';
import { makeRun, makeStep, trans } from '../helpers.js';

const environments = [
  { id: 'good', available: true, reason: null },
  { id: 'bad', available: false, reason: 'mellea is not installed there' },
  { id: 'new', available: false, reason: 'being checked', checked_at: null }
].map(each => ({ checked_at: '2026-01-15T10:00:00.000Z', ...each })) as Environment[];

function problems(change: Partial<ILaunchValues>, isUnsaved = false): string[] {
  const preflight = { environments, isUnsaved, keepsSecrets: false };
  return findProblems({ ...emptyValues('trip.py'), ...change }, preflight, trans).map(
    problem => `${problem.field}${problem.isWarning ? '?' : ''}`
  );
}

test('a fresh dialog can run at once', () => expect(problems({})).toEqual([]));

test.each([
  [{ path: ' ' }, ['path']],
  [{ environmentId: 'bad' }, ['environmentId']],
  [{ environmentId: 'good' }, []],
  [{ environmentId: 'new' }, []],
  [{ args: '--city "Lisbon' }, ['args']],
  [{ variables: [{ name: '', value: 'x' }] }, ['variables']],
  [{ variables: [{ name: 'A-B', value: 'x' }] }, ['variables']],
  [{ variables: [{ name: 'API_KEY', value: '••••' }] }, ['variables']],
  [{ datasets: [{ name: '', datasetId: '', version: 'latest' }] }, []],
  [{ datasets: [{ name: 'data', datasetId: '', version: 'latest' }] }, ['datasets']],
  [{ datasets: [{ name: '', datasetId: 'ds_1', version: 'latest' }] }, ['datasets']],
  [{ datasets: [{ name: 'a-b', datasetId: 'ds_1', version: 'latest' }] }, ['datasets']],
  [{ datasets: [{ name: 'data', datasetId: 'ds_1', version: 'latest' }] }, []],
  [{ timeoutSeconds: '0' }, ['timeoutSeconds']],
  [{ timeoutSeconds: 'soon' }, ['timeoutSeconds']],
  [{ timeoutSeconds: '604801' }, ['timeoutSeconds']],
  [{ quotaMb: '' }, ['quotaMb']],
  [{ quotaMb: '-1' }, ['quotaMb']],
  [{ maxLlmCalls: '0' }, ['maxLlmCalls']],
  [{ maxLlmCalls: '1.5' }, ['maxLlmCalls']],
  [{ maxLlmCalls: '20' }, []],
  [{ maxCostUsd: '0' }, ['maxCostUsd']],
  [{ maxCostUsd: 'a lot' }, ['maxCostUsd']],
  [{ maxCostUsd: '0.50' }, []],
  [{ memoryMb: '600' }, ['memoryMb?']],
  [{ memoryMb: 'much' }, ['memoryMb']]
] as [Partial<ILaunchValues>, string[]][])('%j has problems %j', (change, expected) =>
  expect(problems(change)).toEqual(expected)
);

test('an unsaved file is a warning', () => expect(problems({}, true)).toEqual(['path?']));

test('values become a config', () => {
  const config = configOf({
    ...emptyValues('trip.py'),
    model: ' demo/scripted ',
    args: `--city 'São Paulo'`,
    variables: [
      { name: 'DEBUG', value: 'true' },
      { name: '', value: '' }
    ],
    datasets: [
      { name: ' a', datasetId: 'ds_1', version: 'latest' },
      { name: '', datasetId: '', version: 'latest' },
      { name: 'b', datasetId: 'ds_2', version: '9c1b2d' }
    ],
    maxLlmCalls: ' 20 '
  });
  expect(config).toMatchObject({
    model: 'demo/scripted',
    environment_id: null,
    args: ['--city', 'São Paulo'],
    env_vars: { DEBUG: 'true' },
    datasets: [
      { name: 'a', dataset_id: 'ds_1', version: 'latest' },
      { name: 'b', dataset_id: 'ds_2', version: '9c1b2d' }
    ],
    timeout_seconds: 3600,
    max_llm_calls: 20
  });
});

test('what the server found stands next to its field', () => {
  const problem = { message: 'No.', hint: 'Do this.', severity: 'error' as const };
  const fields = ['path', 'config.env_vars.A-B', 'config.model', 'config.parameters', 'asset_id'];
  const found = fields.map(field => ({ ...problem, field }));
  const values = emptyValues('trip.py');
  expect(problemsOf(found, values).map(each => each.field)).toEqual([
    'path',
    'variables',
    'model',
    null,
    null
  ]);
  expect(problemsOf([{ ...problem, field: 'path', message: 'No' }], values)).toEqual([
    { field: 'path', row: undefined, text: 'No. Do this.', isWarning: false }
  ]);
});

test('what the server found about a dataset stands next to its row', () => {
  const datasets = [
    { name: 'a', datasetId: 'ds_1', version: 'latest' },
    { name: '', datasetId: '', version: 'latest' }, // not sent, so the server does not count it
    { name: 'b', datasetId: 'ds_2', version: 'latest' }
  ];
  const problem = { message: 'No.', hint: '', severity: 'error' as const };
  const fields = ['config.datasets.1.dataset_id', 'config.datasets.0.name', 'config.datasets'];
  const found = problemsOf(
    fields.map(field => ({ ...problem, field })),
    { datasets }
  );
  expect(found.map(({ field, row }) => [field, row])).toEqual([
    ['datasets', 2],
    ['datasets', 0],
    ['datasets', undefined]
  ]);
});

test('a run fills the dialog with its datasets, and unchanged they are no override', () => {
  const { config } = makeRun();
  const before = {
    ...config,
    datasets: [{ name: 'train', dataset_id: 'ds_1', version: '9c1b2d' }]
  };
  const values = valuesOf('trip.py', before, []);
  expect(values.datasets).toEqual([{ name: 'train', datasetId: 'ds_1', version: '9c1b2d' }]);
  expect(overridesOf(before, values)).toEqual({});
  const [row] = values.datasets;
  const changed = { ...values, datasets: [{ ...row!, version: 'latest' }] };
  expect(overridesOf(before, changed)).toEqual({
    datasets: [{ name: 'train', dataset_id: 'ds_1', version: 'latest' }]
  });
});

test('what was remembered of another form is left out', () => {
  const kept = { name: 'a', datasetId: 'ds_1', version: 'latest' };
  const found = { args: '-v', datasets: [{ name: 'b', value: 'ds_2@v3' }, kept] };
  expect(recallValues('a.py', found)).toEqual({
    ...emptyValues('a.py'),
    args: '-v',
    datasets: [kept]
  });
});

test('secrets are not remembered', () => {
  const variables = [
    { name: 'OPENAI_API_KEY', value: 'sk-1' },
    { name: 'github_token', value: 't' },
    { name: 'DEBUG', value: '1' },
    { name: 'MAX_TOKENS', value: '9' }
  ];
  expect(withoutSecrets({ ...emptyValues('a.py'), variables }).variables).toEqual(
    variables.slice(2)
  );
});

describe('overrides of a retry', () => {
  const { config } = makeRun();
  const before = { ...config, env_vars: { A: '1', B: '2', API_KEY: '••••' } };

  test('nothing changed sends nothing', () => {
    expect(overridesOf(before, valuesOf('trip.py', before, []))).toEqual({});
  });

  test('only what changed is sent; variables merge, and null removes', () => {
    const values = {
      ...valuesOf('trip.py', before, []),
      timeoutSeconds: '60',
      variables: [
        { name: 'A', value: '9' },
        { name: 'API_KEY', value: '••••' }
      ]
    };
    expect(overridesOf(before, values)).toEqual({
      timeout_seconds: 60,
      env_vars: { A: '9', B: null }
    });
  });
});

test.each([
  ['', []],
  ['  a  b ', ['a', 'b']],
  [`a "b c" 'd "e"' f\\ g ""`, ['a', 'b c', 'd "e"', 'f g', '']],
  [`"open`, null]
])('the words of %j are %j', (text, words) => expect(splitArgs(text)).toEqual(words));

test('words survive being joined and split', () => {
  const words = ['plain', 'with space', "it's", '"quoted"', '', '$HOME', 'back\\slash'];
  expect(splitArgs(joinArgs(words))).toEqual(words);
});

test('tags are separated by commas', () => {
  expect(tagsOf({ ...emptyValues('a.py'), tags: ' a, b ,,' })).toEqual(['a', 'b']);
});

test('a budget is asked about only where there is one', () => {
  const values = { ...emptyValues('trip.py'), onBudget: 'ask' };
  expect(configOf(values)).toMatchObject({ max_cost_usd: null, on_budget: 'stop' });
  expect(configOf({ ...values, maxCostUsd: ' 0.50 ' })).toMatchObject({
    max_cost_usd: '0.50',
    on_budget: 'ask'
  });
});

test('a kernel is kept where that was asked for, and a retry keeps the answer', () => {
  const values = { ...emptyValues('trip.py'), keepKernel: true };
  expect(configOf(emptyValues('trip.py'))).toMatchObject({ keep_kernel: false });
  expect(configOf(values)).toMatchObject({ keep_kernel: true });
  const config = { ...makeRun().config, keep_kernel: true };
  expect(valuesOf('trip.py', config, [])).toMatchObject({ keepKernel: true });
  const found = [
    { field: 'config.keep_kernel', message: 'no kernel', hint: '', severity: 'error' as const }
  ];
  expect(problemsOf(found, values)).toMatchObject([{ field: 'keepKernel' }]);
});

describe('what a failure asks for is prepared', () => {
  const config = { ...makeRun().config, env_vars: { OPENAI_API_KEY: '••••', CITY: 'Lisbon' } };
  const values = valuesOf('trip.py', config, []);

  test('more time', () => {
    const step = makeStep({
      action: 'retry_with_more_time',
      overrides: { timeout_seconds: 7200 }
    });
    const prepared = prepare(values, step);
    expect(prepared.focus).toBe('timeoutSeconds');
    expect(overridesOf(config, prepared.values)).toEqual({ timeout_seconds: 7200 });
  });

  test.each([
    [{ max_cost_usd: '1.00' }, 'maxCostUsd'],
    [{ max_llm_calls: 40 }, 'maxLlmCalls'],
    [{ max_cost_usd: '1.00', max_llm_calls: 40 }, 'maxCostUsd']
  ])('a larger budget %j', (overrides, focus) => {
    const prepared = prepare(values, makeStep({ action: 'retry_with_more_budget', overrides }));
    expect(prepared.focus).toBe(focus);
    expect(overridesOf(config, prepared.values)).toEqual(overrides);
  });

  test('a key takes the place of the one that was refused', () => {
    const step = makeStep({ action: 'set_key', value: 'OPENAI_API_KEY' });
    const prepared = prepare(values, step);
    expect(prepared.focus).toBe('variables');
    expect(prepared.values.variables).toEqual([
      { name: 'OPENAI_API_KEY', value: '' },
      { name: 'CITY', value: 'Lisbon' }
    ]);
  });

  test('more memory is a matter of the environment', () => {
    const step = makeStep({ action: 'retry_with_more_memory', value: '600' });
    const prepared = prepare(values, step);
    expect(prepared).toEqual({ values: { ...values, memoryMb: '600' }, focus: 'memoryMb' });
    expect(overridesOf(config, prepared.values)).toEqual({});
  });
});
