import { describe, expect, test } from 'vitest';
import type { Environment } from '../../src/api/schema.js';
import {
  configOf,
  emptyValues,
  findProblems,
  joinArgs,
  overridesOf,
  problemsOf,
  splitArgs,
  tagsOf,
  valuesOf,
  withoutSecrets,
  type ILaunchValues
} from '../../src/panels/launch/values.js';
import { makeRun, trans } from '../helpers.js';

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
  [{ datasets: [{ name: 'data', value: '' }] }, ['datasets']],
  [{ timeoutSeconds: '0' }, ['timeoutSeconds']],
  [{ timeoutSeconds: 'soon' }, ['timeoutSeconds']],
  [{ timeoutSeconds: '604801' }, ['timeoutSeconds']],
  [{ quotaMb: '' }, ['quotaMb']],
  [{ quotaMb: '-1' }, ['quotaMb']],
  [{ maxLlmCalls: '0' }, ['maxLlmCalls']],
  [{ maxLlmCalls: '1.5' }, ['maxLlmCalls']],
  [{ maxLlmCalls: '20' }, []]
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
      { name: 'a', value: 'ds_1' },
      { name: 'b', value: 'ds_2@v3' }
    ],
    maxLlmCalls: ' 20 '
  });
  expect(config).toMatchObject({
    model: 'demo/scripted',
    environment_id: null,
    args: ['--city', 'São Paulo'],
    env_vars: { DEBUG: 'true' },
    datasets: [
      { name: 'a', dataset_id: 'ds_1', version: null },
      { name: 'b', dataset_id: 'ds_2', version: 'v3' }
    ],
    timeout_seconds: 3600,
    max_llm_calls: 20
  });
});

test('what the server found stands next to its field', () => {
  const problem = { message: 'No.', hint: 'Do this.', severity: 'error' as const };
  const fields = ['path', 'config.env_vars.A-B', 'config.model', 'config.parameters', 'asset_id'];
  expect(problemsOf(fields.map(field => ({ ...problem, field }))).map(each => each.field)).toEqual([
    'path',
    'variables',
    'model',
    null,
    null
  ]);
  expect(problemsOf([{ ...problem, field: 'path', message: 'No' }])).toEqual([
    { field: 'path', text: 'No. Do this.', isWarning: false }
  ]);
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
