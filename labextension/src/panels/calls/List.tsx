// Loops with their ladders, and calls, as one long list of which only what is seen is drawn.

import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactElement
} from 'react';
import type { LlmCall } from '../../api/schema.js';
import { Icon } from '../../components/icons.js';
import type { ITranslation } from '../../format.js';
import type { ICallsTree, Item } from './groups.js';
import { Ladder } from './Ladder.js';
import { LoopHead } from './LoopHead.js';
import {
  callLabel,
  costText,
  endText,
  firstTokenText,
  latencyText,
  modelText,
  purposeText,
  tokensText
} from './texts.js';
import type { CallsView, Opened } from './view.js';
import { offsetsOf, seenOf } from './window.js';

const ROW_HEIGHT = 24; // pixels; the style sheet sets the same
const LADDER_ROW = 27;
const OVERSCAN = 300; // pixels

interface IListProps {
  view: CallsView;
  tree: ICallsTree;
  onOpen: (opened: Opened) => void;
  trans: ITranslation;
}

/** The list. Up and down move between loops and calls; the Tab key visits loops and one call. */
export function CallsList(props: IListProps): ReactElement {
  const { view, tree, trans } = props;
  const { items } = tree;
  const scroller = useRef<HTMLDivElement>(null);
  const heights = useRef(new Map<string, number>());
  const [seen, setSeen] = useState({ top: view.scrollTop, height: 600 });
  const [measured, drawAgain] = useReducer((count: number) => count + 1, 0);
  const [current, setCurrent] = useState<string | null>(null);
  const wanted = useRef<string | null>(null); // gets the focus once it is drawn

  const offsets = useMemo(
    () => offsetsOf(items.map(item => heights.current.get(item.key) ?? likelyHeight(item))),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `measured` counts changes of heights
    [items, measured]
  );
  const { from, to } = seenOf(offsets, seen.top, seen.height, OVERSCAN);
  const shown = items.slice(from, to);
  const tabbable = shown.some(item => item.key === current)
    ? current
    : (shown.find(item => item.kind === 'call')?.key ?? null);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) {
      return;
    }
    element.scrollTop = view.scrollTop;
    const look = (): void => setSeen({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    look();
    return () => observer.disconnect();
  }, [view]);

  useLayoutEffect(() => {
    const found = scroller.current?.querySelector<HTMLElement>(
      `[data-key="${wanted.current ?? ''}"] [data-first]`
    );
    if (found) {
      wanted.current = null;
      found.focus({ preventScroll: true });
    }
  });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element && measure(element, heights.current, offsets, items)) {
      drawAgain();
    }
  });

  const { revealed } = view;
  useEffect(() => {
    const element = scroller.current;
    const at = revealed === null ? -1 : items.findIndex(item => item.key === revealed);
    if (element && at >= 0) {
      element.scrollTop = (offsets[at] as number) - ROW_HEIGHT;
      view.wasRevealed();
    }
  }, [view, revealed, items, offsets]);

  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (element) {
      view.scrollTop = element.scrollTop;
      setSeen({ top: element.scrollTop, height: element.clientHeight });
    }
  }, [view]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const target = event.target as HTMLElement;
    const key = target.closest<HTMLElement>('[data-key]')?.dataset['key'];
    if (step === undefined || event.defaultPrevented || target.dataset['first'] === undefined) {
      return;
    }
    event.preventDefault();
    let at = items.findIndex(item => item.key === key) + step;
    if (items[at]?.kind === 'head') {
      at += step;
    }
    const next = items[at];
    const element = scroller.current;
    if (next && element) {
      setCurrent(next.key);
      const top = offsets[at] as number;
      if (top < element.scrollTop || top > element.scrollTop + element.clientHeight - ROW_HEIGHT) {
        element.scrollTop = step > 0 ? top - element.clientHeight + 2 * ROW_HEIGHT : top;
      }
      wanted.current = next.key;
    }
  };

  return (
    <div
      className="jp-MelleaCalls-list"
      ref={scroller}
      role="region"
      aria-label={trans.__('Loops and calls')}
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      <div style={{ height: offsets[from] }} />
      {shown.map(item => (
        <div
          key={item.key}
          data-key={item.key}
          className={`jp-MelleaCalls-item jp-mod-${item.kind}`}
          style={{ paddingInlineStart: item.depth * 20 }}
        >
          <Piece {...props} item={item} isTabbable={item.key === tabbable} />
        </div>
      ))}
      <div style={{ height: (offsets.at(-1) as number) - (offsets[to] as number) }} />
    </div>
  );
}

