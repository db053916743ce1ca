// Values and stand-ins for the server that several tests share.

import type {
  ArtifactPreview,
  ArtifactRef,
  ErrorClassification,
  GetRunsRunIdLogsQuery,
  LlmCall,
  LogFrame,
  LogPage,
  LoopAttempt,
  NextStep,
  Notice,
  NoticeRun,
  NotificationSettings,
  Run,
  SamplingLoop,
  Verdict
} from '../src/api/schema.js';
import type { ITopicListener } from '../src/api/stream.js';
import type { ITranslation } from '../src/format.js';
import type { ILogSource } from '../src/logview/core/source.js';

/** Texts as they are, with JupyterLab's numbering: `%1` of `_n` is the count. */
export const trans: ITranslation = {
  __: (text, ...values) => fill(text, values),
  _n: (singular, plural, count, ...values) =>
    fill(count === 1 ? singular : plural, [count, ...values])
};

function fill(text: string, values: unknown[]): string {
  return text.replace(/%(\d)/g, (_, index) => String(values[Number(index) - 1]));
}

export function frame(line: number, change: Partial<LogFrame> = {}): LogFrame {
  return {
    timestamp: '2026-01-15T10:30:00.000Z',
    stream: 'stdout',
    level: 'info',
    message: `line ${line}`,
    metadata: null,
    line,
    cursor: `${line}.1`,
    partial: false,
    continues: false,
    ...change
  };
}

export function frames(first: number, last: number): LogFrame[] {
  return Array.from({ length: last - first + 1 }, (_, index) => frame(first + index));
}

export function makeRun(change: Partial<Run> = {}): Run {
  return {
    id: '11111111-1111-4111-8111-111111111111',
    asset_id: 'prog_1',
    asset_version: 'sha256:1',
    asset_name: 'trip.py',
    owner_id: 'ann',
    config: {
      model: null,
      environment_id: null,
      env_vars: {},
      datasets: [],
      timeout_seconds: 3600,
      artifact_quota_mb: 200,
      args: [],
      parameters: {},
      working_directory: 'program',
      isolation: 'warm',
      model_steering: 'default',
      strict_requirements: false,
      capture_content: true,
      max_cost_usd: null,
      max_llm_calls: null,
      on_budget: 'stop',
      keep_kernel: false
    },
    waiting: null,
    budget: null,
    status: 'running',
    status_reason: null,
    created_at: '2026-01-15T10:30:00.000Z',
    started_at: '2026-01-15T10:30:01.000Z',
    finished_at: null,
    exit_code: null,
    error_message: null,
    error: null,
    error_classification: null,
    seen: null,
    artifacts: [],
    artifacts_skipped: [],
    artifacts_purged: false,
    artifacts_purged_at: null,
    expires_at: null,
    environment_id: null,
    environment_name: null,
    metrics: {
      queue_duration_ms: 0,
      startup_duration_ms: 0,
      execution_duration_ms: 0,
      total_duration_ms: 0,
      llm_calls: 0,
      input_tokens: 0,
      output_tokens: 0,
      estimated_cost_usd: 0,
      useful_cost_usd: 0,
      repair_cost_usd: 0,
      judge_cost_usd: 0,
      wasted_cost_usd: 0,
      accepted_outputs: 0,
      cost_per_accepted_output_usd: null,
      samples_generated: 0,
      repair_attempts: 0,
      loop_iterations: 0,
      peak_memory_mb: 0,
      cpu_seconds: 0,
      loops_exhausted: 0,
      judge_calls: 0,
      failed_calls: 0,
      cancelled_calls: 0,
      unpriced_calls: 0,
      calls_without_usage: 0,
      active_calls: 0,
      dropped_events: 0
    },
    cancelled_by: null,
    retry_of: null,
    attempt: 1,
    name: null,
    note: null,
    tags: [],
    pinned: false,
    version: 1,
    host: null,
    isolation: null,
    isolation_reason: null,
    kernel: null,
    queue_position: null,
    queue_reason: null,
    cancel_requested_at: null,
    cancel_requested_by: null,
    kill_at: null,
    progress: null,
    models_used: [],
    ...change
  };
}

