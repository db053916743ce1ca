// Runs side by side: a column a run, what differs first and what is the same folded.

import { useState, type ReactElement } from 'react';
import type { ComparedColumn, ComparedRow, RunComparison, SourceDiff } from '../../api/schema.js';
import { CommandIDs, type ICommands } from '../../commands.js';
import { useSignal } from '../../components/hooks.js';
import { Icon } from '../../components/icons.js';
import { statusText } from '../../components/status.js';
import { formatNumber, type ITranslation } from '../../format.js';
import type { CompareModel } from './model.js';
import {
  activeRuns,
  changeOf,
  isNumeric,
  missingText,
  rowName,
  sectionTitles,
  statusesText,
  valueText
} from './rows.js';

interface ICompareProps {
  model: CompareModel;
  commands: ICommands;
  trans: ITranslation;
}

/** Everything in the tab, or in the output of a cell. */
export function CompareBody({ model, commands, trans }: ICompareProps): ReactElement {
  useSignal(model.changed);
  const [showsSame, setShowsSame] = useState(false);
  const { comparison, error } = model;
  if (comparison === null) {
    return (
      <p className="jp-MelleaRun-message" role={error === null ? undefined : 'alert'}>
        {error === null ? trans.__('Loading…') : error.message}{' '}
        {error !== null && (
          <button
            type="button"
            className="jp-MelleaButton jp-mod-link"
            onClick={() => void model.read()}
          >
            {trans.__('Try again')}
          </button>
        )}
      </p>
    );
  }
  const same = comparison.rows.filter(row => !row.differs && !isHead(row)).length;
  return (
    <div className="jp-MelleaCompare">
      <Bar comparison={comparison} commands={commands} trans={trans}>
        {same > 0 && (
          <label>
            <input
              type="checkbox"
              checked={showsSame}
              onChange={event => setShowsSame(event.target.checked)}
            />
            {trans._n('%1 row that is the same', '%1 rows that are the same', same)}
          </label>
        )}
        {error !== null && <span role="alert">{error.message}</span>}
      </Bar>
      <div className="jp-MelleaCompare-scroll" tabIndex={0} role="group">
        <Table comparison={comparison} showsSame={showsSame} commands={commands} trans={trans} />
        <LeftOut comparison={comparison} trans={trans} />
        {comparison.sources.length > 0 && (
          <section className="jp-MelleaCompare-sources" aria-label={trans.__('Source')}>
            <h3>{trans.__('Source, against the first run')}</h3>
            {comparison.sources.map(each => (
              <Diff
                key={`${each.path} ${each.columns.join()}`}
                source={each}
                columns={comparison.columns}
                trans={trans}
              />
            ))}
          </section>
        )}
      </div>
    </div>
  );
}

interface IBarProps {
  comparison: RunComparison;
  commands: ICommands;
  trans: ITranslation;
  children: React.ReactNode;
}

function Bar({ comparison, commands, trans, children }: IBarProps): ReactElement {
  const { columns, group_id: groupId } = comparison;
  const runs = columns.flatMap(column => column.runs);
  const active = activeRuns(columns);
  return (
    <div className="jp-MelleaCompare-bar">
      <span role="status">
        {active.length === 0
          ? trans._n('%1 run, ended', '%1 runs, all ended', runs.length)
          : trans.__('%1 of %2 ended', runs.length - active.length, runs.length)}
      </span>
      {active.length > 0 && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-warn"
          onClick={() => void commands.execute(CommandIDs.cancelRuns, { runIds: active })}
        >
          {trans._n('Cancel %1 run', 'Cancel %1 runs', active.length)}
        </button>
      )}
      {groupId !== null && commands.hasCommand(CommandIDs.openDashboard) && (
        <button
          type="button"
          className="jp-MelleaButton"
          onClick={() =>
            void commands.execute(CommandIDs.openDashboard, { filters: { group_id: [groupId] } })
          }
        >
          {trans.__('Show in the dashboard')}
        </button>
      )}
      {children}
    </div>
  );
}

/** The status stands in the columns' heads. */
function isHead(row: ComparedRow): boolean {
  return row.section === 'outcome' && row.name === 'status';
}

interface ITableProps {
  comparison: RunComparison;
  showsSame: boolean;
  commands: ICommands;
  trans: ITranslation;
}

