// When the calls were made: a bar a call on one scale of time. Only the rows that are seen are
// drawn. One stop of the Tab key; up and down move from call to call, + and − zoom, 0 fits all.

import {
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactElement
} from 'react';
import type { LlmCall } from '../../api/schema.js';
import { useNow } from '../../components/hooks.js';
import { formatDuration, formatNumber, type ITranslation } from '../../format.js';
import { callLabel, endText, latencyText, purposeText } from './texts.js';
import { barOf, spanOf, ticksOf, type ISpan } from './timeline.js';
import type { CallsView, Opened } from './view.js';

const ROW_HEIGHT = 20; // pixels; the style sheet sets the same
const NAMES_WIDTH = 112;
const MARGIN = 16; // right of the last bar
const OVERSCAN = 4; // rows
const TICKS_APART = 90; // pixels
const TICK_WIDTH = 24; // there has to be room for its text
const STEP = 1.6;
const WIDEST = 4_000_000; // pixels; browsers draw no element much wider

interface IWaterfallProps {
  view: CallsView;
  onOpen: (opened: Opened) => void;
  trans: ITranslation;
}

/** The timeline of all calls. */
export function Waterfall({ view, onOpen, trans }: IWaterfallProps): ReactElement | null {
  const { calls } = view.data;
  const isLive = calls.some(call => call.status === 'active');
  const now = useNow(isLive ? 500 : 60_000) / 1000;
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, left: 0, width: 600, height: 160 });
  const [current, setCurrent] = useState(1);
  const [isOpen, setOpen] = useState(true);
  const wanted = useRef(0); // gets the focus once it is drawn
  const isDrawn = isOpen && calls.length > 0;

  const look = (): void => {
    const element = scroller.current;
    if (element) {
      setSeen({
        top: element.scrollTop,
        left: element.scrollLeft,
        width: element.clientWidth,
        height: element.clientHeight
      });
    }
  };
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!isDrawn || !element) {
      return;
    }
    const observer = new ResizeObserver(look);
    observer.observe(element);
    look();
    return () => observer.disconnect();
  }, [isDrawn]);

  useLayoutEffect(() => {
    const found = scroller.current?.querySelector<HTMLElement>(`[data-call="${wanted.current}"]`);
    if (found) {
      wanted.current = 0;
      found.focus({ preventScroll: true });
    }
  });

  const place = Math.max(100, seen.width - NAMES_WIDTH - MARGIN);
  const width = Math.min(WIDEST, place * view.zoom);
  const zoomTo = (factor: number): void => {
    const element = scroller.current;
    const zoom = Math.min(WIDEST / place, Math.max(1, factor));
    // what is in the middle stays there
    const middle = ((element?.scrollLeft ?? 0) + place / 2) / width;
    view.setZoom(zoom);
    requestAnimationFrame(() => {
      if (element) {
        element.scrollLeft = middle * Math.min(WIDEST, place * zoom) - place / 2;
        look();
      }
    });
  };
  const zoomBy = useRef(zoomTo);
  zoomBy.current = factor => zoomTo(view.zoom * factor);
  useEffect(() => {
    const element = scroller.current;
    if (!isDrawn || !element) {
      return;
    }
    // a listener that may prevent: the browser zooms the page with the same keys
    const onWheel = (event: WheelEvent): void => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoomBy.current(event.deltaY < 0 ? STEP : 1 / STEP);
      }
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    return () => element.removeEventListener('wheel', onWheel);
  }, [isDrawn]);

  if (calls.length === 0) {
    return null;
  }
  const span = spanOf(calls, now);
  const first = Math.max(0, Math.floor(seen.top / ROW_HEIGHT) - OVERSCAN);
  const last = Math.min(calls.length, Math.ceil((seen.top + seen.height) / ROW_HEIGHT) + OVERSCAN);
  const shown = calls.slice(first, last);
  const tabbable = shown.some(call => call.call === current) ? current : shown[0]?.call;

  const moveTo = (at: number): void => {
    const element = scroller.current;
    const call = calls[Math.max(0, Math.min(calls.length - 1, at))];
    if (!element || !call) {
      return;
    }
    setCurrent(call.call);
    bringIntoView(element, calls.indexOf(call), call, span, now, width, place);
    wanted.current = call.call;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = calls.findIndex(call => call.call === tabbable);
    const page = Math.max(1, Math.floor(seen.height / ROW_HEIGHT) - 2);
    const places: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: calls.length - 1
    };
    const place = places[event.key];
    if (place !== undefined) {
      event.preventDefault();
      moveTo(place);
    } else if (event.key === '+' || event.key === '=') {
      zoomTo(view.zoom * STEP);
    } else if (event.key === '-') {
      zoomTo(view.zoom / STEP);
    } else if (event.key === '0') {
      zoomTo(1);
    }
  };

  return (
    <section className="jp-MelleaWaterfall" aria-label={trans.__('Timeline')}>
      <div className="jp-MelleaWaterfall-bar">
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? trans.__('Hide timeline') : trans.__('Show timeline')}
        </button>
        <span className="jp-MelleaRun-meaning">
          {trans._n(
            '%2 call in %3',
            '%2 calls in %3',
            calls.length,
            formatNumber(calls.length),
            formatDuration(span.seconds * 1000)
          )}
        </span>
        {isOpen && <Legend calls={calls} trans={trans} />}
        {isOpen && (
          <span className="jp-MelleaWaterfall-zoom" role="group" aria-label={trans.__('Zoom')}>
            <button
              type="button"
              className="jp-MelleaButton jp-mod-icon"
              aria-label={trans.__('Zoom out')}
              disabled={view.zoom <= 1}
              onClick={() => zoomTo(view.zoom / STEP)}
            >
              −
            </button>
            <button
              type="button"
              className="jp-MelleaButton jp-mod-icon"
              aria-label={trans.__('Zoom in')}
              onClick={() => zoomTo(view.zoom * STEP)}
            >
              +
            </button>
            <button
              type="button"
              className="jp-MelleaButton jp-mod-icon"
              disabled={view.zoom <= 1}
              onClick={() => zoomTo(1)}
            >
              {trans.__('Fit')}
            </button>
          </span>
        )}
      </div>
      {isOpen && (
        <div
          className="jp-MelleaWaterfall-scroller"
          ref={scroller}
          role="group"
          aria-label={trans.__('Calls over time')}
          onScroll={look}
          onKeyDown={onKeyDown}
        >
          <Scale span={span} width={width} seen={seen} />
          <div style={{ width: width + NAMES_WIDTH + MARGIN, height: calls.length * ROW_HEIGHT }}>
            <div style={{ transform: `translateY(${first * ROW_HEIGHT}px)` }}>
              {shown.map(call => (
                <Row
                  key={call.call}
                  call={call}
                  span={span}
                  now={now}
                  width={width}
                  isTabbable={call.call === tabbable}
                  isOpened={view.opened?.kind === 'call' && view.opened.call === call.call}
                  onFocus={() => setCurrent(call.call)}
                  onOpen={() => onOpen({ kind: 'call', call: call.call })}
                  trans={trans}
                />
              ))}
            </div>
          </div>
        </div>
      )}
    </section>
  );
}