/** Why a run failed: the provider refused a call. */
export function makeWhy(change: Partial<ErrorClassification> = {}): ErrorClassification {
  return {
    category: 'external_service',
    type: 'rate_limited',
    confidence: 0.9,
    evidence: ['openai.RateLimitError: 429'],
    retryable: true,
    summary: 'rate limit',
    explanation: 'The provider refused a call.',
    suggestion: 'Wait, then try again.',
    next_step: makeStep(),
    stack_trace: null,
    location: null,
    fingerprint: 'f00dcafe',
    ...change
  };
}

export function makeStep(change: Partial<NextStep> = {}): NextStep {
  return {
    action: 'retry',
    label: 'Retry',
    command: null,
    value: null,
    overrides: null,
    ...change
  };
}

/** A finished answer of one second. */
export function makeCall(call: number, change: Partial<LlmCall> = {}): LlmCall {
  return {
    call,
    started_at: 1000 + call,
    purpose: 'answer',
    provider: 'openai',
    model: 'gpt-4o',
    response_model: null,
    action: 'Instruction',
    status: 'finished',
    input_tokens: 1204,
    output_tokens: 388,
    cached_tokens: null,
    reasoning_tokens: null,
    latency_ms: 1000,
    ttft_ms: null,
    streaming: false,
    finish_reason: 'stop',
    requests: 1,
    cost_usd: 0.0041,
    price: { source: 'genai-prices', version: '0.0.31', dated: '2026-08-01' },
    share: 'useful',
    loop: null,
    chain: null,
    attempt: null,
    requirement: null,
    error: null,
    line: null,
    has_content: true,
    ...change
  };
}

export function makeVerdict(requirement: number | null, change: Partial<Verdict> = {}): Verdict {
  return {
    requirement,
    text: `requirement ${requirement ?? ''}`.trim(),
    passed: true,
    score: null,
    reason: null,
    latency_ms: 1,
    calls: [],
    ...change
  };
}

export function makeAttempt(attempt: number, change: Partial<LoopAttempt> = {}): LoopAttempt {
  return {
    chain: 1,
    attempt,
    form: attempt === 1 ? 'answer' : 'repair',
    calls: [],
    verdicts: [],
    is_chosen: false,
    ...change
  };
}

/** A loop with two requirements and no attempt yet. */
export function makeLoop(loop: number, change: Partial<SamplingLoop> = {}): SamplingLoop {
  return {
    loop,
    parent: null,
    strategy: 'RepairTemplateStrategy',
    instruction: 'Write an email',
    budget: 3,
    concurrency: 1,
    requirements: [
      { index: 0, text: 'polite', kind: 'judge' },
      { index: 1, text: 'under 100 words', kind: 'function' }
    ],
    attempts: [],
    status: 'active',
    chosen_loop: null,
    error: null,
    started_at: 1000,
    ended_at: null,
    samples: 0,
    cost_usd: null,
    repair_cost_usd: null,
    unpriced_calls: 0,
    left_out: 0,
    line: null,
    ...change
  };
}

export function makeArtifact(change: Partial<ArtifactRef> = {}): ArtifactRef {
  const path = change.path ?? 'plan.txt';
  return {
    id: `art_${path.replace(/\W/g, '_')}`,
    run_id: '11111111-1111-4111-8111-111111111111',
    name: path.split('/').pop() ?? '',
    path,
    content_type: 'text/plain',
    size_bytes: 12,
    created_at: '2026-01-15T10:31:00.000Z',
    checksum: 'c'.repeat(64),
    metadata: null,
    ...change
  };
}