function Piece(props: IListProps & { item: Item; isTabbable: boolean }): ReactElement {
  const { item, view, tree, onOpen, trans } = props;
  switch (item.kind) {
    case 'head':
      return <CallHead trans={trans} />;
    case 'call':
      return (
        <CallRow
          call={item.call}
          isOpened={view.opened?.kind === 'call' && view.opened.call === item.call.call}
          isTabbable={props.isTabbable}
          onOpen={onOpen}
          trans={trans}
        />
      );
    case 'loop': {
      const { loop, isOpen } = item;
      const calls = tree.callsOf.get(loop.loop) ?? [];
      return (
        <section aria-label={trans.__('Loop %1', loop.loop)}>
          <LoopHead
            loop={loop}
            first={calls[0]}
            isOpen={isOpen}
            onTurn={() => view.turn(loop)}
            trans={trans}
          />
          {isOpen && (
            <div className="jp-MelleaLoop-body">
              <Ladder loop={loop} opened={view.opened} onOpen={onOpen} trans={trans} />
              {calls.length > 0 && (
                <button
                  type="button"
                  className="jp-MelleaButton jp-mod-link"
                  aria-expanded={view.hasCalls(loop)}
                  onClick={() => view.turnCalls(loop)}
                >
                  {view.hasCalls(loop)
                    ? trans.__('Hide calls')
                    : trans._n('Show %1 call', 'Show %1 calls', calls.length)}
                </button>
              )}
            </div>
          )}
        </section>
      );
    }
    default: {
      const unknown: never = item;
      return unknown;
    }
  }
}

function CallHead({ trans }: { trans: ITranslation }): ReactElement {
  return (
    <div className="jp-MelleaCalls-row jp-mod-head" aria-hidden="true">
      <span>#</span>
      <span>{trans.__('Purpose')}</span>
      <span>{trans.__('Model')}</span>
      <span>{trans.__('Tokens')}</span>
      <span>{trans.__('Latency')}</span>
      <span>{trans.__('First token')}</span>
      <span>{trans.__('Cost')}</span>
    </div>
  );
}

function CallRow(props: {
  call: LlmCall;
  isOpened: boolean;
  isTabbable: boolean;
  onOpen: (opened: Opened) => void;
  trans: ITranslation;
}): ReactElement {
  const { call, trans } = props;
  const end = endText(call, trans);
  return (
    <button
      type="button"
      className={`jp-MelleaCalls-row jp-mod-${call.status}`}
      aria-label={callLabel(call, trans)}
      aria-pressed={props.isOpened}
      tabIndex={props.isTabbable ? 0 : -1}
      data-first
      title={call.error ?? undefined}
      onClick={() => props.onOpen({ kind: 'call', call: call.call })}
    >
      <span>{call.call}</span>
      <span>
        {purposeText(call.purpose, trans)}
        {end && (
          <em className={`jp-MelleaCalls-end jp-mod-${call.status}`}>
            <Icon name={END_ICONS[call.status] ?? 'running'} />
            {end}
          </em>
        )}
      </span>
      <span>{modelText(call, trans)}</span>
      <span>{tokensText(call, trans)}</span>
      <span>{latencyText(call)}</span>
      <span>{firstTokenText(call)}</span>
      <span>{costText(call, trans)}</span>
    </button>
  );
}

const END_ICONS: Record<string, 'running' | 'failed' | 'cancelled'> = {
  active: 'running',
  failed: 'failed',
  cancelled: 'cancelled'
};

/** How high a piece will be that was never drawn. */
function likelyHeight(item: Item): number {
  if (item.kind !== 'loop') {
    return ROW_HEIGHT;
  }
  return item.isOpen ? 90 + item.loop.attempts.length * LADDER_ROW : 30;
}

/** Take the heights the browser gave. What is seen stays where it is. */
function measure(
  scroller: HTMLElement,
  heights: Map<string, number>,
  offsets: Float64Array,
  items: readonly Item[]
): boolean {
  const indexes = new Map(items.map((item, index) => [item.key, index]));
  let isChanged = false;
  for (const element of Array.from(scroller.children) as HTMLElement[]) {
    const key = element.dataset['key'];
    const height = element.offsetHeight;
    if (key === undefined || height === 0 || heights.get(key) === height) {
      continue;
    }
    heights.set(key, height);
    const at = indexes.get(key) as number;
    const change = height - ((offsets[at + 1] as number) - (offsets[at] as number));
    isChanged ||= change !== 0;
    if ((offsets[at + 1] as number) <= scroller.scrollTop && change !== 0) {
      scroller.scrollTop += change;
    }
  }
  return isChanged;
}
