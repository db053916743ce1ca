// The attempt ladder of one sampling loop: attempts × requirements. One stop of the Tab key; arrow
// keys move from cell to cell.

import { useState, type KeyboardEvent, type ReactElement } from 'react';
import type { LoopAttempt, SamplingLoop } from '../../api/schema.js';
import { Icon } from '../../components/icons.js';
import { formatNumber, type ITranslation } from '../../format.js';
import { gridOf, type IChain, type ICell, type IColumn, type IGrid, type IRow } from './grid.js';
import { purposeText } from './texts.js';
import { attemptKey, type Opened } from './view.js';

const SHOWN_ATTEMPTS = 50;
const SHOWN_REASON = 36; // characters

interface ILadderProps {
  loop: SamplingLoop;
  opened: Opened | null;
  onOpen: (opened: Opened) => void;
  trans: ITranslation;
}

/** The grid; nothing before the first attempt. */
export function Ladder(props: ILadderProps): ReactElement | null {
  const { loop, trans } = props;
  const [current, setCurrent] = useState('0:0');
  const [isWhole, setWhole] = useState(false);
  const grid = gridOf(loop);
  const count = loop.attempts.length;
  if (count === 0) {
    return null;
  }
  const shown = isWhole ? grid.chains : firstRows(grid.chains, SHOWN_ATTEMPTS);
  const tabbable = isThere(grid, shown, current) ? current : '0:0';
  let index = 0;
  return (
    <div className="jp-MelleaLadder">
      <table
        role="grid"
        aria-label={trans.__('Attempts of loop %1', loop.loop)}
        onKeyDown={moveFocus}
        onFocus={event => setCurrent((event.target as HTMLElement).dataset['cell'] ?? current)}
      >
        <thead>
          <tr>
            <th scope="col">{trans.__('Attempt')}</th>
            {grid.columns.map(column => (
              <ColumnHead key={column.key} column={column} trans={trans} />
            ))}
            <th scope="col">{trans.__('Then')}</th>
          </tr>
        </thead>
        {shown.map(chain => (
          <tbody key={chain.chain}>
            {grid.chains.length > 1 && (
              <tr className="jp-MelleaLadder-chain">
                <th scope="rowgroup" colSpan={grid.columns.length + 2}>
                  {trans.__('Chain %1', chain.chain)}
                </th>
              </tr>
            )}
            {chain.rows.map(row => (
              <LadderRow
                key={attemptKey(row.attempt)}
                {...props}
                row={row}
                columns={grid.columns}
                index={index++}
                tabbable={tabbable}
              />
            ))}
          </tbody>
        ))}
      </table>
      {!isWhole && count > SHOWN_ATTEMPTS && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => setWhole(true)}
        >
          {trans._n(
            '%2 more attempt',
            '%2 more attempts',
            count - SHOWN_ATTEMPTS,
            formatNumber(count - SHOWN_ATTEMPTS)
          )}
        </button>
      )}
    </div>
  );
}

function ColumnHead({ column, trans }: { column: IColumn; trans: ITranslation }): ReactElement {
  return (
    <th scope="col" className="jp-MelleaLadder-requirement" title={column.text}>
      <span>{column.text}</span>
      {column.isJudged && <small>{trans.__('judged by a model')}</small>}
    </th>
  );
}

interface ILadderRowProps extends ILadderProps {
  row: IRow;
  columns: readonly IColumn[];
  index: number;
  tabbable: string;
}

function LadderRow(props: ILadderRowProps): ReactElement {
  const { row, columns, index, opened, onOpen, loop, trans } = props;
  const { attempt } = row;
  const call = attempt.calls.at(-1);
  const stop = (column: number): { 'data-cell': string; tabIndex: number } => {
    const cell = `${index}:${column}`;
    return { 'data-cell': cell, tabIndex: cell === props.tabbable ? 0 : -1 };
  };
  return (
    <tr className={attempt.is_chosen ? 'jp-mod-chosen' : undefined}>
      <th scope="row">
        <button
          type="button"
          {...stop(0)}
          className="jp-MelleaLadder-attempt"
          aria-disabled={call === undefined}
          aria-pressed={opened?.kind === 'call' && opened.call === call}
          title={call === undefined ? undefined : trans.__('Show prompt and reply')}
          onClick={() => call !== undefined && onOpen({ kind: 'call', call })}
        >
          <span className="jp-MelleaLadder-number">{attempt.attempt}</span>{' '}
          {formText(attempt, trans)}
        </button>
      </th>
      {row.cells.map((cell, at) => {
        const column = columns[at] as IColumn;
        const { chain, attempt: number } = attempt;
        return (
          <td key={column.key}>
            <LadderCell
              cell={cell}
              column={column}
              stop={stop(at + 1)}
              isOpened={
                opened?.kind === 'verdict' &&
                opened.loop === loop.loop &&
                opened.chain === chain &&
                opened.attempt === number &&
                opened.column === column.key
              }
              onOpen={() =>
                onOpen({
                  kind: 'verdict',
                  loop: loop.loop,
                  chain,
                  attempt: number,
                  column: column.key
                })
              }
              trans={trans}
            />
          </td>
        );
      })}
      <td className="jp-MelleaLadder-then">
        <Then {...props} stop={stop(columns.length + 1)} />
      </td>
    </tr>
  );
}