export function makePreview(change: Partial<ArtifactPreview> = {}): ArtifactPreview {
  return {
    artifact_id: 'art_plan_txt',
    kind: 'text',
    text: 'hello',
    rows: null,
    truncated: false,
    shown_bytes: 5,
    reason: null,
    ...change
  };
}

export function makeNoticeRun(change: Partial<NoticeRun> = {}): NoticeRun {
  return {
    run_id: '11111111-1111-4111-8111-111111111111',
    name: 'trip.py',
    status: 'succeeded',
    reason: '',
    failure: null,
    owner_id: 'ann',
    finished_at: '2026-01-15T10:30:00.000Z',
    total_duration_ms: 3200,
    llm_calls: 2,
    estimated_cost_usd: 0.0041,
    unpriced_calls: 0,
    link: 'lab?mellea-run=11111111-1111-4111-8111-111111111111',
    ...change
  };
}

export function makeNotice(change: Partial<Notice> = {}): Notice {
  const run = makeNoticeRun();
  return {
    id: 'ntc_1',
    user_id: 'ann',
    type: 'run_complete',
    title: 'Run succeeded: trip.py',
    body: '3.2 s · $0.0041',
    link: run.link,
    runs: [run],
    run_count: 1,
    by_status: { succeeded: 1 },
    created_at: '2026-01-15T10:30:00.000Z',
    updated_at: '2026-01-15T10:30:00.000Z',
    read_at: null,
    ...change
  };
}

export function makeNotificationSettings(
  change: Partial<NotificationSettings> = {}
): NotificationSettings {
  return {
    email_on_run_complete: false,
    email_on_shared_complete: false,
    toast_enabled: true,
    failures_only: false,
    quiet_hours: null,
    time_zone: 'UTC',
    email_address: null,
    email_available: true,
    email_unavailable_reason: null,
    default_email_address: null,
    ...change
  };
}

/** A log of a given number of lines that is read as the server reads it. */
export class FakeLog implements ILogSource {
  queries: GetRunsRunIdLogsQuery[] = [];
  listener: ITopicListener = {};
  followedFrom: (string | null)[] = [];

  constructor(
    public lines: number,
    private readonly make: (line: number) => LogFrame = frame,
    public isEnded = false
  ) {}

  async read(query: GetRunsRunIdLogsQuery): Promise<LogPage> {
    this.queries.push(query);
    const limit = query.tail ?? query.limit ?? 1000;
    const after = query.after ? Number(query.after.split('.')[0]) : (query.line ?? 1) - 1;
    const found: LogFrame[] = [];
    if (query.tail !== undefined || query.before) {
      const before = query.before ? Number(query.before.split('.')[0]) : this.lines + 1;
      for (let line = before - 1; line >= 1 && found.length < limit; line--) {
        this.add(found, line, query);
      }
      found.reverse();
    } else {
      for (let line = after + 1; line <= this.lines && found.length < limit; line++) {
        this.add(found, line, query);
      }
    }
    return { frames: found, next: found.at(-1)?.cursor ?? null, ended: this.isEnded };
  }

  follow(after: string | null, listener: ITopicListener): () => void {
    this.followedFrom.push(after);
    this.listener = listener;
    return () => {
      this.listener = {};
    };
  }

  followFrom(after: string | null): void {
    this.followedFrom.push(after);
  }

  /** Lines come live. */
  grow(count: number): void {
    const first = this.lines + 1;
    this.lines += count;
    const fresh = Array.from({ length: count }, (_, index) => this.make(first + index));
    this.listener.onFrames?.(fresh, fresh.at(-1)?.cursor ?? '');
  }

  private add(found: LogFrame[], line: number, query: GetRunsRunIdLogsQuery): void {
    const made = this.make(line);
    const isWanted =
      (!query.stream?.length || query.stream.includes(made.stream)) &&
      (!query.level?.length || query.level.includes(made.level)) &&
      (!query.search || made.message.includes(query.search));
    if (isWanted) {
      found.push(made);
    }
  }
}
