// The filter bar: what is chosen stands as removable chips.

import { useEffect, useId, useState, type ReactElement } from 'react';
import type { RunStatus } from '../../api/schema.js';
import { Icon } from '../../components/icons.js';
import { statusText } from '../../components/status.js';
import type { ITranslation } from '../../format.js';
import type { IAssetChoice, RunsTableModel, TableFilters } from '../../models/table.js';
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
  const addTo = (field: ListField, values: readonly string[]): boolean => {
    if (values.length > 0) {
      set({ [field]: [...new Set([...(filters[field] ?? []), ...values])] });
    }
    return values.length > 0;
  };
  const readChoices = (): void => void model.readChoices();
  const hasAssets = (filters.asset_id ?? []).length > 0;
  useEffect(() => {
    if (hasAssets) {
      void model.readChoices(); // their names
    }
  }, [model, hasAssets]);
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
      <AddField
        label={trans.__('Owner')}
        choices={model.choices.owners}
        onFocus={readChoices}
        onAdd={value => addTo('owner_id', [value])}
      />
      <AddField
        label={trans.__('Asset')}
        choices={[...new Set(model.choices.assets.map(asset => asset.label))]}
        onFocus={readChoices}
        onAdd={value => addTo('asset_id', findAssets(model.choices.assets, value))}
      />
      <AddField label={trans.__('Tag')} onAdd={value => addTo('tags', [value])} />
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
      <label className="jp-MelleaDashboard-date">
        <input
          type="checkbox"
          checked={filters.shared === 'with_me'}
          onChange={event => set({ shared: event.target.checked ? 'with_me' : undefined })}
        />
        {trans.__('Shared with me')}
      </label>
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

/** A field whose words become chips: picked from what is offered, or typed and entered. */
function AddField(props: {
  label: string;
  /** What is offered while typing. */
  choices?: readonly string[];
  onFocus?: () => void;
  /** False keeps the text: there is no such thing. */
  onAdd: (value: string) => boolean;
}): ReactElement {
  const [text, setText] = useState('');
  const [isUnknown, setUnknown] = useState(false);
  const list = useId();
  const add = (typed: string): void => {
    const value = typed.trim();
    const isAdded = value === '' || props.onAdd(value);
    setText(isAdded ? '' : typed);
    setUnknown(!isAdded);
  };
  return (
    <>
      <input
        className="jp-mod-styled jp-MelleaDashboard-add"
        placeholder={`${props.label}…`}
        aria-label={props.label}
        aria-invalid={isUnknown}
        list={props.choices ? list : undefined}
        value={text}
        onFocus={props.onFocus}
        onChange={event => {
          const { value } = event.target;
          const isTyped = (event.nativeEvent as InputEvent).inputType?.startsWith('insertText');
          if (!isTyped && props.choices?.includes(value)) {
            add(value); // picked from the list
          } else {
            setText(value);
            setUnknown(false);
          }
        }}
        onBlur={() => add(text)}
        onKeyDown={event => event.key === 'Enter' && add(text)}
      />
      {props.choices && (
        <datalist id={list}>
          {props.choices.map(choice => (
            <option key={choice} value={choice} />
          ))}
        </datalist>
      )}
    </>
  );
}

/** The assets that are meant by a text: those called so, else those that it is a part of. */
function findAssets(choices: readonly IAssetChoice[], text: string): string[] {
  const word = text.toLowerCase();
  const exact = choices.filter(({ id, label }) => label.toLowerCase() === word || id === text);
  const found =
    exact.length > 0 ? exact : choices.filter(({ label }) => label.toLowerCase().includes(word));
  return found.map(({ id }) => id);
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
  const assets = new Map([
    ...model.runs.map(run => [run.asset_id, run.asset_name] as const),
    ...model.choices.assets.map(({ id, label }) => [id, label] as const)
  ]);
  const chips: { key: string; label: string; remove: () => void }[] = [];
  const failures = new Map(
    model.runs.flatMap(({ error_classification: why }) =>
      why ? [[why.fingerprint, why.summary] as const] : []
    )
  );
  const lists = [
    'status',
    'owner_id',
    'asset_id',
    'model',
    'tags',
    'group_id',
    'fingerprint'
  ] as const;
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
              : field === 'group_id'
                ? trans.__('group %1', value.slice(4, 10))
                : field === 'fingerprint'
                  ? trans.__('failure: %1', failures.get(value) ?? value.slice(0, 6))
                  : value,
        remove: () => set({ [field]: values.filter(each => each !== value) })
      });
    }
  }
  const moments = [
    ['started_after', trans.__('from')],
    ['started_before', trans.__('before')]
  ] as const;
  for (const [field, word] of moments) {
    const moment = filters[field];
    if (moment !== undefined) {
      chips.push({
        key: field,
        label: `${word} ${localDate(moment)}`,
        remove: () => set({ [field]: undefined })
      });
    }
  }
  if (filters.shared !== undefined) {
    chips.push({
      key: 'shared',
      label: trans.__('shared with me'),
      remove: () => set({ shared: undefined })
    });
  }
  if (filters.search !== undefined) {
    chips.push({
      key: 'search',
      label: `“${filters.search}”`,
      remove: () => set({ search: undefined })
    });
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
