// The datasets of the launch dialog: a row a binding, and registering what is not there yet.

import { useEffect, useId, useState, type FormEvent, type ReactElement } from 'react';
import type { Dataset, DatasetVersion } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { Icon } from '../../components/icons.js';
import { formatAgo, formatBytes, type ITranslation } from '../../format.js';
import { Problems } from './field.js';
import type { DatasetOffers } from './offers.js';
import { LATEST, type IDatasetRow, type IProblem } from './values.js';

const SHOWN_DIGITS = 8;

interface IDatasetsProps {
  rows: readonly IDatasetRow[];
  onChange: (rows: IDatasetRow[]) => void;
  offers: DatasetOffers;
  /** What is wrong with the datasets, with the row where it is about one. */
  problems: readonly IProblem[];
  trans: ITranslation;
}

/** The rows, and what adds to them. */
export function Datasets(props: IDatasetsProps): ReactElement {
  const { rows, onChange, offers, problems, trans } = props;
  const [isRegistering, setRegistering] = useState(false);
  const id = useId();
  const take = (dataset: Dataset): void => {
    setRegistering(false);
    const name = nameFor(dataset, rows);
    onChange([...rows, { name, datasetId: dataset.id, version: LATEST }]);
  };
  return (
    <fieldset className="jp-MelleaLaunch-field">
      <legend>{trans.__('Datasets')}</legend>
      {rows.map((row, index) => (
        <DatasetRow
          key={index}
          row={row}
          offers={offers}
          problems={problems.filter(problem => problem.row === index)}
          onChange={change =>
            onChange(rows.map((each, at) => (at === index ? { ...each, ...change } : each)))
          }
          onRemove={() => onChange(rows.filter((_, at) => at !== index))}
          trans={trans}
        />
      ))}
      {isRegistering ? (
        <Register
          offers={offers}
          onRegistered={take}
          onCancel={() => setRegistering(false)}
          trans={trans}
        />
      ) : (
        <div className="jp-MelleaLaunch-actions">
          {offers.datasets.length > 0 && (
            <button
              type="button"
              className="jp-MelleaButton jp-mod-link"
              onClick={() => onChange([...rows, { name: '', datasetId: '', version: LATEST }])}
            >
              {trans.__('Add dataset')}
            </button>
          )}
          <button
            type="button"
            className="jp-MelleaButton jp-mod-link"
            onClick={() => setRegistering(true)}
          >
            {trans.__('Register a file or folder…')}
          </button>
        </div>
      )}
      <Problems
        id={`${id}-problems`}
        problems={problems.filter(problem => problem.row === undefined)}
      />
    </fieldset>
  );
}

function DatasetRow(props: {
  row: IDatasetRow;
  offers: DatasetOffers;
  problems: readonly IProblem[];
  onChange: (change: Partial<IDatasetRow>) => void;
  onRemove: () => void;
  trans: ITranslation;
}): ReactElement {
  const { row, offers, onChange, trans } = props;
  const id = useId();
  const described = props.problems.length > 0 ? `${id}-problems` : undefined;
  const isKnown = row.datasetId === '' || offers.find(row.datasetId) !== undefined;
  return (
    <div role="group" aria-label={trans.__('Dataset %1', row.name)}>
      <div className="jp-MelleaLaunch-dataset">
        <input
          className="jp-mod-styled"
          aria-label={trans.__('Name in the program')}
          aria-describedby={described}
          placeholder={trans.__('name')}
          autoComplete="off"
          value={row.name}
          onChange={event => onChange({ name: event.target.value })}
        />
        <select
          className="jp-mod-styled"
          aria-label={trans.__('Dataset')}
          aria-describedby={described}
          value={row.datasetId}
          onChange={event => onChange({ datasetId: event.target.value, version: LATEST })}
        >
          <option value="" disabled>
            {trans.__('Choose a dataset')}
          </option>
          {!isKnown && <option value={row.datasetId}>{row.datasetId}</option>}
          {offers.datasets.map(dataset => (
            <option
              key={dataset.id}
              value={dataset.id}
              title={dataset.path ?? dataset.url ?? undefined}
            >
              {datasetText(dataset)}
            </option>
          ))}
        </select>
        <VersionSelect row={row} offers={offers} onChange={onChange} trans={trans} />
        <button
          type="button"
          className="jp-MelleaButton jp-mod-icon"
          aria-label={trans.__('Remove %1', row.name)}
          onClick={props.onRemove}
        >
          <Icon name="close" />
        </button>
      </div>
      <Problems id={`${id}-problems`} problems={props.problems} />
    </div>
  );
}

