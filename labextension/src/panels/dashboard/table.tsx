// The runs as a table: sorted by the server, loaded a page at a time, drawn where it is seen.

import { useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactElement } from 'react';
import { CommandIDs, type ICommands } from '../../commands.js';
import { useNow } from '../../components/hooks.js';
import { runTitle } from '../../models/statuses.js';
import type { ITranslation } from '../../format.js';
import type { RunsTableModel } from '../../models/table.js';
import { columnsOf, type IColumn } from './columns.js';

const ROW_HEIGHT = 28; // pixels; the style sheet sets the same
const OVERSCAN = 10;
const LOAD_AHEAD = 30; // rows

/** The table. */
export function RunsTable(props: {
  model: RunsTableModel;
  commands: ICommands;
  trans: ITranslation;
}): ReactElement {
  const { model, commands, trans } = props;
  const now = useNow(1000);
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const [currentId, setCurrentId] = useState<string | null>(null);
  const { runs } = model;
  const columns = columnsOf(trans).filter(column => model.state.columns.includes(column.id));
  const first = Math.max(0, Math.floor(seen.top / ROW_HEIGHT) - OVERSCAN);
  const last = Math.min(runs.length, Math.ceil((seen.top + seen.height) / ROW_HEIGHT) + OVERSCAN);

  useLayoutEffect(() => {
    if (model.hasMore && !model.isLoading && last + LOAD_AHEAD >= runs.length) {
      void model.loadMore();
    }
  }, [model, model.hasMore, model.isLoading, last, runs.length]);

  const look = (): void => {
    const element = scroller.current;
    if (element) {
      setSeen({ top: element.scrollTop, height: element.clientHeight });
    }
  };
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) {
      return;
    }
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const open = (runId: string): void => void commands.execute(CommandIDs.openRun, { runId });
  const tabbable = runs.some(run => run.id === currentId) ? currentId : runs[first]?.id;
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
    const at = runs.findIndex(run => run.id === tabbable);
    const row = (event.target as HTMLElement).closest('tr');
    if (step === undefined || row === null || at < 0) {
      return;
    }
    event.preventDefault();
    const index = Math.max(0, Math.min(runs.length - 1, at + step));
    const target = runs[index];
    const element = scroller.current;
    if (target && element) {
      setCurrentId(target.id);
      const top = index * ROW_HEIGHT;
      if (
        top < element.scrollTop ||
        top > element.scrollTop + element.clientHeight - 3 * ROW_HEIGHT
      ) {
        element.scrollTop = top - element.clientHeight / 2;
      }
      requestAnimationFrame(() =>
        element
          .querySelector<HTMLElement>(`[data-run-id="${target.id}"] .jp-MelleaTable-open`)
          ?.focus()
      );
    }
  };

  const areAllSelected = runs.length > 0 && runs.every(run => model.selection.has(run.id));
  return (
    <div
      className="jp-MelleaDashboard-rows"
      ref={scroller}
      onScroll={look}
      data-loading={model.isLoading || undefined}
    >
      <table
        className="jp-MelleaTable"
        aria-label={trans.__('Runs')}
        aria-rowcount={runs.length + 1}
        aria-busy={model.isLoading}
        onKeyDown={onKeyDown}
      >
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col" className="jp-MelleaTable-check">
              <input
                type="checkbox"
                aria-label={trans.__('Select all loaded runs')}
                checked={areAllSelected}
                onChange={event =>
                  model.select(
                    runs.map(run => run.id),
                    event.target.checked
                  )
                }
              />
            </th>
            {columns.map(column => (
              <HeaderCell key={column.id} column={column} model={model} />
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Spacer rows={first} columns={columns.length + 1} />}
          {runs.slice(first, last).map((run, index) => (
            <tr
              key={run.id}
              className="jp-MelleaDashboard-row"
              data-run-id={run.id}
              aria-rowindex={first + index + 2}
              aria-selected={model.selection.has(run.id)}
              onDoubleClick={() => open(run.id)}
            >
              <td className="jp-MelleaTable-check">
                <input
                  type="checkbox"
                  aria-label={trans.__('Select %1', runTitle(run))}
                  tabIndex={run.id === tabbable ? 0 : -1}
                  checked={model.selection.has(run.id)}
                  onChange={event => model.select([run.id], event.target.checked)}
                />
              </td>
              {columns.map(column => (
                <td key={column.id} className={column.isNumber ? 'jp-mod-number' : undefined}>
                  {column.id === 'asset' ? (
                    <button
                      type="button"
                      className="jp-MelleaTable-open"
                      tabIndex={run.id === tabbable ? 0 : -1}
                      onFocus={() => setCurrentId(run.id)}
                      onClick={() => open(run.id)}
                    >
                      {column.cell(run, now)}
                    </button>
                  ) : (
                    column.cell(run, now)
                  )}
                </td>
              ))}
            </tr>
          ))}
          {last < runs.length && <Spacer rows={runs.length - last} columns={columns.length + 1} />}
        </tbody>
      </table>
    </div>
  );
}

function HeaderCell(props: { column: IColumn; model: RunsTableModel }): ReactElement {
  const { column, model } = props;
  const { sort } = model.state;
  const isSorted = sort === column.id || sort === `-${column.id}`;
  const direction = sort.startsWith('-') ? 'descending' : 'ascending';
  return (
    <th
      scope="col"
      className={column.isNumber ? 'jp-mod-number' : undefined}
      aria-sort={isSorted ? direction : 'none'}
    >
      <button type="button" onClick={() => model.sortBy(column.id)}>
        {column.label}
        <span aria-hidden="true">{isSorted ? (direction === 'descending' ? ' ↓' : ' ↑') : ''}</span>
      </button>
    </th>
  );
}

/** The space of rows that are not drawn. */
function Spacer(props: { rows: number; columns: number }): ReactElement {
  return (
    <tr aria-hidden="true" className="jp-MelleaTable-spacer">
      <td colSpan={props.columns} style={{ height: props.rows * ROW_HEIGHT }} />
    </tr>
  );
}
