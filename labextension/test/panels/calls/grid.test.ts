import { expect, test } from 'vitest';
import {
  bestOf,
  gridOf,
  loopCost,
  loopEffort,
  loopResult,
  loopTitle,
  outcomeText
} from '../../../src/panels/calls/grid.js';
import { makeAttempt, makeCall, makeLoop, makeVerdict, trans } from '../../helpers.js';

const attempts = [
  makeAttempt(1, {
    verdicts: [makeVerdict(0), makeVerdict(1, { passed: false, score: 143, reason: '143 words' })]
  }),
  makeAttempt(2, { verdicts: [makeVerdict(0)], is_chosen: true })
];

test('attempts are rows, requirements columns, and each row says how it goes on', () => {
  const { columns, chains } = gridOf(makeLoop(1, { attempts }));
  expect(columns.map(column => [column.text, column.isJudged])).toEqual([
    ['polite', true],
    ['under 100 words', false]
  ]);
  expect(chains).toHaveLength(1);
  const [first, second] = chains[0]?.rows ?? [];
  expect(first?.cells.map(cell => cell.state)).toEqual(['passed', 'failed']);
  expect(first?.next).toBe('repair');
  expect(first?.previous).toBeNull();
  expect(second?.next).toBeNull();
  expect(second?.previous?.attempt).toBe(1);
});

test('what is not there may come while the loop runs, and was not checked afterwards', () => {
  const last = (status: string) =>
    gridOf(makeLoop(1, { attempts, status })).chains[0]?.rows.at(-1)?.cells[1]?.state;
  expect(last('active')).toBe('waiting');
  expect(last('not_met')).toBe('unchecked');
  const first = gridOf(makeLoop(1, { attempts: [makeAttempt(1), makeAttempt(2)] }));
  expect(first.chains[0]?.rows[0]?.cells[0]?.state).toBe('unchecked');
});

test('verdicts of requirements that are not of the loop get columns of their own', () => {
  const odd = makeVerdict(null, { text: 'safe', passed: false });
  const loop = makeLoop(1, { attempts: [makeAttempt(1, { verdicts: [odd] })] });
  const { columns, chains } = gridOf(loop);
  expect(columns.map(column => column.text)).toEqual(['polite', 'under 100 words', 'safe']);
  expect(chains[0]?.rows[0]?.cells.at(-1)).toEqual({ state: 'failed', verdict: odd });
});

test('chains stand apart, and none repairs another', () => {
  const loop = makeLoop(1, {
    attempts: [makeAttempt(1), makeAttempt(2, { form: 'resample' }), makeAttempt(1, { chain: 2 })]
  });
  const { chains } = gridOf(loop);
  expect(chains.map(chain => chain.rows.map(row => row.next))).toEqual([
    ['resample', null],
    [null]
  ]);
});

test('one line says what came of the loop', () => {
  const met = makeLoop(1, {
    attempts,
    status: 'met',
    cost_usd: 0.0021,
    repair_cost_usd: 0.00122
  });
  expect(loopEffort(met, trans)).toEqual(['RepairTemplate', '2 attempts']);
  expect(outcomeText(met, trans)).toBe('met on 2nd');
  expect(loopResult(met, trans)).toEqual(['$0.0021 (repair 58\u202f%)']);
  expect(loopResult({ ...met, status: 'not_met', left_out: 1200 }, trans)).toEqual([
    'best 1 of 2',
    '$0.0021 (repair 58\u202f%)',
    '1\u202f200 records not kept'
  ]);
  expect(outcomeText({ ...met, status: 'not_met' }, trans)).toBe('requirements not met after 2');
  expect(outcomeText({ ...met, status: 'active' }, trans)).toBe('attempt 2 of 3');
  expect(outcomeText({ ...met, status: 'active', budget: null }, trans)).toBe('attempt 2');
  expect(outcomeText({ ...met, status: 'failed', error: 'ValueError: no' }, trans)).toBe(
    'failed: ValueError: no'
  );
  expect(bestOf(met)).toEqual({ passed: 1, of: 2 });
  expect(bestOf(makeLoop(2))).toBeNull();
});

test('ordinals are those of English', () => {
  const metOn = (attempt: number) =>
    outcomeText(
      makeLoop(1, { status: 'met', attempts: [makeAttempt(attempt, { is_chosen: true })] }),
      trans
    );
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 112].map(metOn)).toEqual(
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '22nd', '112th'].map(
      ordinal => `met on ${ordinal}`
    )
  );
});

test('money that is not known is never nothing', () => {
  const cost = (change: object) => loopCost(makeLoop(1, change), trans);
  expect(cost({ cost_usd: null, unpriced_calls: 3 })).toBe('unpriced');
  expect(cost({ cost_usd: 0, unpriced_calls: 3 })).toBe('unpriced');
  expect(cost({ cost_usd: 0.5, unpriced_calls: 1 })).toBe('≥\u202f$0.50');
  expect(cost({ cost_usd: 0, unpriced_calls: 0 })).toBe('');
  expect(cost({ cost_usd: null, unpriced_calls: 0 })).toBe('');
});

test('a loop is called by its instruction, or by its number where that is not kept', () => {
  const call = makeCall(1);
  expect(loopTitle(makeLoop(1), call, trans)).toBe('instruct “Write an email”');
  expect(loopTitle(makeLoop(1, { instruction: null }), call, trans)).toBe('instruct · loop 1');
  expect(loopTitle(makeLoop(1, { instruction: null }), undefined, trans)).toBe('Loop 1');
  const long = makeLoop(1, { instruction: 'word '.repeat(40) });
  expect(loopTitle(long, call, trans)).toMatch(/^instruct “(word ){11}word…”$/);
});
