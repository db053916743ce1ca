// The filter bar: what is chosen stands as removable chips.

import { useEffect, useState, type ReactElement } from 'react';
import type { RunStatus } from '../../api/schema.js';
import { Icon } from '../../components/icons.js';
import { statusText } from '../../components/status.js';
import type { ITranslation } from '../../format.js';
import type { RunsTableModel, TableFilters } from '../../models/table.js';
import { STATUSES } from '../../models/statuses.js';
import { columnsOf } from './columns.js';

const SEARCH_PAUSE_MS = 300;

interface IFiltersProps {
  model: RunsTableModel;
  trans: ITranslation;
}

type ListField = 'owner_id' | 'asset_id' | 'model' | 'tags';

/** The bar. */
export function FilterBar({ model, trans }: IFiltersProps): ReactElement {
  const { filters } = model.state;
  const set = (change: Partial<TableFilters>): void =>
    model.update({ filters: clean({ ...filters, ...change }) });
  const addTo = (field: ListField, value: string): void =>
    set({ [field]: [...new Set([...(filters[field] ?? []), value])] });
  return (
    <div className="jp-MelleaDashboard-filters" role="search" aria-label={trans.__('Filter runs')}>
      <SearchField model={model} trans={trans} />
      <select
        className="jp-mod-styled"
        aria-label={trans.__('Status')}
        value=""
        onChange={event => {
          const status = event.target.value as RunStatus;
          set({ status: [...new Set([...(filters.status ?? []), status])] });
        }}
      >
        <option value="">{trans.__('Status…')}</option>
        {STATUSES.map(status => (
          <option key={status} value={status}>
            {statusText(status, trans)}
          </option>
        ))}
      </select>
      <AddField label={trans.__('Owner')} onAdd={value => addTo('owner_id', value)} />
      <AssetField model={model} trans={trans} onAdd={value => addTo('asset_id', value)} />
      <AddField label={trans.__('Tag')} onAdd={value => addTo('tags', value)} />
      <DateField
        label={trans.__('From')}
        value={filters.started_after}
        onChange={started_after => set({ started_after })}
      />
      <DateField
        label={trans.__('Before')}
        value={filters.started_before}
        onChange={started_before => set({ started_before })}
      />
      <ColumnMenu model={model} trans={trans} />
      <Chips model={model} trans={trans} set={set} />
    </div>
  );
}

/** Without fields that filter nothing. */
function clean(filters: TableFilters): TableFilters {
  return Object.fromEntries(
    Object.entries(filters).filter(([, value]) => value !== undefined && value.length > 0)
  );
}

function SearchField({ model, trans }: IFiltersProps): ReactElement {
  const applied = model.state.filters.search ?? '';
  const [text, setText] = useState(applied);
  useEffect(() => setText(applied), [applied]);
  useEffect(() => {
    if (text === applied) {
      return;
    }
    const timer = window.setTimeout(
      () => model.update({ filters: clean({ ...model.state.filters, search: text }) }),
      SEARCH_PAUSE_MS
    );
    return () => window.clearTimeout(timer);
  }, [model, text, applied]);
  return (
    <input
      className="jp-mod-styled"
      type="search"
      placeholder={trans.__('Search runs…')}
      aria-label={trans.__('Search runs')}
      value={text}
      onChange={event => setText(event.target.value)}
    />
  );
}

function AddField(props: { label: string; onAdd: (value: string) => void }): ReactElement {
  const [text, setText] = useState('');
  const add = (): void => {
    if (text.trim() !== '') {
      props.onAdd(text.trim());
      setText('');
    }
  };
  return (
    <input
      className="jp-mod-styled jp-MelleaDashboard-add"
      placeholder={`${props.label}…`}
      aria-label={props.label}
      value={text}
      onChange={event => setText(event.target.value)}
      onBlur={add}
      onKeyDown={event => event.key === 'Enter' && add()}
    />
  );
}

/** The assets of the loaded rows, by name. */
function AssetField(props: IFiltersProps & { onAdd: (value: string) => void }): ReactElement {
  const { model, trans, onAdd } = props;
  const assets = new Map(model.runs.map(run => [run.asset_id, run.asset_name || run.asset_id]));
  return (
    <select
      className="jp-mod-styled"
      aria-label={trans.__('Asset')}
      value=""
      onChange={event => onAdd(event.target.value)}
    >
      <option value="">{trans.__('Asset…')}</option>
      {[...assets].map(([id, name]) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}

function DateField(props: {
  label: string;
  value: string | undefined;
  onChange: (iso: string | undefined) => void;
}): ReactElement {
  return (
    <label className="jp-MelleaDashboard-date">
      {props.label}
      <input
        className="jp-mod-styled"
        type="date"
        value={props.value === undefined ? '' : localDate(props.value)}
        onChange={event =>
          props.onChange(
            event.target.value ? new Date(`${event.target.value}T00:00`).toISOString() : undefined
          )
        }
      />
    </label>
  );
}

/** `2026-01-15` of a time, in the local zone. */
function localDate(iso: string): string {
  const moment = new Date(iso);
  const pad = (value: number): string => String(value).padStart(2, '0');
  return `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
}

function ColumnMenu({ model, trans }: IFiltersProps): ReactElement {
  const { columns } = model.state;
  return (
    <details className="jp-MelleaDashboard-columns">
      <summary>{trans.__('Columns')}</summary>
      <div>
        {columnsOf(trans).map(column => (
          <label key={column.id}>
            <input
              type="checkbox"
              checked={columns.includes(column.id)}
              disabled={column.id === 'asset'}
              onChange={event =>
                model.update({
                  columns: event.target.checked
                    ? [...columns, column.id]
                    : columns.filter(id => id !== column.id)
                })
              }
            />
            {column.label}
          </label>
        ))}
      </div>
    </details>
  );
}

function Chips(
  props: IFiltersProps & { set: (change: Partial<TableFilters>) => void }
): ReactElement | null {
  const { model, trans, set } = props;
  const { filters } = model.state;
  const assets = new Map(model.runs.map(run => [run.asset_id, run.asset_name]));
  const chips: { key: string; label: string; remove: () => void }[] = [];
  const lists = ['status', 'owner_id', 'asset_id', 'model', 'tags'] as const;
  for (const field of lists) {
    const values: readonly string[] = filters[field] ?? [];
    for (const value of values) {
      chips.push({
        key: `${field}=${value}`,
        label:
          field === 'status'
            ? statusText(value as RunStatus, trans)
            : field === 'asset_id'
              ? assets.get(value) || value
              : value,
        remove: () => set({ [field]: values.filter(each => each !== value) })
      });
    }
  }
  if (chips.length === 0) {
    return null;
  }
  return (
    <ul className="jp-MelleaDashboard-chips" aria-label={trans.__('Active filters')}>
      {chips.map(chip => (
        <li key={chip.key}>
          {chip.label}
          <button
            type="button"
            className="jp-MelleaButton jp-mod-icon"
            aria-label={trans.__('Remove filter %1', chip.label)}
            onClick={chip.remove}
          >
            <Icon name="close" />
          </button>
        </li>
      ))}
      <li className="jp-mod-plain">
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => model.update({ filters: {} })}
        >
          {trans.__('Clear all')}
        </button>
      </li>
    </ul>
  );
}