/** How it goes on, and what changed from the attempt before. */
function Then(
  props: ILadderRowProps & { stop: { 'data-cell': string; tabIndex: number } }
): ReactElement {
  const { row, loop, opened, trans } = props;
  const { attempt, next, previous } = row;
  return (
    <>
      {attempt.is_chosen && (
        <span className="jp-MelleaLadder-chosen">
          <Icon name={loop.status === 'not_met' ? 'unmet' : 'succeeded'} />
          {trans.__('chosen')}
        </span>
      )}
      {attempt.is_chosen && ' '}
      {next !== null && (
        <span>→ {next === 'resample' ? trans.__('resample') : trans.__('repair')}</span>
      )}
      {next !== null && ' '}
      {previous !== null && (
        <button
          type="button"
          {...props.stop}
          className="jp-MelleaButton jp-mod-link"
          aria-label={trans.__(
            'Differences from attempt %1 to %2',
            previous.attempt,
            attempt.attempt
          )}
          aria-pressed={
            opened?.kind === 'diff' &&
            opened.loop === loop.loop &&
            opened.after === attemptKey(attempt)
          }
          onClick={() =>
            props.onOpen({
              kind: 'diff',
              loop: loop.loop,
              before: attemptKey(previous),
              after: attemptKey(attempt)
            })
          }
        >
          {trans.__('diff')}
        </button>
      )}
    </>
  );
}

function LadderCell(props: {
  cell: ICell;
  column: IColumn;
  stop: { 'data-cell': string; tabIndex: number };
  isOpened: boolean;
  onOpen: () => void;
  trans: ITranslation;
}): ReactElement {
  const { cell, column, trans } = props;
  const { verdict } = cell;
  const state = stateText(cell, trans);
  const said = verdict === null ? '' : shortVerdict(cell);
  return (
    <button
      type="button"
      {...props.stop}
      className={`jp-MelleaLadder-cell jp-mod-${cell.state}`}
      aria-disabled={verdict === null}
      aria-pressed={props.isOpened}
      aria-label={[column.text, state, verdict?.score?.toString() ?? '', verdict?.reason ?? '']
        .filter(Boolean)
        .join(': ')}
      title={verdict?.reason ?? state}
      onClick={() => verdict !== null && props.onOpen()}
    >
      {cell.state === 'passed' && <Icon name="succeeded" />}
      {cell.state === 'failed' && <Icon name="failed" />}
      <span>{said || state}</span>
    </button>
  );
}

/** What a cell says in words. */
export function stateText(cell: ICell, trans: ITranslation): string {
  switch (cell.state) {
    case 'passed':
      return trans.__('met');
    case 'failed':
      return trans.__('not met');
    case 'waiting':
      return trans.__('checking…');
    case 'unchecked':
      return trans.__('not checked');
    default: {
      const unknown: never = cell.state;
      return unknown;
    }
  }
}

/** A score, or why it was not met, as far as there is room for it. */
function shortVerdict({ state, verdict }: ICell): string {
  if (verdict?.score !== null && verdict?.score !== undefined) {
    return String(Math.round(verdict.score * 100) / 100);
  }
  const reason = state === 'failed' ? (verdict?.reason?.replace(/\s+/g, ' ').trim() ?? '') : '';
  return reason.length > SHOWN_REASON ? `${reason.slice(0, SHOWN_REASON - 1).trimEnd()}…` : reason;
}

/** `answer`, `resample`, `repair`. */
export function formText(attempt: LoopAttempt, trans: ITranslation): string {
  return attempt.form === 'resample' ? trans.__('resample') : purposeText(attempt.form, trans);
}

/** The first `count` rows, over all chains. */
function firstRows(chains: readonly IChain[], count: number): IChain[] {
  const found: IChain[] = [];
  let left = count;
  for (const { chain, rows } of chains) {
    if (left > 0) {
      found.push({ chain, rows: rows.slice(0, left) });
      left -= rows.length;
    }
  }
  return found;
}

function isThere({ columns }: IGrid, shown: readonly IChain[], cell: string): boolean {
  const [row = 0, column = 0] = cell.split(':').map(Number);
  const rows = shown.flatMap(chain => chain.rows);
  return row < rows.length && column <= columns.length + (rows[row]?.previous === null ? 0 : 1);
}

function moveFocus(event: KeyboardEvent<HTMLTableElement>): void {
  const cell = (event.target as HTMLElement).dataset['cell'];
  const [down, right] = STEPS[event.key] ?? [0, 0];
  if (cell === undefined || (down === 0 && right === 0)) {
    return;
  }
  event.preventDefault();
  const [row = 0, column = 0] = cell.split(':').map(Number);
  const find = (at: number): HTMLElement | null =>
    event.currentTarget.querySelector(`[data-cell="${row + down}:${at}"]`);
  // the first row of a chain has no differences to show: what is to the left of them then
  (find(column + right) ?? (down === 0 ? null : find(column - 1)))?.focus();
}

const STEPS: Record<string, [down: number, right: number]> = {
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1]
};
