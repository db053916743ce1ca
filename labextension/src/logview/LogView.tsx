// The log viewer: draws the rows that are seen, and no others. Used in lab and in the widget, so it
// imports nothing of JupyterLab.
//
// The rows lie in a layer that sticks to the top of the scrolled element; their place in it follows
// from the viewport alone, never from the browser's scroll position, so a log of any length works.

import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactElement,
  type ReactNode
} from 'react';
import type { Run } from '../api/schema.js';
import type { StreamState } from '../api/stream.js';
import { formatClock, formatNumber, type ITranslation } from '../format.js';
import { reasonText, statusText } from '../components/status.js';
import { isTerminal } from '../models/statuses.js';
import type { ILine } from './core/buffer.js';
import { isOpen } from './core/filtered.js';
import type { LogModel } from './core/model.js';
import { RowHeights } from './core/rows.js';
import { Viewport } from './core/viewport.js';
import { LogLine } from './LogLine.js';
import { LogToolbar } from './LogToolbar.js';

const ROW_HEIGHT = 18; // pixels; the style sheet sets the same
const OVERSCAN = 4; // rows drawn above and below what is seen
const SETTLE_MS = 150; // after the last movement, the scaled scroll bar is set right

interface ILogViewProps {
  model: LogModel;
  /** The run, for its end; null while it is not known. */
  run: Run | null;
  streamState: StreamState;
  downloadUrl: string | null;
  /** Address of a line; null where there is none. */
  lineUrl: ((line: number) => string) | null;
  /** What stands behind a line; the same function at each drawing. */
  after?: (line: ILine) => ReactNode;
  /** Without filters and search, where a few lines are all there is room for. */
  isCompact?: boolean;
  trans: ITranslation;
}

/** A log with its toolbar. */
export function LogView(props: ILogViewProps): ReactElement {
  const { model, trans, lineUrl } = props;
  const [isWrapped, setWrapped] = useState(false);
  const [hasTime, setTime] = useState(false);
  const searchBox = useRef<HTMLInputElement>(null);
  const list = useLogRows(model, isWrapped);

  const copyLink = useCallback(
    (line: number) => {
      void model.reveal(line);
      const url = lineUrl?.(line);
      if (url) {
        void navigator.clipboard?.writeText(url);
      }
    },
    [model, lineUrl]
  );
  const onKeyDown = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key === 'f') {
      event.preventDefault();
      event.stopPropagation();
      searchBox.current?.focus();
    }
  };

  return (
    <div className="jp-MelleaLog" onKeyDown={onKeyDown}>
      {props.isCompact !== true && (
        <LogToolbar
          model={model}
          trans={trans}
          searchBox={searchBox}
          firstLine={list.firstLine}
          isWrapped={isWrapped}
          onWrap={setWrapped}
          hasTime={hasTime}
          onTime={setTime}
          downloadUrl={props.downloadUrl}
        />
      )}
      <div className="jp-MelleaLog-body">
        <div
          className="jp-MelleaLog-scroller"
          ref={list.scroller}
          onScroll={list.onScroll}
          role="log"
          aria-live="off"
          aria-label={trans.__('Log lines')}
          tabIndex={0}
          data-wrapped={isWrapped || undefined}
        >
          <div style={{ height: list.scrollHeight }}>
            <div className="jp-MelleaLog-layer" style={{ height: list.height }}>
              <div ref={list.rows} style={{ transform: `translateY(${list.shift}px)` }}>
                {list.indexes.map(index => {
                  const line = model.row(index);
                  return line ? (
                    <LogLine
                      key={line.line}
                      line={line}
                      index={index}
                      hiddenBefore={model.hiddenBefore(index)}
                      query={model.search?.text ?? ''}
                      isHighlighted={model.highlightedLine === line.line}
                      hasTime={hasTime}
                      href={lineUrl?.(line.line) ?? null}
                      onCopyLink={copyLink}
                      after={props.after}
                      trans={trans}
                    />
                  ) : (
                    <div key={index + 1} className="jp-MelleaLog-line jp-mod-loading">
                      <span className="jp-MelleaLog-number">{index + 1}</span>
                    </div>
                  );
                })}
              </div>
            </div>
          </div>
        </div>
        {model.newRows > 0 && (
          <button
            type="button"
            className="jp-MelleaLog-return"
            onClick={() => model.setFollowing(true)}
          >
            {trans._n(
              '↓ %2 new line',
              '↓ %2 new lines',
              model.newRows,
              formatNumber(model.newRows)
            )}
          </button>
        )}
        {model.count === 0 && <p className="jp-MelleaLog-empty">{emptyText(props)}</p>}
      </div>
      <LogFooter {...props} />
    </div>
  );
}

