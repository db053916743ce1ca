import { expect, test } from 'vitest';
import { changeText, compareRuns } from '../../src/panels/compare/rows.js';
import { makeRun, trans } from '../helpers.js';

const base = makeRun({ status: 'succeeded' });

function rows(title: string, ...runs: ReturnType<typeof makeRun>[]) {
  return compareRuns(runs, trans).find(group => group.title === title)?.rows ?? [];
}

test('what differs comes first, and nothing is shown of what nobody has', () => {
  const other = makeRun({
    status: 'failed',
    config: { ...base.config, timeout_seconds: 60, env_vars: { DEBUG: '1' } }
  });
  const configuration = rows('Configuration', base, other);
  expect(configuration.map(row => [row.label, row.isDifferent]).slice(0, 3)).toEqual([
    ['Variable DEBUG', true],
    ['Timeout', true],
    ['Model steering', false]
  ]);
  expect(configuration[0]?.values).toEqual(['', '1']);
  expect(configuration.map(row => row.label)).not.toContain('Arguments');
  expect(rows('Outcome', base, other)[0]).toMatchObject({
    label: 'Status',
    values: ['succeeded', 'failed']
  });
});

test('metrics are compared by their number and told against the first run', () => {
  const with_ = (llm_calls: number) => makeRun({ metrics: { ...base.metrics, llm_calls } });
  const calls = rows('LLM usage', with_(4), with_(6), with_(4)).find(row => row.label === 'Calls');
  expect(calls).toMatchObject({
    values: ['4', '6', '4'],
    changes: ['', '+50\u202f%', ''],
    isDifferent: true
  });
});

test('parameters and datasets stand in a row each, by name', () => {
  const bound = makeRun({
    config: {
      ...base.config,
      parameters: { city: 'Porto' },
      datasets: [{ name: 'data', dataset_id: 'ds_1', version: null }]
    }
  });
  const configuration = rows('Configuration', bound, base);
  expect(configuration.slice(0, 2)).toMatchObject([
    { label: 'Parameter city', values: ['"Porto"', ''] },
    { label: 'Dataset data', values: ['ds_1 @ latest', ''] }
  ]);
});

test.each([
  [100, 112, '+12\u202f%'],
  [100, 50, '−50\u202f%'],
  [100, 100.1, ''],
  [2, 30, '×15'],
  [0, 5, ''],
  [null, 5, ''],
  [5, null, '']
])('from %s to %s is %j', (from, to, text) => expect(changeText(from, to)).toBe(text));
