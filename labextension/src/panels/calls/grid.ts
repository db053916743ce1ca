// What the attempt ladder of a sampling loop shows, and what is said of the loop in one line.

import type { LlmCall, LoopAttempt, SamplingLoop, Verdict } from '../../api/schema.js';
import { formatCost, formatNumber, formatPercent, type ITranslation } from '../../format.js';

/** A requirement: a column of the ladder. */
export interface IColumn {
  key: string;
  text: string;
  /** A model decides, not the program. */
  isJudged: boolean;
}

/** What a requirement says of an attempt; `waiting`: it may still be checked. */
export type CellState = 'passed' | 'failed' | 'waiting' | 'unchecked';

/** A cell of the ladder. */
export interface ICell {
  state: CellState;
  verdict: Verdict | null;
}

/** An attempt: a row of the ladder. */
export interface IRow {
  attempt: LoopAttempt;
  /** One a column. */
  cells: readonly ICell[];
  /** How the chain goes on: the form of its next attempt; null at its end. */
  next: string | null;
  /** The attempt before it in its chain. */
  previous: LoopAttempt | null;
}

/** Attempts that follow one another; loops with concurrency have several. */
export interface IChain {
  chain: number;
  rows: readonly IRow[];
}

/** The grid of one loop. */
export interface IGrid {
  columns: readonly IColumn[];
  chains: readonly IChain[];
}

/** Lay out attempts × requirements. */
export function gridOf(loop: SamplingLoop): IGrid {
  const columns: IColumn[] = loop.requirements.map(({ index, text, kind }) => ({
    key: String(index),
    text,
    isJudged: kind === 'judge'
  }));
  const known = new Set(columns.map(column => column.key));
  for (const verdict of loop.attempts.flatMap(attempt => attempt.verdicts)) {
    const key = keyOf(verdict);
    if (!known.has(key)) {
      known.add(key);
      columns.push({ key, text: verdict.text, isJudged: verdict.calls.length > 0 });
    }
  }
  const byChain = new Map<number, LoopAttempt[]>();
  for (const attempt of loop.attempts) {
    const chain = byChain.get(attempt.chain);
    if (chain) {
      chain.push(attempt);
    } else {
      byChain.set(attempt.chain, [attempt]);
    }
  }
  const chains = [...byChain].map(([chain, attempts]) => ({
    chain,
    rows: attempts.map((attempt, at) => {
      const isLast = at === attempts.length - 1;
      return {
        attempt,
        cells: columns.map(({ key }) => cellOf(attempt, key, isLast && loop.status === 'active')),
        next: attempts[at + 1]?.form ?? null,
        previous: attempts[at - 1] ?? null
      };
    })
  }));
  return { columns, chains };
}

function keyOf({ requirement, text }: Verdict): string {
  return requirement === null ? `text ${text}` : String(requirement);
}

function cellOf(attempt: LoopAttempt, key: string, mayFollow: boolean): ICell {
  const verdict = attempt.verdicts.findLast(each => keyOf(each) === key) ?? null;
  return verdict === null
    ? { state: mayFollow ? 'waiting' : 'unchecked', verdict }
    : { state: verdict.passed ? 'passed' : 'failed', verdict };
}

/** `2 of 3`: the most requirements that one attempt met; null where nothing was checked. */
export function bestOf(loop: SamplingLoop): { passed: number; of: number } | null {
  const { columns, chains } = gridOf(loop);
  const counts = chains
    .flatMap(chain => chain.rows)
    .map(row => row.cells.filter(cell => cell.state === 'passed').length);
  return columns.length > 0 && counts.length > 0
    ? { passed: Math.max(...counts), of: columns.length }
    : null;
}

const VERBS: Record<string, string> = {
  Instruction: 'instruct',
  Message: 'chat',
  Query: 'query',
  Transform: 'transform'
};

/** How people write the action that makes mellea generate: `instruct`. */
export function verbOf(action: string | null | undefined): string {
  return action ? (VERBS[action] ?? action) : '';
}

/** `RepairTemplate`, of mellea's `RepairTemplateStrategy`. */
export function strategyName(loop: SamplingLoop, trans: ITranslation): string {
  return loop.strategy?.replace(/(Sampling)?Strategy$/, '') || trans.__('sampling');
}

/** `instruct “Write an email…”`; the number where content is not kept. */
export function loopTitle(
  loop: SamplingLoop,
  first: LlmCall | undefined,
  trans: ITranslation
): string {
  const verb = verbOf(first?.action);
  const text = loop.instruction?.replace(/\s+/g, ' ').trim();
  if (text) {
    return `${verb} “${text.length > 60 ? `${text.slice(0, 59).trimEnd()}…` : text}”`.trim();
  }
  return verb ? `${verb} · ${trans.__('loop %1', loop.loop)}` : trans.__('Loop %1', loop.loop);
}

/** What came of a loop, in words. */
export function outcomeText(loop: SamplingLoop, trans: ITranslation): string {
  const last = Math.max(0, ...loop.attempts.map(each => each.attempt));
  switch (loop.status) {
    case 'met': {
      const chosen = loop.attempts.find(attempt => attempt.is_chosen);
      return chosen ? trans.__('met on %1', ordinal(chosen.attempt)) : trans.__('met');
    }
    case 'not_met':
      return loop.attempts.length > 0
        ? trans.__('requirements not met after %1', loop.attempts.length)
        : trans.__('requirements not met');
    case 'failed':
      return loop.error ? trans.__('failed: %1', loop.error) : trans.__('failed');
    default:
      return loop.budget === null
        ? trans.__('attempt %1', Math.max(1, last))
        : trans.__('attempt %1 of %2', Math.max(1, last), loop.budget);
  }
}

/** `RepairTemplate`, `3 attempts`: how the loop tried. */
export function loopEffort(loop: SamplingLoop, trans: ITranslation): string[] {
  const chains = new Set(loop.attempts.map(each => each.chain)).size;
  const attempts = loop.attempts.length;
  return [
    strategyName(loop, trans),
    chains > 1 ? trans._n('%1 chain', '%1 chains', chains) : '',
    attempts > 0 ? trans._n('%1 attempt', '%1 attempts', attempts) : ''
  ].filter(Boolean);
}

/** `$0.0021 (repair 58 %)`, and how near it came where it was not met. */
export function loopResult(loop: SamplingLoop, trans: ITranslation): string[] {
  const best = loop.status === 'not_met' ? bestOf(loop) : null;
  return [
    best ? trans.__('best %1 of %2', best.passed, best.of) : '',
    loopCost(loop, trans),
    loop.left_out > 0 ? trans.__('%1 records not kept', formatNumber(loop.left_out)) : ''
  ].filter(Boolean);
}

/** The loop's money and how much of it went into repairs; empty where it cost none. */
export function loopCost(loop: SamplingLoop, trans: ITranslation): string {
  const { cost_usd: cost, repair_cost_usd: repair, unpriced_calls: unpriced } = loop;
  if (cost === null || (cost === 0 && unpriced > 0)) {
    return unpriced > 0 ? trans.__('unpriced') : '';
  }
  if (cost === 0) {
    return '';
  }
  const share = repair
    ? ` (${trans.__('repair %1', formatPercent(Math.round((repair / cost) * 100) / 100))})`
    : '';
  return formatCost(cost, unpriced, trans) + share;
}

function ordinal(number: number): string {
  const tens = number % 100;
  const suffix = tens >= 11 && tens <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th');
  return `${number}${suffix}`;
}