function VersionSelect(props: {
  row: IDatasetRow;
  offers: DatasetOffers;
  onChange: (change: Partial<IDatasetRow>) => void;
  trans: ITranslation;
}): ReactElement {
  const { row, offers, trans } = props;
  const [versions, setVersions] = useState<readonly DatasetVersion[]>([]);
  const latest = offers.find(row.datasetId)?.latest.version;
  useEffect(() => {
    let isCurrent = true;
    setVersions([]);
    if (row.datasetId !== '') {
      void offers.versions(row.datasetId).then(found => isCurrent && setVersions(found));
    }
    return () => {
      isCurrent = false;
    };
  }, [offers, row.datasetId, latest]);
  const isListed =
    row.version === LATEST || versions.some(({ version }) => version === row.version);
  return (
    <select
      className="jp-mod-styled"
      aria-label={trans.__('Version')}
      disabled={row.datasetId === ''}
      value={row.version}
      onChange={event => props.onChange({ version: event.target.value })}
    >
      <option value={LATEST}>
        {latest === undefined
          ? trans.__('latest')
          : trans.__('latest (%1)', latest.slice(0, SHOWN_DIGITS))}
      </option>
      {!isListed && <option value={row.version}>{row.version.slice(0, SHOWN_DIGITS)}</option>}
      {versions.map(({ version, created_at, size_bytes }) => (
        <option key={version} value={version} title={formatBytes(size_bytes)}>
          {`${version.slice(0, SHOWN_DIGITS)} · ${formatAgo(created_at, Date.now(), trans)}`}
        </option>
      ))}
    </select>
  );
}

/** Asks for a path. A form of its own, so that Enter registers and does not start the run. */
function Register(props: {
  offers: DatasetOffers;
  onRegistered: (dataset: Dataset) => void;
  onCancel: () => void;
  trans: ITranslation;
}): ReactElement {
  const { offers, trans } = props;
  const [place, setPlace] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const id = useId();
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (isBusy || place.trim() === '') {
      return;
    }
    setBusy(true);
    setError('');
    try {
      props.onRegistered(await offers.register(place.trim()));
    } catch (failure) {
      setError(describeError(failure).replace(/^(path|url): /, '')); // what it stands next to
      setBusy(false);
    }
  };
  return (
    <form className="jp-MelleaLaunch-register" onSubmit={event => void submit(event)}>
      <label htmlFor={id}>{trans.__('File or folder')}</label>
      <div>
        <input
          id={id}
          className="jp-mod-styled"
          aria-describedby={`${id}-problems`}
          placeholder={trans.__('data/train.csv, data/, s3://bucket/prefix/')}
          autoComplete="off"
          autoFocus
          value={place}
          onChange={event => setPlace(event.target.value)}
        />
        <button type="submit" className="jp-MelleaButton" disabled={isBusy || place.trim() === ''}>
          {isBusy ? trans.__('Reading…') : trans.__('Register')}
        </button>
        <button
          type="button"
          className="jp-MelleaButton jp-mod-icon"
          aria-label={trans.__('Register nothing')}
          onClick={props.onCancel}
        >
          <Icon name="close" />
        </button>
      </div>
      <Problems id={`${id}-problems`} problems={error === '' ? [] : [{ text: error }]} />
    </form>
  );
}

/** `data/train.csv · 1.2 MB · 9c1b2d7e`, with the name where it is not that of the file. */
function datasetText({ name, path, url, latest }: Dataset): string {
  const place = path ?? url;
  return [
    place?.endsWith(name) ? place : [name, place && `(${place})`].filter(Boolean).join(' '),
    formatBytes(latest.size_bytes),
    latest.version.slice(0, SHOWN_DIGITS)
  ].join(' · ');
}

/** A name for a program to ask by: that of the file, made a name, if no row has it. */
function nameFor(dataset: Dataset, rows: readonly IDatasetRow[]): string {
  const stem = dataset.name.replace(/\.[^.]*$/, '').replace(/[^A-Za-z0-9_]+/g, '_');
  const name = /^[0-9]/.test(stem) ? `_${stem}` : stem;
  const isTaken = rows.some(row => row.name.toUpperCase() === name.toUpperCase());
  return isTaken ? '' : name;
}
