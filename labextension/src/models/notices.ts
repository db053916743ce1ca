// The user's notices: the list, what is unread, and what they want to be told; kept current by the
// `notifications` topic. What the bell and the toasts look at.

import { Signal, type ISignal } from '@lumino/signaling';
import type { LabApi } from '../api/lab.js';
import type { Notice, NoticeFailure, NotificationSettings } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';
import type { LoadState } from './runs.js';

const PAGE = 30;

/** The notices of the person at this browser. */
export class NoticesModel {
  private readonly byId = new Map<string, Notice>();
  private readonly changedSignal = new Signal<this, void>(this);
  private readonly arrivedSignal = new Signal<this, Notice>(this);
  private readonly unsubscribe: () => void;
  private unreadCount = 0;
  private loadState: LoadState = 'loading';
  private failure: Error | null = null;
  private cursor: string | null = null;
  private preferences: NotificationSettings | null = null;
  private refreshing: Promise<void> | null = null;

  constructor(
    readonly api: LabApi,
    stream: RunsStream
  ) {
    this.unsubscribe = stream.subscribe('notifications', {
      onSubscribed: () => void this.refresh(),
      onNotice: event => {
        this.unreadCount = event.unread;
        if (event.type === 'notice_changed') {
          this.receive(event.notice);
          this.changedSignal.emit();
        } else {
          void this.refresh();
        }
      }
    });
    void this.refresh();
  }

  /** Something below has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  /** A notice is new, or tells of another run, while we watch. */
  get arrived(): ISignal<this, Notice> {
    return this.arrivedSignal;
  }

  get state(): LoadState {
    return this.loadState;
  }

  get error(): Error | null {
    return this.failure;
  }

  /** How many the user has not read, those that are not in the list included. */
  get unread(): number {
    return this.unreadCount;
  }

  /** Unread ones first, the latest first. */
  get notices(): Notice[] {
    return [...this.byId.values()].sort(
      (a, b) =>
        Number(b.read_at === null) - Number(a.read_at === null) ||
        Date.parse(b.updated_at) - Date.parse(a.updated_at)
    );
  }

  /** Whether the server has older ones. */
  get hasMore(): boolean {
    return this.cursor !== null;
  }

  /** The preferences as they were read last; null before. */
  get settings(): NotificationSettings | null {
    return this.preferences;
  }

  /** Read the list again; calls while one is under way share it. */
  refresh(): Promise<void> {
    this.refreshing ??= this.load().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  /** Read older ones. */
  async loadMore(): Promise<void> {
    if (this.cursor === null) {
      return;
    }
    const page = await this.api.listNotices({ limit: PAGE, cursor: this.cursor });
    for (const notice of page.notifications) {
      this.byId.set(notice.id, notice);
    }
    this.cursor = page.next;
    this.changedSignal.emit();
  }

  /** Mark one as read. */
  async markRead(noticeId: string): Promise<void> {
    if (this.byId.get(noticeId)?.read_at) {
      return;
    }
    const notice = await this.api.markNotice(noticeId, true);
    if (this.byId.get(noticeId)?.read_at === null) {
      this.unreadCount = Math.max(0, this.unreadCount - 1);
    }
    this.byId.set(notice.id, notice);
    this.changedSignal.emit();
  }

  /** Mark all as read but what comes while we ask. */
  async markAllRead(): Promise<void> {
    const latest = this.notices.reduce(
      (last, notice) => (notice.updated_at > last ? notice.updated_at : last),
      ''
    );
    if (latest) {
      this.unreadCount = (await this.api.markNoticesRead(latest)).unread;
      await this.refresh();
    }
  }

  /** Read the preferences: another tab may have changed them. The old ones where that fails. */
  async loadSettings(): Promise<NotificationSettings | null> {
    try {
      this.preferences = await this.api.getNotificationSettings({ isBackground: true });
    } catch (error) {
      console.warn('The notification preferences can not be read', error);
    }
    return this.preferences;
  }

  dispose(): void {
    this.unsubscribe();
    Signal.clearData(this);
  }

  private receive(notice: Notice): void {
    const before = this.byId.get(notice.id);
    this.byId.set(notice.id, notice);
    const isNews = before === undefined || notice.run_count > before.run_count;
    if (isNews && notice.read_at === null) {
      this.arrivedSignal.emit(notice);
    }
  }

  private async load(): Promise<void> {
    try {
      const page = await this.api.listNotices({ limit: PAGE }, { isBackground: true });
      this.byId.clear();
      for (const notice of page.notifications) {
        this.byId.set(notice.id, notice);
      }
      this.cursor = page.next;
      this.unreadCount = page.unread;
      this.loadState = 'ready';
      this.failure = null;
    } catch (error) {
      this.failure = error as Error;
      this.loadState = this.byId.size > 0 ? 'ready' : 'failed';
    }
    this.changedSignal.emit();
  }
}

/** Why the one run that a notice tells of has failed; null for other notices. */
export function failureOf({ runs, run_count }: Notice): NoticeFailure | null {
  const first = run_count === 1 ? runs[0] : undefined;
  return first?.link ? first.failure : null;
}

/** Whether a toast about this notice is wanted. */
export function wantsToast(notice: Notice, settings: NotificationSettings | null): boolean {
  if (settings === null) {
    return true; // the default, as long as the server has not said otherwise
  }
  const hasFailed = notice.type !== 'run_shared' && (notice.by_status.failed ?? 0) > 0;
  return settings.toast_enabled && (hasFailed || !settings.failures_only);
}
