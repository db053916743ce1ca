// The list of notices: unread ones first; each opens its run and counts as read from then on.

import { useEffect, useRef, useState, type KeyboardEvent, type ReactElement } from 'react';
import type { Notice, NoticeRun, RunStatus } from '../../api/schema.js';
import { useNow, useSignal } from '../../components/hooks.js';
import { Icon } from '../../components/icons.js';
import { nextStepLabel, statusText } from '../../components/status.js';
import { Ago } from '../../components/time.js';
import type { ITranslation } from '../../format.js';
import { failureOf, type NoticesModel } from '../../models/notices.js';

/** What the list leads to. */
export interface INoticeActions {
  openRun: (runId: string) => void;
  takeNextStep: (runId: string) => void;
  openDashboard: () => void;
  editPreferences: () => void;
  /** Say what went wrong. */
  report: (error: unknown) => void;
  close: () => void;
}

const SHOWN_RUNS = 5;
const TICK_MS = 10_000;
const ENTRY = '.jp-MelleaNotices-entry';

/** The list with its header. */
export function NoticesList(props: {
  model: NoticesModel;
  actions: INoticeActions;
  trans: ITranslation;
}): ReactElement {
  const { model, actions, trans } = props;
  useSignal(model.changed);
  const now = useNow(TICK_MS);
  const list = useRef<HTMLUListElement>(null);
  const { notices } = model;
  useEffect(() => list.current?.querySelector<HTMLElement>(ENTRY)?.focus(), []);
  const attempt = (act: () => Promise<void>): void => {
    act().catch(actions.report);
  };
  const open = (notice: Notice, runId: string): void => {
    attempt(() => model.markRead(notice.id));
    actions.close();
    actions.openRun(runId);
  };
  const openAll = (notice: Notice): void => {
    attempt(() => model.markRead(notice.id));
    actions.close();
    actions.openDashboard();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const entries = Array.from(list.current?.querySelectorAll<HTMLElement>(ENTRY) ?? []);
    if (step !== 0 && entries.length > 0) {
      event.preventDefault();
      const at = entries.indexOf(document.activeElement as HTMLElement);
      entries[Math.min(entries.length - 1, Math.max(0, at + step))]?.focus();
    }
  };
  return (
    <>
      <div className="jp-MelleaNotices-header">
        <h2>{trans.__('Notifications')}</h2>
        <button
          type="button"
          className="jp-MelleaButton"
          disabled={model.unread === 0}
          onClick={() => attempt(() => model.markAllRead())}
        >
          {trans.__('Mark all read')}
        </button>
        <button
          type="button"
          className="jp-MelleaButton jp-mod-icon"
          aria-label={trans.__('Preferences')}
          title={trans.__('Preferences')}
          onClick={() => {
            actions.close();
            actions.editPreferences();
          }}
        >
          <Icon name="settings" />
        </button>
      </div>
      {notices.length === 0 && <Nothing model={model} trans={trans} />}
      <ul ref={list} onKeyDown={onKeyDown}>
        {notices.map(notice => (
          <Entry
            key={notice.id}
            notice={notice}
            now={now}
            open={runId => open(notice, runId)}
            openAll={() => openAll(notice)}
            takeNextStep={runId => {
              attempt(() => model.markRead(notice.id));
              actions.close();
              actions.takeNextStep(runId);
            }}
            trans={trans}
          />
        ))}
      </ul>
      {model.hasMore && (
        <Older
          load={() => model.loadMore().catch(actions.report)}
          label={trans.__('Show older ones')}
        />
      )}
    </>
  );
}

function Nothing({ model, trans }: { model: NoticesModel; trans: ITranslation }): ReactElement {
  if (model.state === 'loading') {
    return <p className="jp-MelleaNotices-empty">{trans.__('Loading…')}</p>;
  }
  if (model.error) {
    return (
      <p className="jp-MelleaNotices-empty" role="alert">
        {trans.__('The notifications can not be read: %1', model.error.message)}{' '}
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => void model.refresh()}
        >
          {trans.__('Try again')}
        </button>
      </p>
    );
  }
  return (
    <p className="jp-MelleaNotices-empty">
      {trans.__('Nothing yet. When one of your runs ends, it is told here.')}
    </p>
  );
}

