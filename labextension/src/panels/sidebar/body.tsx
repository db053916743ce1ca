// The sidebar's content: active runs, recent ones by day, a filter, today's totals.

import type { CommandRegistry } from '@lumino/commands';
import { useMemo, useRef, useState, type KeyboardEvent, type ReactElement } from 'react';
import type { Run } from '../../api/schema.js';
import type { StreamState } from '../../api/stream.js';
import { CommandIDs } from '../../commands.js';
import { BudgetButtons } from '../../components/budget.js';
import { useNow, useSignal } from '../../components/hooks.js';
import { Icon, type IconName } from '../../components/icons.js';
import { MenuButton } from '../../components/menu.js';
import { failureName, StatusIcon, statusText } from '../../components/status.js';
import { waitingText } from '../../components/waiting.js';
import {
  formatClock,
  formatCost,
  formatDay,
  formatDuration,
  formatExact,
  formatNumber,
  type ITranslation
} from '../../format.js';
import type { RunsModel } from '../../models/runs.js';
import {
  canCancel,
  canRetry,
  elapsedMs,
  isOwn,
  isStopping,
  isTerminal,
  isUnmet,
  runModel,
  runTitle
} from '../../models/statuses.js';

interface ISidebarProps {
  model: RunsModel;
  streamState: StreamState;
  commands: CommandRegistry;
  trans: ITranslation;
}

/** Everything in the panel. */
export function SidebarBody(props: ISidebarProps): ReactElement {
  const { model, commands, trans } = props;
  useSignal(model.changed);
  const [filter, setFilter] = useState('');
  return (
    <div className="jp-MelleaRuns">
      <div className="jp-MelleaRuns-header">
        <h2>{trans.__('Mellea runs')}</h2>
        <HeaderButton
          icon="add"
          label={trans.__('Run a file with Mellea…')}
          onClick={() => void commands.execute(CommandIDs.launch)}
        />
        <HeaderButton
          icon="refresh"
          label={trans.__('Refresh')}
          onClick={() => void model.refresh()}
        />
        <HeaderButton
          icon="table"
          label={trans.__('Open the dashboard')}
          onClick={() => void commands.execute(CommandIDs.openDashboard)}
        />
        <MenuButton
          label={trans.__('More')}
          entries={[
            {
              label: trans.__('Quickstart'),
              onClick: () => void commands.execute(CommandIDs.openQuickstart)
            },
            {
              label: trans.__('Settings'),
              onClick: () => void commands.execute('settingeditor:open', { query: 'Mellea runs' })
            }
          ]}
        />
      </div>
      <input
        className="jp-mod-styled jp-MelleaRuns-filter"
        type="search"
        placeholder={trans.__('Filter…')}
        aria-label={trans.__('Filter runs')}
        value={filter}
        onChange={event => setFilter(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'ArrowDown') {
            event.preventDefault();
            event.currentTarget.parentElement
              ?.querySelector<HTMLElement>('.jp-MelleaRuns-open[tabindex="0"]')
              ?.focus();
          }
        }}
      />
      {props.streamState === 'reconnecting' && model.state === 'ready' && (
        <p className="jp-MelleaRuns-bar" role="status">
          {trans.__(
            'Reconnecting… (showing %1)',
            formatClock(new Date(model.currentAt).toISOString()).slice(0, 5)
          )}
        </p>
      )}
      <RunLists {...props} filter={filter} />
      <Today {...props} />
    </div>
  );
}