/** What is drawn, and where. */
interface ILogRows {
  scroller: React.RefObject<HTMLDivElement>;
  rows: React.RefObject<HTMLDivElement>;
  onScroll: () => void;
  firstLine: () => number;
  indexes: number[];
  shift: number;
  scrollHeight: number;
  height: number;
}

function useLogRows(model: LogModel, isWrapped: boolean): ILogRows {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useRef<HTMLDivElement>(null);
  const [viewport] = useState(() => new Viewport());
  const [heights] = useState(() => new RowHeights(ROW_HEIGHT));
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const barAt = useRef(0); // where we put the scroll bar: its own event is not a movement
  const settle = useRef(0);

  const putBar = useCallback((scrollTop: number) => {
    const element = scroller.current;
    if (element && Math.abs(element.scrollTop - scrollTop) > 0.5) {
      element.scrollTop = scrollTop;
    }
    barAt.current = element?.scrollTop ?? 0;
  }, []);

  useEffect(() => {
    let frame: number | null = null;
    const drawSoon = (): void => {
      frame ??= requestAnimationFrame(() => {
        frame = null;
        draw();
      });
    };
    const stop = model.listen({
      onChange: mayWait => (mayWait ? drawSoon() : draw()),
      onReset: () => {
        forget(model, heights);
        drawSoon();
      },
      onPrepend: count => {
        heights.shift(count);
        viewport.total = heights.offset(model.count);
        viewport.moveTo(viewport.top + heights.offset(count));
        drawSoon();
      },
      onAbsent: gaps => {
        for (const [first, last] of gaps) {
          const above = heights.offset(last + 1);
          heights.hide(first, last);
          if (above <= viewport.top) {
            viewport.moveTo(viewport.top - above + heights.offset(last + 1));
          }
        }
        drawSoon();
      },
      onReveal: index => {
        viewport.total = heights.offset(model.count);
        viewport.moveTo(heights.offset(index) - viewport.height / 2);
        drawSoon();
      }
    });
    draw();
    return () => {
      stop();
      if (frame !== null) {
        cancelAnimationFrame(frame);
      }
    };
  }, [model, viewport, heights]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) {
      return;
    }
    const observer = new ResizeObserver(() => {
      viewport.height = element.clientHeight;
      draw();
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [viewport]);

  useEffect(() => {
    forget(model, heights);
    draw();
  }, [model, heights, isWrapped]);

  const count = model.count;
  viewport.total = heights.offset(count);
  if (model.isFollowing) {
    viewport.moveTo(viewport.end);
  }
  const first = count > 0 ? heights.indexAt(viewport.top, count) : 0;
  const { indexes, from } = visibleRows(model, heights, viewport, first);

  useLayoutEffect(() => {
    if (Date.now() - settle.current > SETTLE_MS) {
      putBar(viewport.scrollTop);
    }
    if (viewport.height > 0 && count > 0) {
      model.want(indexes[0] ?? 0, indexes.at(-1) ?? 0);
    }
    const mayDiffer = isWrapped || !isOpen(model.filter);
    if (mayDiffer && rows.current && measure(rows.current, heights, viewport, first)) {
      draw();
    }
  });

  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (!element || Math.abs(element.scrollTop - barAt.current) < 1) {
      return;
    }
    barAt.current = element.scrollTop;
    settle.current = Date.now();
    window.setTimeout(() => {
      if (Date.now() - settle.current >= SETTLE_MS) {
        draw();
      }
    }, SETTLE_MS + 10);
    viewport.scrolled(element.scrollTop);
    model.setFollowing(viewport.isAtEnd);
    draw();
  }, [model, viewport]);

  const firstLine = useCallback(
    () => model.row(heights.indexAt(viewport.top, Math.max(1, model.count)))?.line ?? 1,
    [model, viewport, heights]
  );

  return useMemo(
    () => ({
      scroller,
      rows,
      onScroll,
      firstLine,
      indexes,
      shift: heights.offset(from) - viewport.top,
      scrollHeight: viewport.scrollHeight,
      height: Math.min(viewport.height, viewport.scrollHeight)
    }),
    [onScroll, firstLine, indexes, heights, from, viewport]
  );
}