function Entry(props: {
  notice: Notice;
  now: number;
  open: (runId: string) => void;
  openAll: () => void;
  takeNextStep: (runId: string) => void;
  trans: ITranslation;
}): ReactElement {
  const { notice, open, trans } = props;
  const isUnread = notice.read_at === null;
  const first = notice.runs[0];
  const failure = failureOf(notice);
  const step = failure && nextStepLabel(failure, trans);
  const isGroup = notice.run_count > 1;
  const isGone = !isGroup && notice.link === null;
  const shown = isGroup ? failuresFirst(notice.runs).slice(0, SHOWN_RUNS) : [];
  const hidden = isGroup ? notice.run_count - shown.length : 0;
  return (
    <li className={isUnread ? 'jp-mod-unread' : undefined}>
      <button
        type="button"
        className="jp-MelleaNotices-entry"
        disabled={isGone}
        title={isGone ? trans.__('This run was deleted') : undefined}
        onClick={() => (isGroup || !first ? props.openAll() : open(first.run_id))}
      >
        <RunIcon status={worst(notice)} />
        <span className="jp-MelleaNotices-title">
          {isUnread && <span className="jp-MelleaNotices-hidden">{trans.__('Unread:') + ' '}</span>}
          {notice.title}
        </span>
        <span className="jp-MelleaNotices-time">
          <Ago iso={notice.updated_at} now={props.now} trans={trans} />
        </span>
        {notice.body && <span className="jp-MelleaNotices-text">{notice.body}</span>}
        {failure && (
          <span className="jp-MelleaNotices-text">
            {failure.explanation} {failure.suggestion}
          </span>
        )}
      </button>
      {failure && first && step && (
        <button
          type="button"
          className="jp-MelleaButton jp-MelleaNotices-next"
          onClick={() => props.takeNextStep(first.run_id)}
        >
          {step}
        </button>
      )}
      {isGroup && (
        <ul className="jp-MelleaNotices-runs" aria-label={trans.__('Runs')}>
          {shown.map(run => (
            <li key={run.run_id}>
              <button
                type="button"
                className="jp-MelleaNotices-entry"
                disabled={run.link === null}
                title={
                  run.link === null
                    ? trans.__('This run was deleted')
                    : trans.__('Open %1', run.name)
                }
                onClick={() => open(run.run_id)}
              >
                <RunIcon status={run.status} />
                <span className="jp-MelleaNotices-title">{run.name}</span>
                <span className="jp-MelleaNotices-time">
                  {run.reason || statusText(run.status, trans)}
                </span>
              </button>
            </li>
          ))}
          {hidden > 0 && (
            <li>
              <button type="button" className="jp-MelleaNotices-entry" onClick={props.openAll}>
                <span className="jp-MelleaNotices-title">
                  {trans._n('%1 more, in the dashboard', '%1 more, in the dashboard', hidden)}
                </span>
              </button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function RunIcon({ status }: { status: RunStatus }): ReactElement {
  return (
    <span className={`jp-MelleaStatus jp-mod-${status}`} aria-hidden="true">
      <Icon name={status} />
    </span>
  );
}

function Older(props: { load: () => Promise<void>; label: string }): ReactElement {
  const [isLoading, setLoading] = useState(false);
  return (
    <button
      type="button"
      className="jp-MelleaButton jp-MelleaNotices-older"
      disabled={isLoading}
      onClick={() => {
        setLoading(true);
        void props.load().finally(() => setLoading(false));
      }}
    >
      {props.label}
    </button>
  );
}

function failuresFirst(runs: readonly NoticeRun[]): NoticeRun[] {
  const rank = (run: NoticeRun): number => (run.status === 'failed' ? 0 : 1);
  return [...runs].sort((a, b) => rank(a) - rank(b));
}

/** What the notice's icon says: a failure, before a cancelled run, before success. */
function worst({ by_status, runs, type }: Notice): RunStatus {
  if (type === 'run_shared' && runs[0]) {
    return runs[0].status;
  }
  const order: RunStatus[] = ['failed', 'cancelled', 'succeeded'];
  return order.find(status => (by_status[status] ?? 0) > 0) ?? 'succeeded';
}