function HeaderButton(props: { icon: IconName; label: string; onClick: () => void }): ReactElement {
  return (
    <button
      type="button"
      className="jp-MelleaButton jp-mod-icon"
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** Whether all words occur in what is known of the run. */
function matches(run: Run, filter: string): boolean {
  const why = run.error_classification?.summary ?? '';
  const shared = isOwn(run) ? [] : [run.owner_id, 'shared'];
  const text = [
    runTitle(run),
    run.asset_name,
    runModel(run),
    run.status,
    why,
    run.id,
    ...run.tags,
    ...shared
  ]
    .join(' ')
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every(word => text.includes(word));
}

interface IGroup {
  title: string;
  runs: Run[];
}

function groupsOf(model: RunsModel, filter: string, now: number, trans: ITranslation): IGroup[] {
  const groups: IGroup[] = [];
  const active = model.active.filter(run => matches(run, filter));
  if (active.length > 0) {
    groups.push({ title: trans.__('Running · %1', active.length), runs: active });
  }
  for (const run of model.recent.filter(each => matches(each, filter))) {
    const title = formatDay(run.created_at, now, trans);
    const last = groups.at(-1);
    if (last?.title === title) {
      last.runs.push(run);
    } else {
      groups.push({ title, runs: [run] });
    }
  }
  const shared = model.shared.filter(run => matches(run, filter));
  if (shared.length > 0) {
    groups.push({ title: trans.__('Shared with me'), runs: shared });
  }
  return groups;
}

function RunLists(props: ISidebarProps & { filter: string }): ReactElement {
  const { model, commands, trans, filter } = props;
  const now = useNow(model.active.length > 0 ? 1000 : 30_000);
  const list = useRef<HTMLDivElement>(null);
  const [currentId, setCurrentId] = useState<string | null>(null);
  const groups = groupsOf(model, filter, now, trans);
  const ids = groups.flatMap(group => group.runs.map(run => run.id));
  const tabbable = currentId !== null && ids.includes(currentId) ? currentId : ids[0];

  const onKeyDown = (event: KeyboardEvent): void => {
    const at = ids.indexOf(tabbable ?? '');
    const target = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: ids.length - 1 }[event.key];
    const id = target === undefined ? undefined : ids[target];
    if (id !== undefined) {
      event.preventDefault();
      setCurrentId(id);
      list.current?.querySelector<HTMLElement>(`[data-run-id="${id}"] button`)?.focus();
    }
  };

  if (ids.length === 0) {
    return (
      <div className="jp-MelleaRuns-lists">
        <NothingToShow {...props} />
      </div>
    );
  }
  return (
    <div className="jp-MelleaRuns-lists" ref={list} onKeyDown={onKeyDown}>
      {groups.map(group => (
        <section key={group.title} aria-label={group.title}>
          <h3>{group.title}</h3>
          <ul>
            {group.runs.map(run => (
              <RunItem
                key={run.id}
                run={run}
                now={now}
                isTabbable={run.id === tabbable}
                onFocus={setCurrentId}
                commands={commands}
                trans={trans}
              />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

interface IRunItemProps {
  run: Run;
  now: number;
  isTabbable: boolean;
  onFocus: (runId: string) => void;
  commands: CommandRegistry;
  trans: ITranslation;
}

function RunItem({ run, now, isTabbable, onFocus, commands, trans }: IRunItemProps): ReactElement {
  const args = { runId: run.id };
  const said = secondLine(run, trans);
  const second = isOwn(run) ? said : [run.owner_id, said].filter(Boolean).join(' · ');
  return (
    <li
      className="jp-MelleaRuns-item"
      data-run-id={run.id}
      data-can-cancel={canCancel(run) || undefined}
      data-can-retry={canRetry(run) || undefined}
      data-own={isOwn(run) || undefined}
      data-ended={(isTerminal(run) && isOwn(run)) || undefined}
      data-has-artifacts={run.artifacts.length > 0 || undefined}
    >
      <button
        type="button"
        className="jp-MelleaRuns-open"
        tabIndex={isTabbable ? 0 : -1}
        title={[
          runTitle(run),
          formatExact(run.created_at),
          run.error_classification?.explanation ?? ''
        ]
          .join('\n')
          .trim()}
        onFocus={() => onFocus(run.id)}
        onClick={event => {
          if (event.detail === 0) {
            void commands.execute(CommandIDs.openRun, args); // from the keyboard
          }
        }}
        onDoubleClick={() => void commands.execute(CommandIDs.openRun, args)}
      >
        <StatusIcon run={run} trans={trans} />
        <span className="jp-MelleaRuns-name">{runTitle(run)}</span>
        <span className="jp-MelleaRuns-numbers">{numbers(run, now, trans)}</span>
        {second && <span className="jp-MelleaRuns-second">{second}</span>}
      </button>
      <BudgetButtons run={run} commands={commands} trans={trans} />
      <span className="jp-MelleaRuns-actions">
        {canCancel(run) && (
          <ActionButton
            icon="close"
            label={trans.__('Cancel %1', runTitle(run))}
            isTabbable={isTabbable}
            onClick={() => void commands.execute(CommandIDs.cancelRun, args)}
          />
        )}
        {canRetry(run) && (
          <ActionButton
            icon="refresh"
            label={trans.__('Retry %1', runTitle(run))}
            isTabbable={isTabbable}
            onClick={() => void commands.execute(CommandIDs.retryRun, args)}
          />
        )}
      </span>
    </li>
  );
}

function ActionButton(props: {
  icon: IconName;
  label: string;
  isTabbable: boolean;
  onClick: () => void;
}): ReactElement {
  return (
    <button
      type="button"
      className="jp-MelleaButton jp-mod-icon"
      tabIndex={props.isTabbable ? 0 : -1}
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** The right side of an item: time and cost, or the place in the queue. */
function numbers(run: Run, now: number, trans: ITranslation): string {
  if (run.status === 'created' || run.status === 'queued') {
    return run.queue_position === null
      ? statusText(run.status, trans)
      : trans.__('queued · no. %1', run.queue_position);
  }
  const { estimated_cost_usd: cost, unpriced_calls: unpriced, llm_calls: calls } = run.metrics;
  const elapsed = formatDuration(elapsedMs(run, now));
  return calls > 0 ? `${elapsed} · ${formatCost(cost, unpriced, trans)}` : elapsed;
}

/** What there is to say besides; often nothing. */
function secondLine(run: Run, trans: ITranslation): string {
  if (isStopping(run)) {
    return trans.__('stopping…');
  }
  if (run.waiting !== null) {
    return waitingText(run, 0, trans);
  }
  if (run.status === 'queued' && run.queue_reason) {
    return run.queue_reason;
  }
  if (isUnmet(run)) {
    return trans.__('requirements not met');
  }
  if (run.status === 'failed') {
    return failureName(run, trans) || (run.error_message ?? '');
  }
  const parts: string[] = [];
  if (!isTerminal(run)) {
    if (run.attempt > 1) {
      parts.push(trans.__('attempt %1', run.attempt));
    }
    if (run.metrics.llm_calls > 0) {
      const count = run.metrics.llm_calls;
      parts.push(trans._n('%2 call', '%2 calls', count, formatNumber(count)));
    }
    if (typeof run.progress?.['text'] === 'string') {
      parts.push(run.progress['text']);
    }
  }
  const model = runModel(run);
  return [...parts, ...(model ? [model] : [])].join(' · ');
}

function NothingToShow(props: ISidebarProps & { filter: string }): ReactElement {
  const { model, commands, trans } = props;
  const error = model.error as (Error & { isServerPartMissing?: boolean }) | null;
  if (model.state === 'loading') {
    return <p className="jp-MelleaRuns-empty">{trans.__('Loading…')}</p>;
  }
  if (model.state === 'failed' && error?.isServerPartMissing) {
    return (
      <p className="jp-MelleaRuns-empty" role="alert">
        {trans.__(
          'The server part of Mellea runs is not enabled. Run this and restart the server:'
        )}
        <code>jupyter server extension enable mellea_jupyter</code>
      </p>
    );
  }
  if (model.state === 'failed') {
    return (
      <div className="jp-MelleaRuns-empty" role="alert">
        <p>{error?.message}</p>
        <button
          type="button"
          className="jp-MelleaButton jp-mod-text"
          onClick={() => void model.refresh()}
        >
          {trans.__('Try again')}
        </button>
      </div>
    );
  }
  if (props.filter !== '') {
    return <p className="jp-MelleaRuns-empty">{trans.__('No run matches “%1”.', props.filter)}</p>;
  }
  return (
    <div className="jp-MelleaRuns-empty">
      <p>{trans.__('No runs yet.')}</p>
      <p>
        {trans.__(
          'Right-click a .py or .ipynb file and choose “Run with Mellea…”, or type %mellea_run in a cell.'
        )}
      </p>
      <p className="jp-MelleaRuns-begin">
        <button
          type="button"
          className="jp-MelleaButton jp-mod-accept"
          onClick={() => void commands.execute(CommandIDs.openQuickstart)}
        >
          {trans.__('Open the quickstart')}
        </button>
        <button
          type="button"
          className="jp-MelleaButton"
          onClick={() => void commands.execute(CommandIDs.launch)}
        >
          {trans.__('Run a file…')}
        </button>
      </p>
    </div>
  );
}

function Today({ model, trans }: ISidebarProps): ReactElement | null {
  const today = model.today;
  const text = useMemo(() => {
    if (today === null || today.total_runs === 0) {
      return '';
    }
    const parts = [
      trans._n('today %2 run', 'today %2 runs', today.total_runs, formatNumber(today.total_runs)),
      formatCost(today.total_cost_usd, 0, trans)
    ];
    if (today.unpriced_calls > 0) {
      parts.push(trans.__('%1 unpriced', formatNumber(today.unpriced_calls)));
    }
    return parts.join(' · ');
  }, [today, trans]);
  return text ? <p className="jp-MelleaRuns-today">{text}</p> : null;
}
