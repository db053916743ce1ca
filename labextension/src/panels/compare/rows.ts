// What a comparison's rows and values read like.

import type { ComparedColumn, ComparedRow, ComparedValue, RunMetrics } from '../../api/schema.js';
import { reasonText, statusText } from '../../components/status.js';
import { formatDuration, formatMoney, formatNumber, type ITranslation } from '../../format.js';
import { isTerminal, STATUSES } from '../../models/statuses.js';
import { metricGroups } from '../run/metrics.js';

type Section = ComparedRow['section'];

/** The sections in their order, with their titles. */
export function sectionTitles(trans: ITranslation): [section: Section, title: string][] {
  return [
    ['outcome', trans.__('Outcome')],
    ['configuration', trans.__('Configuration')],
    ['requirements', trans.__('Requirements met')],
    ['outputs', trans.__('Outputs')],
    ['metrics', trans.__('Metrics')],
    ['resolved', trans.__('What it ran with')]
  ];
}

/** What a row is called; requirements, outputs and what is not known here by their own names. */
export function rowName(row: ComparedRow, trans: ITranslation): string {
  if (row.section === 'outputs') {
    return row.name;
  }
  if (row.section === 'requirements') {
    return row.name === 'loops_met' ? trans.__('All of a loop') : row.name;
  }
  if (row.section === 'metrics') {
    const known = metricGroups(trans)
      .flatMap(group => group.rows)
      .find(([field]) => field === (row.name as keyof RunMetrics));
    return known?.[1] ?? inWords(row.name);
  }
  const [first = '', ...rest] = row.name.split('.');
  const name = rest.join('.');
  switch (first) {
    case 'env_vars':
      return trans.__('Variable %1', name);
    case 'parameters':
      return trans.__('Parameter %1', name);
    case 'datasets':
      return trans.__('Dataset %1', name);
    default:
      return inWords(row.name);
  }
}

/** `timeout_seconds` as `Timeout`: the unit stands with the values. */
function inWords(name: string): string {
  const words = name.replace(/_(id|seconds|usd|ms|mb)$/, '').replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value as text; empty where there is none. Over several runs the mean, and its range. */
export function valueText(row: ComparedRow, value: ComparedValue, trans: ITranslation): string {
  if (row.unit === 'usd' && value.value === null && value.missing > 0) {
    return trans.__('unpriced');
  }
  if (value.value === null) {
    return '';
  }
  let text = plain(row, value.value, trans);
  if (row.unit === 'share') {
    return trans.__('%1 of %2', text, formatNumber(value.of ?? 0));
  }
  if (value.least !== null && value.least !== value.most) {
    text += ` (${plain(row, value.least, trans)} … ${plain(row, value.most, trans)})`;
  }
  return row.unit === 'usd' && value.missing > 0 ? `≥\u202f${text}` : text;
}

/** What is not in a value: calls without a price, or without usage. */
export function missingText(row: ComparedRow, value: ComparedValue, trans: ITranslation): string {
  if (value.missing === 0) {
    return '';
  }
  return row.unit === 'usd'
    ? trans._n('%1 call unpriced', '%1 calls unpriced', value.missing)
    : trans._n('%1 call without usage', '%1 calls without usage', value.missing);
}

/** How a column differs from the first: `+12 %`, `×15`; empty where that says nothing. */
export function changeOf(row: ComparedRow, at: number): string {
  const [first, value] = [row.values[0]?.value, row.values[at]?.value];
  const isNumeric = !['text', 'time', 'json', 'share'].includes(row.unit);
  return at > 0 && isNumeric && typeof first === 'number' && typeof value === 'number'
    ? changeText(first, value)
    : '';
}

/** `+12 %` or `×15` from one number to another; empty where there is no such share, or no change. */
export function changeText(from: number, to: number): string {
  if (from === 0) {
    return '';
  }
  const ratio = to / from;
  const percent = Math.round((ratio - 1) * 100);
  if (ratio >= 10) {
    return `×${Math.round(ratio)}`;
  }
  return percent === 0 ? '' : `${percent < 0 ? '−' : '+'}${Math.abs(percent)}\u202f%`;
}

/** Whether the values are numbers to be aligned. */
export function isNumeric(row: ComparedRow): boolean {
  return !['text', 'time', 'json'].includes(row.unit);
}

/** How many runs of a column have which status. */
export function statusesText(column: ComparedColumn, trans: ITranslation): string {
  return STATUSES.map(status => {
    const count = column.runs.filter(run => run.status === status).length;
    return count === 0 ? '' : `${formatNumber(count)} ${statusText(status, trans)}`;
  })
    .filter(Boolean)
    .join(', ');
}

/** Runs that have not ended. */
export function activeRuns(columns: readonly ComparedColumn[]): string[] {
  return columns.flatMap(column => column.runs.filter(run => !isTerminal(run)).map(run => run.id));
}

function plain(row: ComparedRow, value: unknown, trans: ITranslation): string {
  if (typeof value === 'string') {
    if (row.unit === 'time') {
      return new Date(value).toLocaleString();
    }
    if (row.name === 'status') {
      const known = STATUSES.find(status => status === value);
      return known === undefined ? value : statusText(known, trans);
    }
    if (row.name === 'status_reason') {
      return reasonText({ status_reason: value, exit_code: null }, trans) || value;
    }
    return value;
  }
  if (typeof value !== 'number') {
    return JSON.stringify(value);
  }
  switch (row.unit) {
    case 'milliseconds':
      return formatDuration(value);
    case 'seconds':
      return formatDuration(value * 1000);
    case 'usd':
      return formatMoney(value);
    case 'megabytes':
      return trans.__('%1 MB', formatNumber(value));
    case 'number':
      return Number.isInteger(value) ? formatNumber(value) : value.toFixed(1);
    default:
      return row.name.endsWith('_seconds') ? formatDuration(value * 1000) : String(value);
  }
}