function Row(props: {
  call: LlmCall;
  span: ISpan;
  now: number;
  width: number;
  isTabbable: boolean;
  isOpened: boolean;
  onFocus: () => void;
  onOpen: () => void;
  trans: ITranslation;
}): ReactElement {
  const { call, width, trans } = props;
  const bar = barOf(call, props.span, props.now);
  const pixels = Math.max(3, bar.width * width);
  const left = Math.min(bar.left * width, width - pixels);
  const said = latencyText(call) || endText(call, trans);
  const isLeft = left + pixels > width - 70 && left > 70;
  return (
    <button
      type="button"
      className="jp-MelleaWaterfall-row"
      data-call={call.call}
      aria-label={callLabel(call, trans)}
      aria-pressed={props.isOpened}
      title={callLabel(call, trans).replaceAll(', ', '\n')}
      tabIndex={props.isTabbable ? 0 : -1}
      onFocus={props.onFocus}
      onClick={props.onOpen}
    >
      <span className="jp-MelleaWaterfall-name" style={{ width: NAMES_WIDTH }}>
        <span>{call.call}</span> {purposeText(call.purpose, trans)}
      </span>
      <span
        className={`jp-MelleaWaterfall-call jp-mod-${call.purpose} jp-mod-${call.status}`}
        style={{ left: NAMES_WIDTH + left, width: pixels }}
      >
        {bar.waited !== null && bar.waited * pixels >= 2 && (
          <span
            className="jp-MelleaWaterfall-waited"
            style={{ width: Math.max(0, bar.waited * pixels - 1) }}
          />
        )}
      </span>
      <span
        className="jp-MelleaWaterfall-said"
        style={
          isLeft
            ? { right: `calc(100% - ${NAMES_WIDTH + left - 4}px)` }
            : { left: NAMES_WIDTH + left + pixels + 4 }
        }
      >
        {call.status === 'failed' && '✕ '}
        {said}
      </span>
    </button>
  );
}

/** Which pattern stands for which purpose. */
function Legend({
  calls,
  trans
}: {
  calls: readonly LlmCall[];
  trans: ITranslation;
}): ReactElement {
  const purposes = ['answer', 'repair', 'judge', 'tool'].filter(purpose =>
    calls.some(call => call.purpose === purpose)
  );
  return (
    <span className="jp-MelleaWaterfall-legend" aria-hidden="true">
      {purposes.map(purpose => (
        <span key={purpose}>
          <span className={`jp-MelleaWaterfall-call jp-mod-${purpose}`} />
          {purposeText(purpose, trans)}
        </span>
      ))}
    </span>
  );
}

function Scale(props: {
  span: ISpan;
  width: number;
  seen: { left: number; width: number };
}): ReactElement {
  const { span, width, seen } = props;
  const ticks = ticksOf(span, width, TICKS_APART, {
    from: (seen.left - NAMES_WIDTH) / width,
    to: (seen.left + seen.width) / width
  });
  return (
    <div
      className="jp-MelleaWaterfall-scale"
      style={{ width: width + NAMES_WIDTH + MARGIN }}
      aria-hidden="true"
    >
      {ticks
        .filter(({ left }) => left * width < width - TICK_WIDTH)
        .map(({ left, seconds, text }) => (
          <span key={seconds} style={{ left: NAMES_WIDTH + left * width }}>
            {text}
          </span>
        ))}
    </div>
  );
}

function bringIntoView(
  element: HTMLElement,
  index: number,
  call: LlmCall,
  span: ISpan,
  now: number,
  width: number,
  place: number
): void {
  const top = index * ROW_HEIGHT;
  if (top < element.scrollTop) {
    element.scrollTop = top;
  } else if (top > element.scrollTop + element.clientHeight - 3 * ROW_HEIGHT) {
    element.scrollTop = top - element.clientHeight + 3 * ROW_HEIGHT;
  }
  const left = barOf(call, span, now).left * width;
  if (left < element.scrollLeft || left > element.scrollLeft + place - 40) {
    element.scrollLeft = left - place / 3;
  }
}