/** All rows have the same height again, but for those that have none. */
function forget(model: LogModel, heights: RowHeights): void {
  heights.clear();
  for (const [first, last] of model.absentRows) {
    heights.hide(first, last);
  }
}

/** The rows to draw: those that are seen and a few around them, without rows of no height. */
function visibleRows(
  model: LogModel,
  heights: RowHeights,
  viewport: Viewport,
  first: number
): { indexes: number[]; from: number } {
  const count = model.count;
  const indexes: number[] = [];
  let from = first;
  for (let above = 0; above < OVERSCAN && from > 0; from--) {
    above += heights.height(from - 1) > 0 ? 1 : 0;
    if (first - from > 64) {
      break;
    }
  }
  const end = viewport.top + viewport.height + OVERSCAN * ROW_HEIGHT;
  let top = heights.offset(from);
  for (let index = from; index < count && top < end; index++) {
    const height = heights.height(index);
    if (height > 0) {
      indexes.push(index);
      top += height;
    }
  }
  return { indexes, from };
}

/** Take the heights that the browser gave the rows. Returns whether one was another than thought. */
function measure(
  container: HTMLElement,
  heights: RowHeights,
  viewport: Viewport,
  first: number
): boolean {
  let isChanged = false;
  for (const element of Array.from(container.children)) {
    const { index, height } = {
      index: Number((element as HTMLElement).dataset['index'] ?? -1),
      height: (element as HTMLElement).offsetHeight
    };
    if (index >= 0 && height > 0) {
      const change = heights.set(index, height);
      if (change !== 0) {
        isChanged = true;
        viewport.total += change;
        if (index < first) {
          viewport.moveTo(viewport.top + change); // what is seen stays where it is
        }
      }
    }
  }
  return isChanged;
}

function emptyText({ model, run, trans }: ILogViewProps): string {
  switch (model.state) {
    case 'loading':
      return trans.__('Loading…');
    case 'failed':
      return model.error?.message ?? '';
    case 'live':
      return run?.status === 'queued'
        ? trans.__('The run is queued. Its log appears here when it starts.')
        : trans.__('Nothing was written yet.');
    case 'ended':
      return isOpen(model.filter)
        ? trans.__('The program wrote nothing.')
        : trans.__('No line passes the filter.');
    default: {
      const unknown: never = model.state;
      return unknown;
    }
  }
}

function LogFooter({ model, run, streamState, trans }: ILogViewProps): ReactElement {
  const isReconnecting = streamState === 'reconnecting' && model.state === 'live';
  return (
    <div className="jp-MelleaLog-footer" role="status">
      {isReconnecting && (
        <span className="jp-MelleaLog-reconnecting">{trans.__('Reconnecting…')}</span>
      )}
      {model.error !== null && model.count > 0 && (
        <span className="jp-MelleaLog-error">{model.error.message}</span>
      )}
      {model.state === 'ended' && run !== null && isTerminal(run) && (
        <span>── {endText(run, trans)} ──</span>
      )}
      <span className="jp-MelleaLog-count">
        {trans._n('%2 line', '%2 lines', model.lineCount, formatNumber(model.lineCount))}
      </span>
    </div>
  );
}

function endText(run: Run, trans: ITranslation): string {
  const parts = [statusText(run.status, trans), reasonText(run, trans)];
  if (run.exit_code !== null && run.status_reason !== 'exit_code') {
    parts.push(trans.__('exit %1', run.exit_code));
  }
  if (run.finished_at !== null) {
    parts.push(formatClock(run.finished_at).slice(0, 8));
  }
  return trans.__('ended: %1', parts.filter(Boolean).join(', '));
}
