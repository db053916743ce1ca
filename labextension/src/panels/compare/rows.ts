// What is compared of runs: a row a field, those that differ first.

import type { Run, RunMetrics } from '../../api/schema.js';
import { reasonText, statusText } from '../../components/status.js';
import { formatDuration, type ITranslation } from '../../format.js';
import { isUnmet } from '../../models/statuses.js';
import { metricGroups, metricText } from '../run/metrics.js';

/** How many runs stand side by side. */
export const LEAST_COMPARED = 2;
export const MOST_COMPARED = 10;

/** A field of all runs. */
export interface IComparedRow {
  label: string;
  /** One text a run; empty where it has none. */
  values: readonly string[];
  isDifferent: boolean;
  isNumber: boolean;
  /** Against the first run, `+12 %`; empty where that says nothing. */
  changes: readonly string[];
}

/** Rows of one subject. */
export interface IComparedGroup {
  title: string;
  rows: readonly IComparedRow[];
}

/** All that is known of the runs; rows that are empty for each of them are left out. */
export function compareRuns(runs: readonly Run[], trans: ITranslation): IComparedGroup[] {
  const text = (label: string, value: (run: Run) => string): IComparedRow =>
    textRow(label, runs.map(value));
  const groups = [
    { title: trans.__('Outcome'), rows: outcome(text, trans) },
    { title: trans.__('Configuration'), rows: configuration(runs, text, trans) },
    ...metricGroups(trans).map(({ title, rows }) => ({
      title,
      rows: rows.map(([field, label]) => metricRow(runs, field, label, trans))
    }))
  ];
  return groups
    .map(({ title, rows }) => ({ title, rows: differingFirst(rows) }))
    .filter(group => group.rows.length > 0);
}

type TextRow = (label: string, value: (run: Run) => string) => IComparedRow;

function outcome(text: TextRow, trans: ITranslation): IComparedRow[] {
  return [
    text(trans.__('Status'), run =>
      [
        statusText(run.status, trans),
        isUnmet(run) ? trans.__('requirements not met') : reasonText(run, trans)
      ]
        .filter(Boolean)
        .join(' · ')
    ),
    text(trans.__('Error'), run => run.error_message ?? ''),
    text(trans.__('Version'), run => run.asset_version),
    text(trans.__('Models used'), run => run.models_used.join(', ')),
    text(trans.__('Artifacts'), run =>
      run.artifacts.length > 0 ? String(run.artifacts.length) : ''
    ),
    text(trans.__('Start'), run => run.isolation ?? ''),
    text(trans.__('Owner'), run => run.owner_id),
    text(trans.__('Host'), run => run.host ?? ''),
    text(trans.__('Created'), run => new Date(run.created_at).toLocaleString()),
    text(trans.__('Retry of'), run => run.retry_of?.slice(0, 6) ?? ''),
    text(trans.__('Tags'), run => run.tags.join(', ')),
    text(trans.__('Note'), run => run.note ?? '')
  ];
}

function configuration(runs: readonly Run[], text: TextRow, trans: ITranslation): IComparedRow[] {
  const names = (keys: (run: Run) => readonly string[]): string[] =>
    [...new Set(runs.flatMap(keys))].sort();
  return [
    text(trans.__('Model'), ({ config }) => config.model ?? ''),
    text(trans.__('Model steering'), ({ config }) => config.model_steering),
    text(trans.__('Environment'), ({ config }) => config.environment_id ?? ''),
    text(trans.__('Arguments'), ({ config }) => config.args.join(' ')),
    ...names(({ config }) => Object.keys(config.parameters)).map(name =>
      text(trans.__('Parameter %1', name), ({ config }) =>
        name in config.parameters ? JSON.stringify(config.parameters[name]) : ''
      )
    ),
    ...names(({ config }) => Object.keys(config.env_vars)).map(name =>
      text(trans.__('Variable %1', name), ({ config }) => config.env_vars[name] ?? '')
    ),
    ...names(({ config }) => config.datasets.map(binding => binding.name)).map(name =>
      text(trans.__('Dataset %1', name), ({ config }) => {
        const bound = config.datasets.find(binding => binding.name === name);
        return bound ? `${bound.dataset_id} @ ${bound.version ?? 'latest'}` : '';
      })
    ),
    text(trans.__('Timeout'), ({ config }) => formatDuration(config.timeout_seconds * 1000)),
    text(trans.__('Artifact quota'), ({ config }) => trans.__('%1 MB', config.artifact_quota_mb)),
    text(trans.__('Most LLM calls'), ({ config }) =>
      config.max_llm_calls === null ? '' : String(config.max_llm_calls)
    ),
    text(trans.__('Strict requirements'), ({ config }) =>
      config.strict_requirements ? trans.__('yes') : ''
    ),
    text(trans.__('Isolation'), ({ config }) => config.isolation),
    text(trans.__('Working directory'), ({ config }) => config.working_directory)
  ];
}

function textRow(label: string, values: readonly string[]): IComparedRow {
  return { label, values, isDifferent: areDifferent(values), isNumber: false, changes: [] };
}

function metricRow(
  runs: readonly Run[],
  field: keyof RunMetrics,
  label: string,
  trans: ITranslation
): IComparedRow {
  const numbers = runs.map(run => run.metrics[field]);
  const isNothing = numbers.every(number => number === 0);
  const first = numbers[0] ?? null;
  return {
    label,
    values: isNothing ? [] : runs.map(run => metricText(run.metrics, field, trans)),
    isDifferent: areDifferent(numbers),
    isNumber: true,
    changes: numbers.map((number, at) => (at === 0 ? '' : changeText(first, number)))
  };
}

/** `+12 %` or `×15` from one number to another; empty where there is no such share, or no change. */
export function changeText(from: number | null, to: number | null): string {
  if (from === null || to === null || from === 0) {
    return '';
  }
  const ratio = to / from;
  const percent = Math.round((ratio - 1) * 100);
  if (ratio >= 10) {
    return `×${Math.round(ratio)}`;
  }
  return percent === 0 ? '' : `${percent < 0 ? '−' : '+'}${Math.abs(percent)}\u202f%`;
}

function areDifferent(values: readonly unknown[]): boolean {
  return new Set(values).size > 1;
}

function differingFirst(rows: readonly IComparedRow[]): IComparedRow[] {
  const told = rows.filter(row => row.values.some(value => value !== ''));
  return [...told.filter(row => row.isDifferent), ...told.filter(row => !row.isDifferent)];
}
