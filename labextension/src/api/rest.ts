// The REST API: a method an endpoint. Paths are relative to the API prefix.

import type {
  Asset,
  AssetPage,
  BudgetDecision,
  CallContent,
  CallPage,
  ErrorBody,
  GetAssetsQuery,
  GetRunsQuery,
  GetRunsRunIdCallsQuery,
  GetRunsRunIdLogsQuery,
  GetRunsRunIdLoopsQuery,
  GetRunsSummaryQuery,
  KeptKernel,
  LogPage,
  LoopPage,
  Run,
  RunPage,
  RunPatch,
  StructuredOutput,
  SummaryReply
} from './schema.js';
import type { ITransport } from './transport.js';

/** An error reply of the API, or no reply at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: ErrorBody
  ) {
    super(body.message);
    this.name = 'ApiError';
  }

  /** The next step, where the server names one. */
  get hint(): string {
    return this.body.hint;
  }

  /** Whether the server has no such API: its part of the extension is not enabled. */
  get isServerPartMissing(): boolean {
    return this.status === 404 && this.body.code === NOT_OURS;
  }
}

const NOT_OURS = 'not_ours';
const UNREACHABLE = 'unreachable';
const SERVER_PART_MISSING = 'The server part of Mellea runs is not enabled.';
const ENABLE = 'Run `jupyter server extension enable mellea_jupyter` and restart the server.';

type Query = Record<string, string | number | boolean | null | undefined | readonly string[]>;

/** `?status=running&status=queued`; empty and absent values are left out. */
export function queryString(query: Query): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : [value];
    for (const each of values) {
      if (each !== undefined && each !== null && each !== '') {
        pairs.append(name, String(each));
      }
    }
  }
  const text = pairs.toString();
  return text ? `?${text}` : '';
}

/** Options of background refreshes. */
export interface IReadOptions {
  signal?: AbortSignal;
  /** Nobody asked for this one: it must not keep an idle server alive. */
  isBackground?: boolean;
}

/** The API of one server. */
export class RunsApi {
  constructor(private readonly transport: ITransport) {}

  listRuns(query: GetRunsQuery, options?: IReadOptions): Promise<RunPage> {
    return this.read('runs', query, options);
  }

  listOwnRuns(query: Omit<GetRunsQuery, 'owner_id'>, options?: IReadOptions): Promise<RunPage> {
    return this.read('users/me/runs', query, options);
  }

  summarize(query: GetRunsSummaryQuery, options?: IReadOptions): Promise<SummaryReply> {
    return this.read('runs/summary', query, options);
  }

  getRun(runId: string, options?: IReadOptions): Promise<Run> {
    return this.read(`runs/${runId}`, {}, options);
  }

  updateRun(runId: string, patch: RunPatch): Promise<Run> {
    return this.write('PATCH', `runs/${runId}`, patch);
  }

  cancelRun(runId: string): Promise<Run> {
    return this.write('DELETE', `runs/${runId}`);
  }

  retryRun(runId: string, overrides: Record<string, unknown> = {}): Promise<Run> {
    return this.write('POST', `runs/${runId}/retry`, { config_overrides: overrides });
  }

  /** Answer a run that waits at its budget. */
  answerBudget(runId: string, body: BudgetDecision): Promise<Run> {
    return this.write('POST', `runs/${runId}/budget`, body);
  }

  openKernel(runId: string): Promise<KeptKernel> {
    return this.write('POST', `runs/${runId}/kernel`);
  }

  cancelRuns(runIds: readonly string[]): Promise<Record<string, string>> {
    return this.write('POST', 'runs/bulk/cancel', { run_ids: runIds });
  }

  deleteRuns(runIds: readonly string[]): Promise<Record<string, string>> {
    return this.write('POST', 'runs/bulk/delete', { run_ids: runIds });
  }

  readLog(runId: string, query: GetRunsRunIdLogsQuery, options?: IReadOptions): Promise<LogPage> {
    return this.read(`runs/${runId}/logs`, query, options);
  }

  listCalls(runId: string, query: GetRunsRunIdCallsQuery): Promise<CallPage> {
    return this.read(`runs/${runId}/calls`, query);
  }

  listLoops(runId: string, query: GetRunsRunIdLoopsQuery): Promise<LoopPage> {
    return this.read(`runs/${runId}/loops`, query);
  }

  /** What a call was asked and what it answered, where the run kept it. */
  getCallContent(runId: string, call: number, options?: IReadOptions): Promise<CallContent> {
    return this.read(`runs/${runId}/calls/${call}/content`, {}, options);
  }

  listOutputs(runId: string): Promise<StructuredOutput[]> {
    return this.read(`runs/${runId}/outputs`, {});
  }

  listAssets(query: GetAssetsQuery): Promise<AssetPage> {
    return this.read('assets', query);
  }

  getAsset(assetId: string): Promise<Asset> {
    return this.read(`assets/${assetId}`, {});
  }

  /** Where the whole log is downloaded from. */
  logUrl(runId: string): string {
    return this.transport.url(`runs/${runId}/logs`) + queryString({ download: 'text' });
  }

  /** Where all artifacts are downloaded from, as one archive. */
  artifactsZipUrl(runId: string): string {
    return this.transport.url(`runs/${runId}/artifacts.zip`);
  }

  /** Where an artifact is downloaded from. */
  artifactUrl(runId: string, artifactId: string): string {
    return this.transport.url(`runs/${runId}/artifacts/${artifactId}`);
  }

  read<T>(path: string, query: Query, options: IReadOptions = {}): Promise<T> {
    const background = options.isBackground ? { no_track_activity: 1 } : {};
    return this.send(path + queryString({ ...query, ...background }), {
      method: 'GET',
      signal: options.signal
    });
  }

  protected write<T>(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal
  ): Promise<T> {
    if (body === undefined) {
      return this.send(path, { method, signal });
    }
    const headers = { 'Content-Type': 'application/json' };
    return this.send(path, { method, headers, body: JSON.stringify(body), signal });
  }

  private async send<T>(path: string, init: RequestInit): Promise<T> {
    let response: Response;
    try {
      response = await this.transport.request(path, init);
    } catch (error) {
      if (init.signal?.aborted) {
        throw error;
      }
      throw new ApiError(0, errorBody(UNREACHABLE, 'The Jupyter server does not answer.'));
    }
    const text = await response.text();
    if (!response.ok) {
      throw new ApiError(response.status, parseError(text, response));
    }
    return JSON.parse(text) as T;
  }
}

function errorBody(code: string, message: string): ErrorBody {
  return { code, message, hint: '', details: {}, request_id: '' };
}

function parseError(text: string, response: Response): ErrorBody {
  try {
    const parsed = JSON.parse(text) as Partial<ErrorBody>;
    if (typeof parsed.code === 'string' && typeof parsed.message === 'string') {
      return { ...errorBody(parsed.code, parsed.message), ...parsed };
    }
  } catch {
    // not JSON: an answer of the server itself or of a proxy before it
  }
  if (response.status === 404) {
    return { ...errorBody(NOT_OURS, SERVER_PART_MISSING), hint: ENABLE };
  }
  return errorBody(UNREACHABLE, `${response.status} ${response.statusText}`.trim());
}