function Table({ comparison, showsSame, commands, trans }: ITableProps): ReactElement {
  const { columns } = comparison;
  const sections = sectionTitles(trans)
    .map(([section, title]) => ({
      title,
      rows: comparison.rows.filter(
        row => row.section === section && !isHead(row) && (row.differs || showsSame)
      )
    }))
    .filter(section => section.rows.length > 0);
  return (
    <>
      <table className="jp-MelleaTable" aria-label={trans.__('Compared runs')}>
        <thead>
          <tr>
            <td />
            {columns.map((column, at) => (
              <Head key={column.runs[0]?.id ?? at} {...{ column, commands, trans }} />
            ))}
          </tr>
        </thead>
        {sections.map(({ title, rows }) => (
          <tbody key={title}>
            <tr className="jp-MelleaCompare-group">
              <th colSpan={columns.length + 1} scope="rowgroup">
                {title}
              </th>
            </tr>
            {rows.map(row => (
              <Row key={row.name} row={row} trans={trans} />
            ))}
          </tbody>
        ))}
      </table>
      {sections.length === 0 && <p>{trans.__('Nothing differs.')}</p>}
    </>
  );
}

function Head(props: {
  column: ComparedColumn;
  commands: ICommands;
  trans: ITranslation;
}): ReactElement {
  const { column, commands, trans } = props;
  const [run, ...others] = column.runs;
  if (run === undefined) {
    return <th scope="col">{column.label}</th>;
  }
  const look = run.is_unmet ? 'unmet' : run.status;
  const status = run.is_unmet ? trans.__('requirements not met') : statusText(run.status, trans);
  return (
    <th scope="col">
      {others.length === 0 ? (
        <>
          <span className={`jp-MelleaStatus jp-mod-${look}`} role="img" aria-label={status}>
            <Icon name={look} />
          </span>{' '}
          <button
            type="button"
            className="jp-MelleaTable-open"
            title={`${run.title} · ${column.label} · ${run.id}`}
            onClick={() => void commands.execute(CommandIDs.openRun, { runId: run.id })}
          >
            {column.label || run.title}
          </button>
          <small className="jp-MelleaCompare-status">{status}</small>
        </>
      ) : (
        <>
          {column.label}
          <small className="jp-MelleaCompare-status">{statusesText(column, trans)}</small>
        </>
      )}
    </th>
  );
}

function Row({ row, trans }: { row: ComparedRow; trans: ITranslation }): ReactElement {
  const name = rowName(row, trans);
  return (
    <tr className={row.differs ? 'jp-mod-different' : undefined}>
      <th scope="row" title={name}>
        {name}
      </th>
      {row.values.map((value, at) => {
        const text = valueText(row, value, trans);
        const note = [changeOf(row, at), missingText(row, value, trans)].filter(Boolean).join(', ');
        return (
          <td
            key={at}
            className={isNumeric(row) ? 'jp-mod-number' : undefined}
            title={text.length > 24 ? text : undefined}
          >
            {text || '–'}
            {row.unit === 'share' && value.of !== null && typeof value.value === 'number' && (
              <meter className="jp-MelleaCompare-meter" max={value.of} value={value.value} />
            )}
            {note && <small>{note}</small>}
          </td>
        );
      })}
    </tr>
  );
}

function LeftOut(props: { comparison: RunComparison; trans: ITranslation }): ReactElement | null {
  const { comparison, trans } = props;
  const texts = [
    [comparison.left_out_runs, trans.__('runs of the group are not shown')],
    [comparison.left_out_rows, trans.__('rows over the limit are not shown')],
    [comparison.left_out_files, trans.__('files that differ are not shown')]
  ]
    .filter(([count]) => count !== 0)
    .map(([count, text]) => `${formatNumber(count as number)} ${text}`);
  return texts.length === 0 ? null : <p className="jp-MelleaView-note">{texts.join('; ')}</p>;
}

function Diff(props: {
  source: SourceDiff;
  columns: readonly ComparedColumn[];
  trans: ITranslation;
}): ReactElement {
  const { source, columns, trans } = props;
  const change = {
    changed: trans.__('changed'),
    added: trans.__('added'),
    removed: trans.__('removed')
  }[source.change];
  const labels = source.columns.map(at => columns[at]?.label || String(at + 1));
  return (
    <details open={columns.length === 2}>
      <summary>
        <code>{source.path}</code> {change} · {labels.join(', ')}
      </summary>
      {source.diff === null ? (
        <p>{trans.__('Binary, or too large to compare.')}</p>
      ) : (
        <pre className="jp-MelleaDiff">
          {source.diff.split('\n').map((line, number) => (
            <span key={number} className={lineClass(line)}>
              {line}
              {'\n'}
            </span>
          ))}
        </pre>
      )}
      {source.truncated && <p>{trans.__('There is more; the beginning is shown.')}</p>}
    </details>
  );
}

function lineClass(line: string): string | undefined {
  if (line.startsWith('@@') || line.startsWith('---') || line.startsWith('+++')) {
    return 'jp-mod-place';
  }
  return line.startsWith('+')
    ? 'jp-mod-added'
    : line.startsWith('-')
      ? 'jp-mod-removed'
      : undefined;
}
