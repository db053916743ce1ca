import { expect, test } from 'vitest';
import { countWords, diffWords } from '../../../src/panels/calls/diff.js';
import { absentText, cutText } from '../../../src/panels/calls/Details.js';
import { callLabel, costText, priceText, tokensText } from '../../../src/panels/calls/texts.js';
import { makeCall, makeRun, trans } from '../../helpers.js';

test('figures that are missing are named, never nothing', () => {
  const missing = makeCall(1, { input_tokens: null, output_tokens: null, cost_usd: null });
  expect(tokensText(missing, trans)).toBe('tokens missing');
  expect(costText(missing, trans)).toBe('tokens missing');
  expect(tokensText(makeCall(1, { output_tokens: null }), trans)).toBe('1\u202f204 → ?');
  expect(costText(makeCall(1, { cost_usd: null, price: null }), trans)).toBe('unpriced');
  const local = { source: 'local', version: '1', dated: null };
  expect(costText(makeCall(1, { cost_usd: 0, price: local }), trans)).toBe('local');
  expect(costText(makeCall(1, { cost_usd: 0 }), trans)).toBe('free');
  const active = makeCall(1, {
    status: 'active',
    cost_usd: null,
    input_tokens: null,
    output_tokens: null
  });
  expect(costText(active, trans) + tokensText(active, trans)).toBe('');
});

test('a price says where it comes from', () => {
  expect(priceText(makeCall(1), trans)).toBe('genai-prices 0.0.31, of 2026-08-01');
  const price = { source: 'override', version: '', dated: null };
  expect(priceText(makeCall(1, { price }), trans)).toBe("the operator's own prices");
  expect(priceText(makeCall(1, { price: null }), trans)).toBe('');
});

test('a call says all of it in one sentence', () => {
  expect(callLabel(makeCall(7, { ttft_ms: 250 }), trans)).toBe(
    'Call 7, answer, openai/gpt-4o, 1.0\u202fs, first token after 250\u202fms, ' +
      '1\u202f204 → 388\u202ftok, $0.0041'
  );
});

test('content that is not there has a reason', () => {
  const off = makeRun();
  off.config = { ...off.config, capture_content: false };
  expect(absentText(makeCall(1), off, trans)).toContain('capture_content was off');
  expect(absentText(makeCall(1), makeRun({ artifacts_purged: true }), trans)).toContain('expired');
  expect(absentText(makeCall(1, { status: 'active' }), makeRun(), trans)).toContain('has ended');
  expect(absentText(makeCall(1), makeRun(), trans)).toContain('No prompt');
  expect(cutText('ä'.repeat(500), 143_000, trans)).toBe('Cut at 1\u202fkB of 143\u202fkB.');
  expect(cutText('all', 3, trans)).toBe('');
});

test('a diff is word by word and keeps every character', () => {
  const parts = diffWords('The plan has 143 words.\nToo long', 'The plan has 90 words.\nFine');
  expect(
    parts
      ?.filter(part => part.kind !== 'added')
      .map(part => part.text)
      .join('')
  ).toBe('The plan has 143 words.\nToo long');
  expect(
    parts
      ?.filter(part => part.kind !== 'removed')
      .map(part => part.text)
      .join('')
  ).toBe('The plan has 90 words.\nFine');
  expect(countWords(parts ?? [])).toEqual({ added: 2, removed: 3 });
});

test('words that were changed one after another are one change', () => {
  expect(diffWords('to lunch with me.', 'to lunch on Friday.')).toEqual([
    { kind: 'same', text: 'to lunch ' },
    { kind: 'removed', text: 'with me' },
    { kind: 'added', text: 'on Friday' },
    { kind: 'same', text: '.' }
  ]);
});

test('replies that have too little in common are not compared', () => {
  const words = (seed: number): string =>
    Array.from({ length: 5000 }, (_, index) => `w${(index * 7919 * seed) % 99_991}`).join(' ');
  expect(diffWords(words(1), words(2))).toBeNull();
  expect(diffWords(words(1), `${words(1)} end`)).not.toBeNull();
});
