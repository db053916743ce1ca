// What an output of a notebook asks to be shown: the value of our mime type, and of the widget's
// trait. It comes from a file that anybody may have written, so it is narrowed here, once.

import type { RunStatus } from '../api/schema.js';
import type { TableFilters } from '../models/table.js';

/** The mime type of our outputs; `mellea_jupyter/widgets/views.py` writes them. */
export const VIEW_MIME_TYPE = 'application/vnd.mellea-jupyter.view+json';

/** What a cost summary is grouped by. */
export type CostGroup = 'model' | 'asset' | 'owner' | 'day';

/** One thing to show. */
export type ViewSpec =
  | { view: 'run' | 'log' | 'metrics'; run_id: string }
  | { view: 'runs' | 'table'; filters: TableFilters }
  | { view: 'cost'; by: CostGroup; last_seconds: number | null };

const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const GROUPS: readonly unknown[] = ['model', 'asset', 'owner', 'day'] satisfies CostGroup[];
const LISTS = [
  'status',
  'owner_id',
  'asset_id',
  'model',
  'tags',
  'group_id',
  'fingerprint'
] as const;
const TEXTS = ['started_after', 'started_before', 'search'] as const;

/** The view that `data` asks for; null for what is none, or one of a newer version. */
export function parseView(data: unknown): ViewSpec | null {
  if (!isObject(data)) {
    return null;
  }
  switch (data['view']) {
    case 'run':
    case 'log':
    case 'metrics': {
      const runId = data['run_id'];
      return typeof runId === 'string' && RUN_ID.test(runId)
        ? { view: data['view'], run_id: runId }
        : null;
    }
    case 'runs':
    case 'table':
      return { view: data['view'], filters: parseFilters(data['filters']) };
    case 'cost': {
      const { by, last_seconds: last } = data;
      return GROUPS.includes(by)
        ? {
            view: 'cost',
            by: by as CostGroup,
            last_seconds: typeof last === 'number' && last > 0 ? last : null
          }
        : null;
    }
    default:
      return null;
  }
}

function parseFilters(data: unknown): TableFilters {
  const filters: TableFilters = {};
  if (!isObject(data)) {
    return filters;
  }
  for (const name of LISTS) {
    const value = data[name];
    if (Array.isArray(value) && value.length > 0 && value.every(each => typeof each === 'string')) {
      filters[name] = value as RunStatus[];
    }
  }
  for (const name of TEXTS) {
    const value = data[name];
    if (typeof value === 'string' && value !== '') {
      filters[name] = value;
    }
  }
  return filters;
}

function isObject(data: unknown): data is Record<string, unknown> {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}
