// The Calls tab: what the run asked of models, and how its sampling loops came to their results.
// Loaded when it is first opened.

import '../../../style/calls.css';

import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { Run } from '../../api/schema.js';
import type { RunsStream } from '../../api/stream.js';
import { describeError } from '../../components/errors.js';
import { useSignal } from '../../components/hooks.js';
import { Icon } from '../../components/icons.js';
import type { ITranslation } from '../../format.js';
import { CallsModel } from '../../models/calls.js';
import { isTerminal } from '../../models/statuses.js';
import type { ICallsTarget } from '../run/links.js';
import { Details, detailsTitle } from './Details.js';
import { listOf } from './groups.js';
import { CallsList } from './List.js';
import { CallsView, type Opened } from './view.js';
import { Waterfall } from './Waterfall.js';

/** Keeps the tab's state while another tab is shown. */
export interface IKeptCalls {
  view?: CallsView;
}

interface ICallsProps {
  run: Run;
  api: RunsApi;
  stream: RunsStream;
  /** Where the state is kept; who owns it disposes it. */
  kept: IKeptCalls;
  /** What to show first; null for what was shown last. */
  target: ICallsTarget | null;
  onShowLine: (line: number) => void;
  trans: ITranslation;
}

/** The tab. */
export function CallsTab(props: ICallsProps): ReactElement {
  const { run, api, stream, kept, target, trans } = props;
  const [view] = useState(() => (kept.view ??= new CallsView(new CallsModel(run.id, api, stream))));
  const { data } = view;
  useSignal(view.changed);
  useEffect(() => view.reveal(target), [view, target, data.calls, data.loops]);

  const { calls, loops } = data;
  const unfolded = view.unfoldings;
  const tree = useMemo(
    () => listOf(calls, loops, view),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `unfolded` counts what was turned
    [calls, loops, view, unfolded]
  );
  const opener = useRef<HTMLElement | null>(null);
  const details = useRef<HTMLElement>(null);
  const open = (opened: Opened): void => {
    if (view.opened === null || !details.current?.contains(document.activeElement)) {
      opener.current = document.activeElement as HTMLElement | null;
    }
    view.open(opened);
    requestAnimationFrame(() => details.current?.focus());
  };
  const close = (): void => {
    view.open(null);
    const to = opener.current?.isConnected
      ? opener.current
      : document.querySelector<HTMLElement>('.jp-MelleaCalls-list');
    to?.focus();
  };

  if (calls.length === 0 && loops.length === 0) {
    return <Empty {...props} view={view} />;
  }
  return (
    <div className="jp-MelleaCalls">
      <LoadingBar view={view} trans={trans} />
      <div className="jp-MelleaCalls-main">
        <CallsList view={view} tree={tree} onOpen={open} trans={trans} />
        {view.opened !== null && (
          <aside
            className="jp-MelleaCalls-details"
            ref={details}
            tabIndex={-1}
            aria-label={detailsTitle(view.opened, trans)}
            onKeyDown={(event: KeyboardEvent) => {
              if (event.key === 'Escape') {
                event.stopPropagation();
                close();
              }
            }}
          >
            <header>
              <h3>{detailsTitle(view.opened, trans)}</h3>
              <button
                type="button"
                className="jp-MelleaButton jp-mod-icon"
                aria-label={trans.__('Close')}
                onClick={close}
              >
                <Icon name="close" />
              </button>
            </header>
            <Details
              run={run}
              data={data}
              api={api}
              opened={view.opened}
              onOpen={open}
              onShowLine={props.onShowLine}
              trans={trans}
            />
          </aside>
        )}
      </div>
      <Waterfall view={view} onOpen={open} trans={trans} />
    </div>
  );
}

function LoadingBar({
  view,
  trans
}: {
  view: CallsView;
  trans: ITranslation;
}): ReactElement | null {
  const { data } = view;
  if (data.error !== null) {
    return (
      <p className="jp-MelleaRuns-bar" role="alert">
        {trans.__('Not all calls could be read.')} {describeError(data.error)}{' '}
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => void data.refresh()}
        >
          {trans.__('Try again')}
        </button>
      </p>
    );
  }
  return null;
}

/** What stands there without calls. */
function Empty({ run, view, trans }: ICallsProps & { view: CallsView }): ReactElement {
  const { data } = view;
  if (data.error !== null) {
    return (
      <div className="jp-MelleaRun-message" role="alert">
        <p>{describeError(data.error)}</p>
        <button type="button" className="jp-MelleaButton" onClick={() => void data.refresh()}>
          {trans.__('Try again')}
        </button>
      </div>
    );
  }
  if (!data.isReady) {
    return <p className="jp-MelleaRun-message">{trans.__('Loading…')}</p>;
  }
  return (
    <p className="jp-MelleaRun-message">
      {isTerminal(run)
        ? trans.__('The program made no LLM calls through mellea.')
        : trans.__('No LLM calls yet. They appear here as the program makes them.')}
    </p>
  );
}
