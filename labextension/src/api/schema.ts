// Generated from the OpenAPI document by scripts/schema.mjs. Do not edit.

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue };

/** A link that downloads an artifact without a token. Whoever has it can use it. */
export type ArtifactLink = {
  /** The link. */
  url: string;
  /** When it stops working. */
  expires_at: string;
};

/** What a run kept and what it did not. */
export type ArtifactList = {
  /** Kept files, ordered by path. */
  artifacts: ArtifactRef[];
  /** Files that were not kept. */
  skipped: SkippedArtifact[];
  /** Size of all kept files. */
  total_bytes: number;
};

/** The beginning of an artifact, with the run's secret values masked. The values are the run's own secret variables, as kept for a retry, and the server's keys as they are now. A download has the bytes as the program wrote them. */
export type ArtifactPreview = {
  /** The artifact. */
  artifact_id: string;
  /** `text`, `json` (`text` is JSON), `table` (`rows`), `html` and `svg` (`text`, not to be trusted), `image` (show the download), `none` (see `reason`). */
  kind: PreviewKind;
  /** For `text`, `json`, `html` and `svg`. */
  text: string | null;
  /** Cells, for `table`. */
  rows: string[][] | null;
  /** There is more in the artifact than is shown. */
  truncated: boolean;
  /** How many of its first bytes are shown. */
  shown_bytes: number;
  /** Why there is none: `binary`, `too_large`, `secrets_gone` (the values that would have to be masked are not known any more). */
  reason: string | null;
};

/** One file a run produced. */
export type ArtifactRef = {
  /** Artifact id. */
  id: string;
  /** The run that produced it. */
  run_id: string;
  /** Original file name. */
  name: string;
  /** Path relative to the run's output folder, with `/`. */
  path: string;
  /** MIME type, guessed from the name. */
  content_type: string;
  /** Size of the stored bytes. */
  size_bytes: number;
  /** When it was collected. */
  created_at: string;
  /** SHA-256 of the stored bytes, hexadecimal. */
  checksum: string;
  /** Anything known besides. */
  metadata: Record<string, JsonValue> | null;
};

/** A registered program and its present version. */
export type Asset = {
  /** Stable id: the same program gets the same one. */
  id: string;
  /** What it was made from. */
  kind: AssetKind;
  /** Shown name. */
  name: string;
  /** Relative to the server's root, where it has one. */
  path: string | null;
  /** Absolute folder the program lives in. */
  program_dir: string | null;
  /** What is started, relative to the pinned source. */
  entry_point: string;
  /** Git commit, `…+dirty.<hash>` if changed, or content hash. */
  version: string;
  /** SHA-256 over paths and contents of the pinned source. */
  content_hash: string;
  /** Who registered it. */
  owner_id: string;
  /** Environment of its runs. */
  default_environment_id: string | null;
  /** First registration. */
  created_at: string;
  /** Registration of the present version. */
  updated_at: string;
};

/** What to register. Exactly one of `path` and `source`, or `entry_point` alone. */
export type AssetCreate = {
  /** Program or folder, relative to the server's root folder. */
  path?: string | null;
  /** Literal Python source. */
  source?: string | null;
  /** File of a folder asset to run, or `module:callable`. */
  entry_point?: string | null;
  /** Shown name. */
  name?: string | null;
  /** Environment of its runs. */
  default_environment_id?: string | null;
};

/** What an asset was made from. */
export type AssetKind = 'file' | 'notebook' | 'folder' | 'callable' | 'source';

/** A page of assets, newest first. */
export type AssetPage = {
  /** The assets. */
  assets: Asset[];
  /** Cursor of the next page; null on the last. */
  next: string | null;
};

/** One share of an asset: who may execute it. */
export type AssetShare = {
  /** What `name` names. */
  kind: 'user' | 'group' | 'everyone';
  /** The user or group; empty for everyone. */
  name: string;
  /** Who shared it. */
  shared_by: string;
  /** When they did. */
  shared_at: string;
};

/** Who may execute an asset besides its owner. */
export type AssetShareList = {
  /** Whose it is. */
  owner_id: string;
  /** Everyone first, then groups and users by name. */
  shares: AssetShare[];
};

/** What was done. */
export type AuditAction = 'create' | 'cancel' | 'retry' | 'patch' | 'pin' | 'unpin' | 'delete' | 'share' | 'unshare' | 'budget' | 'kernel' | 'share_asset' | 'unshare_asset' | 'reprice' | 'sweep';

/** One entry. None is ever changed or removed, also not when its run is deleted. */
export type AuditEntry = {
  /** Its number; later ones are higher. */
  id: number;
  /** When. */
  at: string;
  /** Who. */
  user: string;
  /** What they did. */
  action: string;
  /** To which run; null for what is about many or none. */
  run_id: string | null;
  /** Whose run it was; null in early entries. */
  owner_id: string | null;
  /** An administrator acted on what is somebody else's. */
  admin_override: boolean;
  /** More, depending on the action. */
  details: Record<string, JsonValue>;
};

/** A page of the audit trail, the latest first. */
export type AuditPage = {
  /** The entries. */
  entries: AuditEntry[];
  /** Cursor of the next page; null on the last. */
  next: string | null;
};

/** `POST /api/runs/{id}/budget`: the answer to a run that waits. */
export type BudgetDecision = {
  /** `raise`: go on with a higher limit. `stop`: the call is refused. */
  decision: 'raise' | 'stop';
  /** The new limit in US dollars, not what is added; for `raise`. */
  max_cost_usd?: number | string | null;
  /** The new limit of calls. */
  max_llm_calls?: number | null;
};

/** Runs to cancel or delete together. */
export type BulkRequest = {
  /** The runs. */
  run_ids: string[];
};

/** What a call was asked and what it answered. */
export type CallContent = {
  /** Number of the call in its run. */
  call: number;
  /** The prompt, as text; null when not kept. */
  prompt: string | null;
  /** The reply, as text; null when not kept. */
  reply: string | null;
  /** Size of the whole prompt, UTF-8. */
  prompt_bytes: number | null;
  /** Size of the whole reply, UTF-8. */
  reply_bytes: number | null;
  /** Prompt or reply is cut. */
  truncated: boolean;
};

/** Calls in order. */
export type CallPage = {
  /** The calls. */
  calls: LlmCall[];
  /** `after` of the next page; null on the last. */
  next: number | null;
};

/** What a call's money was spent on. */
export type CallShare = 'useful' | 'repair' | 'judge' | 'wasted';

/** Calls and loops of a run that began, went on or ended; each as it is now. */
export type CallsChanged = {
  type: 'calls_changed';
  /** Whose they are. */
  run_id: string;
  /** By number. */
  calls: LlmCall[];
  /** By number. */
  loops: SamplingLoop[];
};

/** What is known to be wrong; nothing is no promise. */
export type CheckReply = {
  /** Errors and warnings, the program's first. */
  problems: Problem[];
  /** What the program usually takes: with this model, or else with any; null where there is no program. */
  forecast: Forecast | null;
};

export type ClientMessage = Subscribe | Unsubscribe;

/** A run, or the runs of one configuration. */
export type ComparedColumn = {
  /** What tells it from the others, e.g. its model; short. */
  label: string;
  /** At least one, in order. */
  runs: ComparedRun[];
};

/** One thing that is compared. */
export type ComparedRow = {
  /** What it is about. */
  section: 'outcome' | 'configuration' | 'requirements' | 'outputs' | 'metrics' | 'resolved';
  /** A field's name, a requirement's text, or a path in an output. */
  name: string;
  /** What the values are. */
  unit: 'text' | 'time' | 'number' | 'milliseconds' | 'seconds' | 'megabytes' | 'usd' | 'share' | 'json';
  /** One a column. */
  values: ComparedValue[];
  /** Whether the columns differ. */
  differs: boolean;
};

/** A run of a column, as its head names it. */
export type ComparedRun = {
  /** The run. */
  id: string;
  /** Its name, or that of its program. */
  title: string;
  /** Where it is. */
  status: RunStatus;
  /** It succeeded, and a loop's requirements were not met. */
  is_unmet: boolean;
};

/** A row's value in a column. */
export type ComparedValue = {
  /** As the row's unit says; null where there is none. A mean over the runs of the column, or its texts with how often they are there; of a share, how many. */
  value: JsonValue;
  /** Of a share: of how many. */
  of: number | null;
  /** Of several runs: the smallest. */
  least: number | null;
  /** Of several runs: the largest. */
  most: number | null;
  /** Calls that are not in it: without a price, or without usage. */
  missing: number;
};

/** The log is complete and all of it was sent; the topic has ended. */
export type Complete = {
  type: 'complete';
  /** `run/<id>/logs`. */
  topic: string;
  /** The run's final status. */
  status: RunStatus;
};

/** A registered dataset and its latest version. */
export type Dataset = {
  /** Stable id: the same path or URL gets the same one. */
  id: string;
  /** Where its bytes come from. */
  kind: DatasetKind;
  /** Shown name. */
  name: string;
  /** Relative to the server's root, where it has one. */
  path: string | null;
  /** Where the objects are, for `url`. */
  url: string | null;
  /** Who registered it. */
  owner_id: string;
  /** The version that was registered last. */
  latest: DatasetVersion;
  /** First registration. */
  created_at: string;
  /** Registration of the latest version. */
  updated_at: string;
};

/** A dataset under the name by which the program asks for it. */
export type DatasetBinding = {
  /** Variable name in the program. */
  name: string;
  /** The dataset asset. */
  dataset_id: string;
  /** A version, or "latest" (the default). */
  version: string | null;
};

/** A dataset under the name by which the program asks for it. */
export type DatasetBindingInput = {
  /** Variable name in the program. */
  name: string;
  /** The dataset asset. */
  dataset_id: string;
  /** A version, or "latest" (the default). */
  version?: string | null;
};

/** `POST /api/datasets`. Exactly one of `path` and `url`. */
export type DatasetCreate = {
  /** File or folder, relative to the server's root folder. */
  path?: string | null;
  /** An object, `s3://bucket/key`, or all below a prefix that ends with `/`; also `gs://` and `az://`. */
  url?: string | null;
  /** Shown name. */
  name?: string | null;
};

/** Where a dataset's bytes come from. */
export type DatasetKind = 'file' | 'folder' | 'url';

/** A page of datasets, most recently registered first. */
export type DatasetPage = {
  /** The datasets. */
  datasets: Dataset[];
  /** Cursor of the next page; null on the last. */
  next: string | null;
};

/** What a dataset held when it was registered. */
export type DatasetVersion = {
  /** SHA-256 over paths and checksums, 64 hexadecimal digits; the same content has the same one. The first 6 or more are enough to name it. */
  version: string;
  /** Number of files. */
  file_count: number;
  /** Sum of their sizes. */
  size_bytes: number;
  /** What was left out, with the reason; at most a thousand. */
  skipped: SkippedFile[];
  /** When it was registered last. */
  created_at: string;
};

/** All versions of a dataset. */
export type DatasetVersionList = {
  /** Most recently registered first. */
  versions: DatasetVersion[];
};

/** Where runs of it are placed, and whether that works at present. */
export type Environment = {
  /** Shown name; an owner has each name once. */
  name: string;
  /** What places its runs: `process`, `docker`, `kernel`, or one that another package registered. */
  executor: string;
  /** Interpreter of the process executor, a path or a command; the server's own when absent. */
  python: string | null;
  /** Kernelspec of the kernel executor, as `jupyter kernelspec list` names it. */
  kernel_name: string | null;
  /** Image of the docker executor, e.g. `python:3.12-slim` or one with a digest. */
  image: string | null;
  /** Processors a run may use at once. Docker only. */
  cpus: number | null;
  /** Most memory of a run and all its processes, in MiB. */
  memory_mb: number | null;
  /** Most processes and threads of a run. Docker only. */
  pids_limit: number | null;
  /** Docker only. `none`: no network. `bridge`: as the engine gives it, and the default. `internal`: a network without a way out of the machine. */
  network: 'none' | 'bridge' | 'internal' | null;
  /** Variables of the server that its programs get, by name; read when a run starts, never stored, and masked in logs by value. Absent: all for process and kernel, those that configure model providers for docker. */
  env_passthrough: string[] | null;
  /** Modules that a prepared interpreter has imported. */
  preload: string[];
  /** Prepared interpreters or containers that are kept ready for it. */
  prewarm: number;
  /** Environment id. */
  id: string;
  /** Whose it is; null is for everybody: the server's or an administrator's. */
  owner_id: string | null;
  /** Comes from the server's settings and can not be changed here. */
  is_configured: boolean;
  /** When it was made. */
  created_at: string | null;
  /** When it was changed last. */
  updated_at: string | null;
  /** Whether a run can start in it now. */
  available: boolean;
  /** Why not, and the next step. */
  reason: string | null;
  /** When that was found out; null while the first check goes on. */
  checked_at: string | null;
  /** What the check found; see `EnvironmentProbe`. */
  facts: Record<string, string>;
};

/** `POST /api/environments`. */
export type EnvironmentCreate = {
  /** Shown name; an owner has each name once. */
  name: string;
  /** What places its runs: `process`, `docker`, `kernel`, or one that another package registered. */
  executor?: string;
  /** Interpreter of the process executor, a path or a command; the server's own when absent. */
  python?: string | null;
  /** Kernelspec of the kernel executor, as `jupyter kernelspec list` names it. */
  kernel_name?: string | null;
  /** Image of the docker executor, e.g. `python:3.12-slim` or one with a digest. */
  image?: string | null;
  /** Processors a run may use at once. Docker only. */
  cpus?: number | null;
  /** Most memory of a run and all its processes, in MiB. */
  memory_mb?: number | null;
  /** Most processes and threads of a run. Docker only. */
  pids_limit?: number | null;
  /** Docker only. `none`: no network. `bridge`: as the engine gives it, and the default. `internal`: a network without a way out of the machine. */
  network?: 'none' | 'bridge' | 'internal' | null;
  /** Variables of the server that its programs get, by name; read when a run starts, never stored, and masked in logs by value. Absent: all for process and kernel, those that configure model providers for docker. */
  env_passthrough?: string[] | null;
  /** Modules that a prepared interpreter has imported. */
  preload?: string[];
  /** Prepared interpreters or containers that are kept ready for it. */
  prewarm?: number;
  /** For everybody to use; only administrators may make or change such. */
  shared?: boolean;
};

/** All environments a user may choose from. */
export type EnvironmentList = {
  /** Ordered by name. */
  environments: Environment[];
  /** Environment of runs that name none. */
  default_id: string;
};

/** `PATCH /api/environments/{id}`; absent fields stay, null resets one to its default. */
export type EnvironmentPatch = {
  /** Shown name. */
  name?: string | null;
  /** What places its runs. */
  executor?: string | null;
  /** Interpreter of the process executor. */
  python?: string | null;
  /** Kernelspec of the kernel executor. */
  kernel_name?: string | null;
  /** Image of the docker executor. */
  image?: string | null;
  /** Processors a run may use at once. */
  cpus?: number | null;
  /** Most memory of a run, in MiB. */
  memory_mb?: number | null;
  /** Most processes and threads of a run. */
  pids_limit?: number | null;
  /** Which network a container has. */
  network?: 'none' | 'bridge' | 'internal' | null;
  /** Variables of the server that its programs get. */
  env_passthrough?: string[] | null;
  /** Modules imported beforehand. */
  preload?: string[] | null;
  /** Prepared interpreters or containers. */
  prewarm?: number | null;
};

/** A message could not be served. The connection and other topics go on. */
export type Error = {
  type: 'error';
  /** Stable identifier, snake case. */
  code: string;
  /** What is wrong, one sentence. */
  message: string;
  /** The next step. */
  hint: string;
  /** More, for programs. */
  details: Record<string, JsonValue>;
  /** The topic concerned, where there is one. */
  topic: string | null;
};

/** Every error of the API. */
export type ErrorBody = {
  /** Stable identifier, snake case. */
  code: string;
  /** What is wrong, one sentence. */
  message: string;
  /** The next step. */
  hint: string;
  /** More, for programs. */
  details: Record<string, JsonValue>;
  /** To find it in the server's log. */
  request_id: string;
};

/** Why a run failed. */
export type ErrorClassification = {
  /** Whose matter it is. */
  category: FailureCategory;
  type: FailureType;
  /** How sure that is: 1 is a fact, not a guess. */
  confidence: number;
  /** What it rests on, the strongest first. */
  evidence: string[];
  /** The same run may well succeed when it is tried again. */
  retryable: boolean;
  /** The failure's name in a few words, for lists. */
  summary: string;
  /** What happened, one sentence without the program's words; empty in records of earlier versions. */
  explanation: string;
  /** What to do, one sentence. */
  suggestion: string;
  /** The same as a button or a command. */
  next_step: NextStep | null;
  /** Of the exception it rests on. */
  stack_trace: string | null;
  /** The user's line, where one is known. */
  location: SourceLocation | null;
  /** The same for the same failure of the same program. */
  fingerprint: string;
};

/** The exception that ended the program, as the runtime recorded it. */
export type ErrorDetails = {
  /** Module-qualified exception type. */
  type: string;
  /** Its message, cut to a sensible length. */
  message: string;
  /** The frames, innermost last. */
  stack_trace: string | null;
};

/** Something happened to a run or a notice. Quick successions may come as their last one. */
export type Event = {
  type: 'event';
  /** The topic it was asked for by. */
  topic: string;
  /** What happened. */
  event: RunChanged | RunDeleted | NoticeChanged | NoticesChanged | CallsChanged;
};

/** Whose matter a failure is. */
export type FailureCategory = 'user_code' | 'program_outcome' | 'external_service' | 'infrastructure' | 'unknown';

/** How often runs of one owner have failed in the same way. */
export type FailureSeen = {
  /** Failed runs with this fingerprint, this one included. */
  count: number;
  /** When the first of them failed. */
  first_seen_at: string;
  /** When the last of them did. */
  last_seen_at: string;
};

/** What went wrong. */
export type FailureType = 'syntax_error' | 'runtime_error' | 'python_error' | 'validation_error' | 'generative_error' | 'missing_dependency' | 'requirements_unmet' | 'budget_exceeded' | 'precondition_failed' | 'timeout' | 'authentication_error' | 'rate_limited' | 'provider_quota_exceeded' | 'context_length_exceeded' | 'model_not_found' | 'provider_error' | 'provider_timeout' | 'connection_error' | 'out_of_memory' | 'image_pull_failed' | 'network_error' | 'permission_error' | 'storage_error' | 'environment_unavailable' | 'engine_error' | 'kernel_died' | 'lost' | 'server_stopped' | 'unclassified';

/** What a program usually takes, from its runs that succeeded; `runs` 0: no history. */
export type Forecast = {
  /** How many runs it is from: the latest ones, at most 200. */
  runs: number;
  /** Only of runs with this model; null: of all. */
  model: string | null;
  /** Starting included, not the queue. */
  duration_ms: Interval | null;
  /** Null where a run among them has calls without a price. */
  cost_usd: Interval | null;
  /** LLM calls. */
  llm_calls: Interval | null;
  /** Runs among them with calls without a price. */
  unpriced_runs: number;
};

/** From the 10 % to the 90 % quantile; of fewer than 5 values, the least and the greatest. */
export type Interval = {
  /** The lower end. */
  low: number;
  /** The upper end. */
  high: number;
};

/** The kernel of a failed run, which lives on for a console. */
export type KeptKernel = {
  /** Its id in the server, once it is opened there. */
  id: string;
  /** Its kernelspec. */
  name: string;
  /** When it is stopped. */
  until: string;
};

/** The client reads too slowly for this topic, which has ended. Read what is missing over REST and subscribe again after the last line, or subscribe with `after` set to `resume`. */
export type Lagged = {
  type: 'lagged';
  /** The topic that has ended. */
  topic: string;
  /** Cursor of the last line that was sent. */
  resume: string | null;
};

/** A download link to make. */
export type LinkRequest = {
  /** Seconds that it works. */
  expires_in?: number;
};

/** One LLM call, as the program's runtime reported it. */
export type LlmCall = {
  /** Number of the call in its run, from 1. */
  call: number;
  /** Unix seconds. */
  started_at: number;
  /** answer, repair, judge or tool */
  purpose: string;
  /** Backend that was asked. */
  provider: string | null;
  /** Model that was asked. */
  model: string | null;
  /** Model that answered, as it said. */
  response_model: string | null;
  /** mellea's class of what was generated. */
  action: string | null;
  /** active, finished, failed or cancelled */
  status: string;
  /** As reported; null when missing. */
  input_tokens: number | null;
  /** As reported; null when missing. */
  output_tokens: number | null;
  /** Input tokens read from a cache. */
  cached_tokens: number | null;
  /** Input tokens written into a cache. */
  cache_write_tokens: number | null;
  /** Output tokens spent on reasoning. */
  reasoning_tokens: number | null;
  /** From the request to the whole reply. */
  latency_ms: number | null;
  /** To the first token; streamed calls only. */
  ttft_ms: number | null;
  /** The reply was streamed. */
  streaming: boolean;
  /** Why the reply ended. */
  finish_reason: string | null;
  /** Requests it made: more than one for a raw batch. */
  requests: number;
  /** US dollars; null when unpriced. */
  cost_usd: number | null;
  /** Where the price comes from. */
  price: PriceSource | null;
  /** What its money was spent on. */
  share: CallShare;
  /** Sampling loop it belongs to. */
  loop: number | null;
  /** Chain of attempts in its loop, from 1. */
  chain: number | null;
  /** Attempt in its chain, from 1. */
  attempt: number | null;
  /** Judge calls: index of the requirement that is checked. */
  requirement: number | null;
  /** Type and message of what it raised. */
  error: string | null;
  /** Line of the log that tells of its end. */
  line: number | null;
  /** Prompt or reply can be read. */
  has_content: boolean;
};

/** One line of the log. */
export type LogFrame = {
  /** ISO 8601 with milliseconds, UTC. */
  timestamp: string;
  /** Where it came from. */
  stream: LogStream;
  /** How serious it is. */
  level: LogLevel;
  /** The text, without its newline. */
  message: string;
  /** E.g. an LLM call's numbers. */
  metadata: Record<string, JsonValue> | null;
  /** Line number in the run, from 1. */
  line: number;
  /** Resume after this line. */
  cursor: string;
  /** The line has not ended yet. */
  partial: boolean;
  /** The text goes on with a line given before. */
  continues: boolean;
};

/** How serious a line is; from structured records only, never from words in the text. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A stretch of a log. `next` is the cursor to go on from; `ended`: nothing will follow it. */
export type LogPage = {
  /** Lines in order. */
  frames: LogFrame[];
  /** Cursor after the last line, to read on from. */
  next: string | null;
  /** The log is complete and this page reaches its end. */
  ended: boolean;
};

/** Where a line came from. */
export type LogStream = 'stdout' | 'stderr' | 'system';

/** New log lines of a run, in order. */
export type Logs = {
  type: 'logs';
  /** `run/<id>/logs`. */
  topic: string;
  /** The lines. */
  frames: LogFrame[];
  /** Cursor of the last one, to subscribe after. */
  cursor: string;
};

/** One try in a chain, with what was said of it. */
export type LoopAttempt = {
  /** Chain, from 1: what one task tries one after another. */
  chain: number;
  /** Number in its chain, from 1. */
  attempt: number;
  /** answer: the first; resample: the same again; repair: another */
  form: string;
  /** Calls that generated it. */
  calls: number[];
  /** In the order they were given. */
  verdicts: Verdict[];
  /** It is the loop's result. */
  is_chosen: boolean;
};

/** Sampling loops in the order they began. */
export type LoopPage = {
  /** The loops. */
  loops: SamplingLoop[];
  /** `after` of the next page; null on the last. */
  next: number | null;
};

/** What a loop asks of its samples. */
export type LoopRequirement = {
  /** Place in the loop, from 0. */
  index: number;
  /** The requirement in its own words. */
  text: string;
  /** function: checked by the program; judge: by a model */
  kind: string;
};

/** Models to offer where one is asked for. */
export type ModelList = {
  /** Recent ones first, then those of the server's settings, then the demo. */
  models: ModelOffer[];
};

/** A model to choose. */
export type ModelOffer = {
  /** "provider/name". */
  model: string;
  /** Why it is offered. */
  source: 'recent' | 'configured' | 'demo';
};

/** What people can do about a failure with one click or command. */
export type NextAction = 'retry' | 'retry_with_more_memory' | 'retry_with_more_time' | 'retry_with_more_budget' | 'set_key' | 'pull_model' | 'install_package' | 'open_source';

/** The next step, for a button or a terminal. */
export type NextStep = {
  /** What it is. */
  action: NextAction;
  /** What the button says. */
  label: string;
  /** The same in a terminal, where there is one. */
  command: string | null;
  /** A variable's, model's or package's name, or memory in MiB. */
  value: string | null;
  /** What a retry changes, as its `config_overrides` take it. */
  overrides: Record<string, JsonValue> | null;
};

/** Something to tell one user. Runs that end together share a notice. */
export type Notice = {
  /** `ntc_…`. */
  id: string;
  /** Who is told. */
  user_id: string;
  /** What it is about. */
  type: NoticeType;
  /** One line. */
  title: string;
  /** More, one line; no prompts, completions or secrets. */
  body: string;
  /** Opens the first of its runs that is there; relative to the server's base URL. Null when all that it names were deleted. */
  link: string | null;
  /** The runs in the order they ended, at most 20. */
  runs: NoticeRun[];
  /** All runs of the notice. */
  run_count: number;
  /** All its runs per status. */
  by_status: Record<string, number>;
  /** When the first run ended or was shared. */
  created_at: string;
  /** When the last one did. */
  updated_at: string;
  /** When it was read; null: unread. */
  read_at: string | null;
};

/** A notice is new, got another run, or was marked as read or unread. */
export type NoticeChanged = {
  type: 'notice_changed';
  /** The notice as it is now. */
  notice: Notice;
  /** All unread notices of the user. */
  unread: number;
};

/** Why a run failed: what people are told of it, nothing that the program wrote. */
export type NoticeFailure = {
  type: FailureType;
  /** Whose matter it is. */
  category: FailureCategory;
  /** The failure's name in a few words. */
  summary: string;
  /** What happened, one sentence. */
  explanation: string;
  /** What to do, one sentence. */
  suggestion: string;
  /** The same as a button or a command. */
  next_step: NextStep | null;
  /** The next step in a terminal. */
  command: string | null;
  /** The same for the same failure of the same program. */
  fingerprint: string;
  /** How often it has happened to its owner, this time included. */
  seen: FailureSeen | null;
};

/** A page of notices: unread ones first, the latest first. */
export type NoticePage = {
  /** The notices. */
  notifications: Notice[];
  /** Cursor of the next page; null on the last. */
  next: string | null;
  /** All unread notices of the user. */
  unread: number;
};

/** `PATCH /api/notifications/{notice_id}`. */
export type NoticePatch = {
  /** Whether it counts as read. */
  read: boolean;
};

/** A run in a notice: facts only, nothing that the program or a model wrote. */
export type NoticeRun = {
  /** The run. */
  run_id: string;
  /** Its name, or that of its program; one line. */
  name: string;
  /** How it ended; of a shared run, how it was then. */
  status: RunStatus;
  /** Why, a few words; empty where the status says it all. */
  reason: string;
  /** Why it failed, and what to do. */
  failure: NoticeFailure | null;
  /** Whose run it is. */
  owner_id: string;
  /** When it ended; of a shared run that had not, when it was shared. */
  finished_at: string;
  /** From its creation to its end. */
  total_duration_ms: number;
  /** LLM calls it made. */
  llm_calls: number;
  /** Cost of the priced calls. */
  estimated_cost_usd: number | null;
  /** Calls without a price. */
  unpriced_calls: number;
  /** Opens the run; relative to the server's base URL. Null when it was deleted. */
  link: string | null;
};

/** What a notice is about. */
export type NoticeType = 'run_complete' | 'shared_run_complete' | 'run_shared';

/** Many notices changed at once: read the list anew. */
export type NoticesChanged = {
  type: 'notices_changed';
  /** All unread notices of the user. */
  unread: number;
};

/** `PATCH /api/users/me/notification-preferences`; absent fields stay. */
export type NotificationPreferencesPatch = {
  /** Mail about own runs. */
  email_on_run_complete?: boolean | null;
  /** Mail about shared runs. */
  email_on_shared_complete?: boolean | null;
  /** Toasts in JupyterLab. */
  toast_enabled?: boolean | null;
  /** Only about failed runs. */
  failures_only?: boolean | null;
  /** When mails wait; null removes. */
  quiet_hours?: QuietHours | null;
  /** IANA name of the zone. */
  time_zone?: string | null;
  /** Where mails go; null or empty removes. */
  email_address?: string | null;
};

/** The preferences, and what this server can do with them. */
export type NotificationSettings = {
  /** Mail when an own run failed, or ended after more than a minute. */
  email_on_run_complete: boolean;
  /** The same for runs that others share with you. */
  email_on_shared_complete: boolean;
  /** A toast in JupyterLab when a run ends. */
  toast_enabled: boolean;
  /** Toasts and mails about failed runs only. */
  failures_only: boolean;
  /** When mails wait; null: never. */
  quiet_hours: QuietHours | null;
  /** IANA name of the zone of `quiet_hours`. */
  time_zone: string;
  /** Where mails go; null: where the operator's template says. */
  email_address: string | null;
  /** Whether this server can send mail. */
  email_available: boolean;
  /** Why not. */
  email_unavailable_reason: string | null;
  /** Where mails go without `email_address`; null: nowhere. */
  default_email_address: string | null;
};

/** How a preview is shown. */
export type PreviewKind = 'text' | 'json' | 'table' | 'html' | 'svg' | 'image' | 'none';

/** Where prices come from. */
export type PriceListReply = {
  /** The bundled list. */
  source: string;
  /** Its version. */
  version: string;
  /** It is at least as new as this day, ISO 8601. */
  dated: string | null;
  /** What goes before it. */
  overrides: PriceOverrides | null;
};

/** An operator's own prices. */
export type PriceOverrides = {
  /** Where they are read from. */
  file: string;
  /** The first 12 digits of its SHA-256. */
  version: string;
  /** The day it was last changed, ISO 8601. */
  dated: string;
  /** Models it prices. */
  models: number;
  /** What is wrong in it; names model and field. */
  problems: string[];
};

/** The price list behind a cost. */
export type PriceSource = {
  /** `genai-prices`, `override`, `local`. */
  source: string;
  /** Version of the list. */
  version: string;
  /** Day the list was made, ISO 8601. */
  dated: string | null;
};

/** One thing that is wrong with a request for a run, or that may go wrong. */
export type Problem = {
  /** What it is about, e.g. `path` or `config.model`. */
  field: string;
  /** What is wrong, one sentence. */
  message: string;
  /** The next step. */
  hint: string;
  /** `error`: it can not be created or started. `warning`: it may fail. */
  severity: 'error' | 'warning';
};

/** When no mail is sent; what falls into them is sent at their end. */
export type QuietHours = {
  /** `22:00`, in the user's time zone. */
  start: string;
  /** `07:00`; before `start` means on the next day. */
  end: string;
};

/** `POST /api/notifications/read`. */
export type ReadAllRequest = {
  /** Only notices that were last updated at or before; else all. */
  until?: string | null;
};

/** What pricing anew changed, or would change. */
export type RepriceReply = {
  /** As asked for: nothing was changed. */
  dry_run: boolean;
  /** Ended runs that were looked at. */
  runs_seen: number;
  /** Their calls, those of other models not counted. */
  calls_seen: number;
  /** Runs whose calls have another price now. */
  runs_changed: number;
  /** Calls with another price. */
  calls_changed: number;
  /** Cost of the changed runs before, priced calls only. */
  before_usd: number;
  /** And now. */
  after_usd: number;
  /** The changed runs, at most 1000 of them. */
  runs: RepricedRun[];
  /** The price list that was used. */
  list_version: string;
};

/** `POST /api/prices/reprice`: price calls of ended runs anew, from their stored tokens. */
export type RepriceRequest = {
  /** Only runs created at or after this time. */
  since?: string | null;
  /** Only calls of this model, "provider/name" or its name alone. */
  model?: string | null;
  /** Only say what would change. */
  dry_run?: boolean;
};

/** A run whose cost changed. */
export type RepricedRun = {
  /** The run. */
  run_id: string;
  /** Its program. */
  asset_name: string;
  /** Calls whose price changed. */
  calls: number;
  /** Its cost before; null when unpriced. */
  before_usd: number | null;
  /** Its cost now; null when unpriced. */
  after_usd: number | null;
  /** Unpriced calls before. */
  unpriced_before: number;
  /** Unpriced calls now. */
  unpriced_after: number;
};

/** The policy, and the disk that runs take. */
export type RetentionReply = {
  /** Days that logs and artifacts are kept after a run ended; 0: for good. */
  days: number;
  /** Taken by all runs, artifacts and records of this store. */
  used_bytes: number;
  /** Left on the disk that holds them. */
  free_bytes: number;
};

/** `POST /api/runs/{id}/retry`. */
export type RetryRequest = {
  /** Fields of RunConfig to replace; `env_vars` merge by key, null removes. */
  config_overrides?: Record<string, JsonValue>;
};

/** One execution of one asset under one `RunConfig`. */
export type Run = {
  /** UUID v4. */
  id: string;
  /** The asset that is executed. */
  asset_id: string;
  /** Its version when the run was created. */
  asset_version: string;
  /** Its shown name when the run was created. */
  asset_name: string;
  /** Who started the run. */
  owner_id: string;
  /** How it is executed; secret values are masked. */
  config: RunConfig;
  /** The environment it executes in. */
  environment_id: string | null;
  /** Its name when the run was created; the environment may be gone since. */
  environment_name: string | null;
  /** Where the run is. */
  status: RunStatus;
  /** Why, for programs (`StatusReason`). */
  status_reason: string | null;
  /** When it was created. */
  created_at: string;
  /** When the program started. */
  started_at: string | null;
  /** When a final status was reached. */
  finished_at: string | null;
  /** The program's code, or `-N` for signal N. */
  exit_code: number | null;
  /** One sentence on what went wrong. */
  error_message: string | null;
  /** The exception behind it. */
  error: ErrorDetails | null;
  /** Why it failed, in words for people and names for programs. */
  error_classification: ErrorClassification | null;
  /** How often its owner's runs have failed so, as far as you may see them; only where one run is read. */
  seen: FailureSeen | null;
  /** Kept files, ordered by path. */
  artifacts: ArtifactRef[];
  /** Files not kept. */
  artifacts_skipped: SkippedArtifact[];
  /** What it used so far. */
  metrics: RunMetrics;
  /** Who cancelled it. */
  cancelled_by: string | null;
  /** The run it repeats. */
  retry_of: string | null;
  /** 1 for a first run, one more for each retry. */
  attempt: number;
  /** The group it was started in, by `POST /runs/bulk/create`. */
  group_id: string | null;
  /** A name people gave it. */
  name: string | null;
  /** A note people wrote. */
  note: string | null;
  /** Labels, ordered, without repeats. */
  tags: string[];
  /** Kept by the retention policy. */
  pinned: boolean;
  /** When its log and artifacts are removed; null while it is active or pinned, where they are kept for good, and afterwards. */
  expires_at: string | null;
  /** Its log and artifacts have been removed. */
  artifacts_purged: boolean;
  /** When they were. */
  artifacts_purged_at: string | null;
  /** Its kernel, where that was kept after it failed (`keep_kernel`). */
  kernel: KeptKernel | null;
  /** Grows with every change of the record. */
  version: number;
  /** The machine that executes it. */
  host: string | null;
  /** Its container image; what is known of it grows while it is pulled. */
  image: RunImage | null;
  /** `warm` or `fresh`, once it has started. */
  isolation: string | null;
  /** Why it is not warm. */
  isolation_reason: string | null;
  /** 1 is next; only while queued. */
  queue_position: number | null;
  /** What it waits for. */
  queue_reason: string | null;
  /** When a stop was asked for. */
  cancel_requested_at: string | null;
  /** By whom. */
  cancel_requested_by: string | null;
  /** `user`: by its owner, `operator` or `admin`. */
  cancel_reason: string | null;
  /** When the grace period ends. */
  kill_at: string | null;
  /** `{done, total, text}`, when the program reports it. Of a notebook also `unit: cell`, and its text is e.g. `cell 7 of 20`. */
  progress: Record<string, JsonValue> | null;
  /** What it waits for an answer to; null when it does not. */
  waiting: RunWaiting | null;
  /** How its budget stands; null until the first word of it. */
  budget: RunBudget | null;
  /** Models of its calls, `provider/name`. */
  models_used: string[];
  /** What whoever reads it is to it, which says what they may do. */
  role: RunRole | null;
};

/** How a run with a budget stands; what its runtime reports. */
export type RunBudget = {
  /** The limit as it is now, US dollars. */
  max_cost_usd: number | null;
  /** The limit as it is now, calls. */
  max_llm_calls: number | null;
  /** How often somebody raised it. */
  times_raised: number;
  /** LLM calls that were not made because of it. */
  refused_calls: number;
  /** Models without a price: their calls do not count against max_cost_usd. */
  uncounted_models: string[];
};

/** A run was created or its record changed: status, metrics, names, artifacts. */
export type RunChanged = {
  type: 'run_changed';
  /** The run as it is now. */
  run: Run;
};

/** `POST /api/runs/check`. Exactly one of `asset_id`, `path` and `retry_of`. */
export type RunCheck = {
  /** The asset that would be executed. */
  asset_id?: string | null;
  /** Or a program that would be registered, as in `POST /api/assets`. */
  path?: string | null;
  /** Or the run that would be retried. */
  retry_of?: string | null;
  /** Fields of RunConfig, which may be wrong; overrides with `retry_of`. */
  config?: Record<string, JsonValue>;
};

/** Columns, rows and sources. A section's differing rows come first. */
export type RunComparison = {
  /** The group, where one is compared. */
  group_id: string | null;
  /** In the order that was asked for. */
  columns: ComparedColumn[];
  /** By section, differing ones first. */
  rows: ComparedRow[];
  /** Files that differ, by path. */
  sources: SourceDiff[];
  /** Runs of the group beyond the columns. */
  left_out_runs: number;
  /** Requirements and outputs over the limit. */
  left_out_rows: number;
  /** Files that differ, over the limit. */
  left_out_files: number;
};

/** How a run is to be executed. Every field has a default. */
export type RunConfig = {
  /** Default model, "provider/name", e.g. "openai/gpt-4o" or "ollama/llama3". */
  model: string | null;
  /** Environment to run in; the asset's default when absent. */
  environment_id: string | null;
  /** Variables for the program. Values of secret-looking names are masked. */
  env_vars: Record<string, string>;
  /** Datasets bound to names. */
  datasets: DatasetBinding[];
  /** Longest wall-clock time, in seconds. */
  timeout_seconds: number;
  /** Most artifact storage of the run, in MiB. */
  artifact_quota_mb: number;
  /** Command-line arguments of the program. */
  args: string[];
  /** Keyword arguments of a `module:callable`, or parameters of a notebook. */
  parameters: Record<string, JsonValue>;
  /** Start in the program's own folder, or in a fresh folder of the run. */
  working_directory: 'program' | 'run';
  /** Fork a prepared interpreter, or start a new one. */
  isolation: 'warm' | 'fresh';
  /** Fill in a model the program left out, override its choice, or do nothing. */
  model_steering: 'default' | 'force' | 'off';
  /** Fail the run when a sampling loop ends with requirements not met. */
  strict_requirements: boolean;
  /** Keep prompts and replies of LLM calls. */
  capture_content: boolean;
  /** Keep the kernel of a run that fails, for a console to look into it. Kernel environments only. */
  keep_kernel: boolean;
  /** Budget of the run, in US dollars. */
  max_cost_usd: string | null;
  /** Most LLM calls of the run. */
  max_llm_calls: number | null;
  /** What happens when a call would pass the budget. */
  on_budget: 'stop' | 'ask';
};

/** How a run is to be executed. Every field has a default. */
export type RunConfigInput = {
  /** Default model, "provider/name", e.g. "openai/gpt-4o" or "ollama/llama3". */
  model?: string | null;
  /** Environment to run in; the asset's default when absent. */
  environment_id?: string | null;
  /** Variables for the program. Values of secret-looking names are masked. */
  env_vars?: Record<string, string>;
  /** Datasets bound to names. */
  datasets?: DatasetBindingInput[];
  /** Longest wall-clock time, in seconds. */
  timeout_seconds?: number;
  /** Most artifact storage of the run, in MiB. */
  artifact_quota_mb?: number;
  /** Command-line arguments of the program. */
  args?: string[];
  /** Keyword arguments of a `module:callable`, or parameters of a notebook. */
  parameters?: Record<string, JsonValue>;
  /** Start in the program's own folder, or in a fresh folder of the run. */
  working_directory?: 'program' | 'run';
  /** Fork a prepared interpreter, or start a new one. */
  isolation?: 'warm' | 'fresh';
  /** Fill in a model the program left out, override its choice, or do nothing. */
  model_steering?: 'default' | 'force' | 'off';
  /** Fail the run when a sampling loop ends with requirements not met. */
  strict_requirements?: boolean;
  /** Keep prompts and replies of LLM calls. */
  capture_content?: boolean;
  /** Keep the kernel of a run that fails, for a console to look into it. Kernel environments only. */
  keep_kernel?: boolean;
  /** Budget of the run, in US dollars. */
  max_cost_usd?: number | string | null;
  /** Most LLM calls of the run. */
  max_llm_calls?: number | null;
  /** What happens when a call would pass the budget. */
  on_budget?: 'stop' | 'ask';
};

/** `POST /api/runs`. */
export type RunCreate = {
  /** The asset to execute. */
  asset_id: string;
  /** How. */
  config?: RunConfigInput;
  /** A name for people. */
  name?: string | null;
  /** A note for people. */
  note?: string | null;
  /** Labels. */
  tags?: string[];
};

/** A run's record was removed. */
export type RunDeleted = {
  type: 'run_deleted';
  /** The run that is gone. */
  run_id: string;
  /** Whose it was. */
  owner_id: string;
};

/** Runs that were started together. */
export type RunGroup = {
  /** What lists and comparisons know them by. */
  group_id: string;
  /** All variants once, then all again. */
  runs: Run[];
};

/** `POST /api/runs/bulk/create`: runs of one asset, to be compared. Each of `variants` is run `repeat` times: all of them once, then all again. */
export type RunGroupCreate = {
  /** The asset to execute. */
  asset_id: string;
  /** What all of them have. */
  config?: RunConfigInput;
  /** What each has besides: fields of RunConfig to replace; `env_vars` merge by key, null removes. */
  variants?: Record<string, JsonValue>[];
  /** Runs of each variant. */
  repeat?: number;
  /** A name for people, of each run. */
  name?: string | null;
  /** A note for people. */
  note?: string | null;
  /** Labels. */
  tags?: string[];
};

/** The container image of a run, and how far its download is. Layers become known one by one, so the totals grow. Unpacking comes after downloading and usually takes longer. */
export type RunImage = {
  /** What the environment names. */
  reference: string;
  /** `name@sha256:…` that a registry has it under; null if built here. */
  digest: string | null;
  /** `sha256:…` of exactly the image the run has. */
  id: string | null;
  /** Layers that are unpacked. */
  layers_done: number;
  /** Layers known so far. */
  layers_total: number;
  /** Downloaded bytes, compressed. */
  bytes_done: number;
  /** Bytes of them that are unpacked. */
  bytes_extracted: number;
  /** Bytes to download, as known so far. */
  bytes_total: number;
};

/** Counts, times and cost of one run; they grow while it runs. */
export type RunMetrics = {
  /** Time in the queue. */
  queue_duration_ms: number;
  /** From leaving the queue to the program's start. */
  startup_duration_ms: number;
  /** The program's own runtime. */
  execution_duration_ms: number;
  /** Sum of the phases above. */
  total_duration_ms: number;
  /** LLM calls started, failed and cancelled ones included. */
  llm_calls: number;
  /** Prompt tokens, as the backends reported them. */
  input_tokens: number;
  /** Completion tokens, as the backends reported them. */
  output_tokens: number;
  /** Cost of the priced calls, US dollars; null when calls were made and none has a price. */
  estimated_cost_usd: number | null;
  /** Of it, what answers cost, also those that did not pass; the four are null when it is, and in runs recorded before they were told apart. */
  useful_cost_usd: number | null;
  /** Of it, what repairs cost. */
  repair_cost_usd: number | null;
  /** Of it, what judge calls cost. */
  judge_cost_usd: number | null;
  /** Of it, what cancelled calls cost, where that is known. */
  wasted_cost_usd: number | null;
  /** Outermost sampling loops whose requirements were met, and answers that arrived outside of loops. */
  accepted_outputs: number;
  /** Whole cost divided by the accepted outputs; null without any. */
  cost_per_accepted_output_usd: number | null;
  /** Answers generated, judge calls not included. */
  samples_generated: number;
  /** Follow-up generations after the first of a chain. */
  repair_attempts: number;
  /** Generations in sampling loops plus ReAct turns. */
  loop_iterations: number;
  /** Highest memory of the process tree, in MiB. */
  peak_memory_mb: number;
  /** CPU time of the process tree. */
  cpu_seconds: number;
  /** Sampling loops that ended, requirements not met. */
  loops_exhausted: number;
  /** Calls made to check a requirement. */
  judge_calls: number;
  /** Calls that raised an error. */
  failed_calls: number;
  /** Calls given up before they answered. */
  cancelled_calls: number;
  /** Calls of a model whose price is not known. */
  unpriced_calls: number;
  /** Finished calls whose tokens are not known. */
  calls_without_usage: number;
  /** Calls that have started and not ended. */
  unfinished_calls: number;
  /** Repairs that asked the same again. */
  resamples: number;
  /** Records of the runtime that made no sense. */
  malformed_frames: number;
  /** Events the runtime could not deliver. */
  dropped_events: number;
};

/** A page of runs in the asked order. */
export type RunPage = {
  /** The runs. */
  runs: Run[];
  /** Cursor of the next page; null on the last. */
  next: string | null;
  /** Number of runs of the filter, where it was asked. */
  total: number | null;
};

/** `PATCH /api/runs/{id}`; absent fields stay. */
export type RunPatch = {
  /** A name; null removes it. */
  name?: string | null;
  /** A note; null removes it. */
  note?: string | null;
  /** Replaces all labels. */
  tags?: string[] | null;
  /** Keep it from the retention policy. */
  pinned?: boolean | null;
};

/** What somebody is to a run. */
export type RunRole = 'viewer' | 'operator' | 'owner' | 'admin';

/** Where a run is. The last three are final. */
export type RunStatus = 'created' | 'queued' | 'pulling_image' | 'starting' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** Totals of the runs a filter selects (spec.md §5.7.2). */
export type RunSummary = {
  /** All runs of the filter. */
  total_runs: number;
  /** Runs per status. */
  by_status: Record<string, number>;
  /** Succeeded by terminal runs; null when none has ended. */
  success_rate: number | null;
  /** Prompt tokens. */
  input_tokens: number;
  /** Completion tokens. */
  output_tokens: number;
  /** Both. */
  total_tokens: number;
  /** LLM calls. */
  llm_calls: number;
  /** Cost of the priced calls. */
  total_cost_usd: number;
  /** Of it, what answers cost. The four are together less than the total where runs were recorded before they were told apart. */
  useful_cost_usd: number;
  /** Of it, what repairs cost. */
  repair_cost_usd: number;
  /** Of it, what judge calls cost. */
  judge_cost_usd: number;
  /** Of it, what cancelled calls cost, where that is known. */
  wasted_cost_usd: number;
  /** Loops whose requirements were met, and answers outside of loops. */
  accepted_outputs: number;
  /** Cost that is told apart by the accepted outputs; null without any. */
  cost_per_accepted_output_usd: number | null;
  /** Calls without a price. */
  unpriced_calls: number;
  /** Calls whose tokens are not known. */
  calls_without_usage: number;
  /** Mean of the terminal runs. */
  average_duration_ms: number | null;
};

/** What an active run waits for: an answer about its budget. */
export type RunWaiting = {
  /** What it is about. */
  kind: 'budget';
  /** Number of the question in its run, from 1. */
  ask: number;
  /** Which limit the next call would pass. */
  limit: 'cost' | 'calls';
  /** LLM calls taken so far, those under way included. */
  calls: number;
  /** Spent so far; null without a money budget. */
  spent_usd: number | null;
  /** The limit as it is now, US dollars. */
  max_cost_usd: number | null;
  /** The limit as it is now, calls. */
  max_llm_calls: number | null;
  /** When it began to wait. */
  asked_at: string;
  /** When the answer is no if nobody has given one. */
  until: string;
};

/** One run of a sampling strategy. */
export type SamplingLoop = {
  /** Number of the loop in its run, from 1. */
  loop: number;
  /** The loop around it. */
  parent: number | null;
  /** mellea's class of the strategy. */
  strategy: string | null;
  /** Its beginning, where content is kept. */
  instruction: string | null;
  /** Most attempts of a chain. */
  budget: number | null;
  /** Chains or samples at a time. */
  concurrency: number | null;
  /** By index. */
  requirements: LoopRequirement[];
  /** By chain, then by number. */
  attempts: LoopAttempt[];
  /** active, met, not_met or failed */
  status: string;
  /** The loop inside it whose result is its own; null when it tried itself. */
  chosen_loop: number | null;
  /** Type and message of what it raised. */
  error: string | null;
  /** Unix seconds. */
  started_at: number;
  /** Unix seconds; null while active. */
  ended_at: number | null;
  /** Answers generated, inner loops included. */
  samples: number;
  /** Of its priced calls, inner loops included. */
  cost_usd: number | null;
  /** Of its priced repairs. */
  repair_cost_usd: number | null;
  /** Its calls without a price. */
  unpriced_calls: number;
  /** Attempts and verdicts over what is kept of a loop. */
  left_out: number;
  /** Line of the log that tells of its end. */
  line: number | null;
};

export type ServerMessage = Subscribed | Unsubscribed | Event | Logs | Lagged | Complete | Error;

/** One share of a run. */
export type Share = {
  /** What `name` names. */
  kind: 'user' | 'group' | 'everyone';
  /** The user or group; empty for everyone. */
  name: string;
  /** What it allows. */
  role: ShareRole;
  /** Who shared it. */
  shared_by: string;
  /** When they did, or last changed the role. */
  shared_at: string;
};

/** With whom a run is shared. */
export type ShareList = {
  /** Whose it is. */
  owner_id: string;
  /** Everyone first, then groups and users by name. */
  shares: Share[];
};

/** `POST /api/runs/{id}/share`: sharing again replaces the role. */
export type ShareRequest = {
  /** What `name` names. */
  kind: 'user' | 'group' | 'everyone';
  /** The user or group; empty for everyone. */
  name?: string;
  /** What it allows. */
  role?: ShareRole;
};

/** What a share allows. */
export type ShareRole = 'viewer' | 'operator';

/** A file that was not kept, and why. */
export type SkippedArtifact = {
  /** Path relative to the run's output folder, with `/`. */
  path: string;
  /** `quota`, `link`, `not_regular`, `unreadable`, `changed` … */
  reason: string;
  /** Size, where it is known. */
  size_bytes: number | null;
};

/** Something in a folder that is not in the dataset, and why. */
export type SkippedFile = {
  /** Path relative to the dataset, with `/`. */
  path: string;
  /** What it is instead of data. */
  reason: string;
};

/** A file that is not the same as in the first column. */
export type SourceDiff = {
  /** Relative path with `/`. */
  path: string;
  /** Places of the columns that have it so. */
  columns: number[];
  /** Against the first column. */
  change: 'changed' | 'added' | 'removed';
  /** Unified; null where the file is binary or too large. */
  diff: string | null;
  /** The diff is cut. */
  truncated: boolean;
};

/** One file of the source that ran. */
export type SourceFile = {
  /** Relative path with `/`. */
  path: string;
  /** Size of the file. */
  size_bytes: number;
  /** Content; null when binary or over 1 MiB. */
  text: string | null;
};

/** The innermost line of the user's own code on the way to the error. */
export type SourceLocation = {
  /** Relative to the program's folder. */
  file: string;
  /** From 1. */
  line: number;
  /** Where the line is; `<module>` outside functions. */
  function: string;
  /** The line. */
  text: string;
};

/** The source that ran. */
export type SourceReply = {
  /** What was started. */
  entry_point: string;
  /** The asset's version. */
  version: string;
  /** Ordered by path. */
  files: SourceFile[];
};

/** A JSON result the program declared with `current_run().output(...)`. */
export type StructuredOutput = {
  /** The artifact that holds it. */
  artifact_id: string;
  /** The program's own version of its shape. */
  schema_version: string;
  /** The value. */
  data: JsonValue;
};

/** Ask for a topic. Answered by `subscribed` or `error`; asking again starts it anew. */
export type Subscribe = {
  type: 'subscribe';
  /** What to hear of. */
  topic: string;
  /** Logs only: begin after this cursor; else at the start. */
  after?: string | null;
};

/** The topic is being followed: nothing that happens from here on is missed. */
export type Subscribed = {
  type: 'subscribed';
  /** As asked for. */
  topic: string;
};

/** One group of a grouped summary. */
export type SummaryGroup = {
  /** The day (`2026-01-15`), owner, asset, model or status. */
  key: string;
  /** Totals of the group. */
  summary: RunSummary;
};

/** Totals, and the groups where some were asked for. */
export type SummaryReply = {
  /** All runs of the filter. */
  total_runs: number;
  /** Runs per status. */
  by_status: Record<string, number>;
  /** Succeeded by terminal runs; null when none has ended. */
  success_rate: number | null;
  /** Prompt tokens. */
  input_tokens: number;
  /** Completion tokens. */
  output_tokens: number;
  /** Both. */
  total_tokens: number;
  /** LLM calls. */
  llm_calls: number;
  /** Cost of the priced calls. */
  total_cost_usd: number;
  /** Of it, what answers cost. The four are together less than the total where runs were recorded before they were told apart. */
  useful_cost_usd: number;
  /** Of it, what repairs cost. */
  repair_cost_usd: number;
  /** Of it, what judge calls cost. */
  judge_cost_usd: number;
  /** Of it, what cancelled calls cost, where that is known. */
  wasted_cost_usd: number;
  /** Loops whose requirements were met, and answers outside of loops. */
  accepted_outputs: number;
  /** Cost that is told apart by the accepted outputs; null without any. */
  cost_per_accepted_output_usd: number | null;
  /** Calls without a price. */
  unpriced_calls: number;
  /** Calls whose tokens are not known. */
  calls_without_usage: number;
  /** Mean of the terminal runs. */
  average_duration_ms: number | null;
  /** Ordered by key. */
  groups: SummaryGroup[];
};

/** What a sweep removed, or would remove. */
export type SweepReply = {
  /** As asked for: nothing was removed. */
  dry_run: boolean;
  /** Those that expired first come first. */
  runs: SweptRun[];
  /** Of all of them. */
  size_bytes: number;
  /** Runs that could not be swept; the server's log says why. */
  failed: number;
  /** There are more than one sweep removes; ask again. */
  more: boolean;
};

/** A sweep to do now. */
export type SweepRequest = {
  /** Only say what would be removed. */
  dry_run?: boolean;
};

/** A run whose log and artifacts expired. */
export type SweptRun = {
  /** The run. */
  run_id: string;
  /** Its program. */
  asset_name: string;
  /** Whose it is. */
  owner_id: string;
  /** When they expired. */
  expired_at: string;
  /** Of its folder and artifacts. Content that another run keeps too is counted, though it stays. */
  size_bytes: number;
};

/** A test mail was taken by the mail server. */
export type TestMailReply = {
  /** Where it goes. */
  address: string;
};

/** `POST /api/users/me/notification-preferences/test-mail`. */
export type TestMailRequest = {
  /** Where to; null: where mails go according to the preferences. */
  email_address?: string | null;
};

/** How many notices wait. */
export type UnreadCount = {
  /** All unread notices of the user. */
  unread: number;
};

/** Hear no more of a topic. Answered by `unsubscribed`, also when there was nothing to end. */
export type Unsubscribe = {
  type: 'unsubscribe';
  /** What to end. */
  topic: string;
};

/** The last message of a topic that the client ended. */
export type Unsubscribed = {
  type: 'unsubscribed';
  /** As asked for. */
  topic: string;
};

/** What the run's processes used by a moment. */
export type UsagePoint = {
  /** Unix seconds. */
  t: number;
  /** Memory of the process tree, in MiB. */
  memory_mb: number;
  /** CPU time of the process tree so far. */
  cpu_seconds: number;
  /** Cost of the priced calls so far; null when none has a price. */
  cost_usd: number | null;
};

/** Memory, CPU time and cost over a run's time. */
export type UsageSeries = {
  /** In order of time, at most 300. */
  points: UsagePoint[];
};

/** What one requirement said of one attempt. */
export type Verdict = {
  /** Index of the requirement; null when it is not one of the loop's. */
  requirement: number | null;
  /** The requirement in its own words. */
  text: string;
  /** Whether it is met. */
  passed: boolean;
  /** Where the requirement gives one. */
  score: number | null;
  /** Why; only where content is kept. */
  reason: string | null;
  /** Time the check took. */
  latency_ms: number | null;
  /** Judge calls it made. */
  calls: number[];
};

/** Query string of `get_runs`. */
export type GetRunsQuery = {
  /** Any of these. */
  status?: RunStatus[];
  /** Any of these. */
  owner_id?: string[];
  /** Any of these. */
  asset_id?: string[];
  /** Any of these default models. */
  model?: string[];
  /** All of these. */
  tags?: string[];
  /** Any of these groups. */
  group_id?: string[];
  /** Failed in any of these ways (`error_classification.fingerprint`). */
  fingerprint?: string[];
  /** Created at or after. */
  started_after?: string | null;
  /** Created before. */
  started_before?: string | null;
  /** `with_me`: only runs of others that are shared with you; `none`: only your own; else all that you may see. */
  shared?: 'with_me' | 'none' | null;
  /** Words in name, note, asset, model, error or tags. */
  search?: string | null;
  /** Column of `RunSort`, `-` for descending. */
  sort?: string;
  /** Runs on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `get_runs_summary`. */
export type GetRunsSummaryQuery = {
  /** Any of these. */
  status?: RunStatus[];
  /** Any of these. */
  owner_id?: string[];
  /** Any of these. */
  asset_id?: string[];
  /** Any of these default models. */
  model?: string[];
  /** All of these. */
  tags?: string[];
  /** Any of these groups. */
  group_id?: string[];
  /** Failed in any of these ways (`error_classification.fingerprint`). */
  fingerprint?: string[];
  /** Created at or after. */
  started_after?: string | null;
  /** Created before. */
  started_before?: string | null;
  /** `with_me`: only runs of others that are shared with you; `none`: only your own; else all that you may see. */
  shared?: 'with_me' | 'none' | null;
  /** Words in name, note, asset, model, error or tags. */
  search?: string | null;
  /** Totals of each group besides those of all. */
  group_by?: 'day' | 'owner' | 'asset' | 'model' | 'status' | null;
  /** Where a day begins: minutes east of UTC. */
  utc_offset_minutes?: number;
};

/** Query string of `get_runs_compare`. */
export type GetRunsCompareQuery = {
  /** The runs, in the order of their columns. */
  run_id?: string[];
  /** Or, without runs, all of this group. */
  group_id?: string | null;
};

/** Query string of `get_runs_run_id_logs`. */
export type GetRunsRunIdLogsQuery = {
  /** Lines after this cursor. */
  after?: string | null;
  /** Lines before this cursor. */
  before?: string | null;
  /** The last lines, this many. */
  tail?: number | null;
  /** Lines from this number on. */
  line?: number | null;
  /** Lines on a page. */
  limit?: number;
  /** Only lines of these streams. */
  stream?: LogStream[];
  /** Only lines of these levels. */
  level?: LogLevel[];
  /** Only lines with this text, in any case. */
  search?: string | null;
  /** The whole log as a file: what the program wrote, or all lines as JSON. Goes with no other parameter. */
  download?: 'text' | 'ndjson' | null;
};

/** Query string of `get_runs_run_id_logs_stream`. */
export type GetRunsRunIdLogsStreamQuery = {
  /** Lines after this cursor; `Last-Event-ID` wins. */
  after?: string | null;
};

/** Query string of `get_runs_run_id_artifacts_artifact_id_signed`. */
export type GetRunsRunIdArtifactsArtifactIdSignedQuery = {
  /** As the link has it. */
  link_key: string;
};

/** Query string of `delete_runs_run_id_share`. */
export type DeleteRunsRunIdShareQuery = {
  /** What `name` names. */
  kind: 'user' | 'group' | 'everyone';
  /** The user or group; empty for everyone. */
  name?: string;
};

/** Query string of `get_runs_run_id_audit`. */
export type GetRunsRunIdAuditQuery = {
  /** Entries on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `get_runs_run_id_calls`. */
export type GetRunsRunIdCallsQuery = {
  /** Calls after this number. */
  after?: number;
  /** Calls on a page. */
  limit?: number;
};

/** Query string of `get_runs_run_id_loops`. */
export type GetRunsRunIdLoopsQuery = {
  /** Calls after this number. */
  after?: number;
  /** Calls on a page. */
  limit?: number;
};

/** Query string of `get_assets`. */
export type GetAssetsQuery = {
  /** Assets on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `get_assets_asset_id_runs`. */
export type GetAssetsAssetIdRunsQuery = {
  /** Any of these. */
  status?: RunStatus[];
  /** Any of these. */
  owner_id?: string[];
  /** Any of these default models. */
  model?: string[];
  /** All of these. */
  tags?: string[];
  /** Any of these groups. */
  group_id?: string[];
  /** Failed in any of these ways (`error_classification.fingerprint`). */
  fingerprint?: string[];
  /** Created at or after. */
  started_after?: string | null;
  /** Created before. */
  started_before?: string | null;
  /** `with_me`: only runs of others that are shared with you; `none`: only your own; else all that you may see. */
  shared?: 'with_me' | 'none' | null;
  /** Words in name, note, asset, model, error or tags. */
  search?: string | null;
  /** Column of `RunSort`, `-` for descending. */
  sort?: string;
  /** Runs on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `delete_assets_asset_id_share`. */
export type DeleteAssetsAssetIdShareQuery = {
  /** What `name` names. */
  kind: 'user' | 'group' | 'everyone';
  /** The user or group; empty for everyone. */
  name?: string;
};

/** Query string of `get_assets_asset_id_forecast`. */
export type GetAssetsAssetIdForecastQuery = {
  /** Only runs with this default model. */
  model?: string | null;
};

/** Query string of `get_datasets`. */
export type GetDatasetsQuery = {
  /** Datasets on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `get_environments`. */
export type GetEnvironmentsQuery = {
  /** Check now and wait for the outcome, which may take seconds. */
  refresh?: boolean;
};

/** Query string of `get_environments_environment_id`. */
export type GetEnvironmentsEnvironmentIdQuery = {
  /** Check now and wait for the outcome, which may take seconds. */
  refresh?: boolean;
};

/** Query string of `get_users_me_runs`. */
export type GetUsersMeRunsQuery = {
  /** Any of these. */
  status?: RunStatus[];
  /** Any of these. */
  asset_id?: string[];
  /** Any of these default models. */
  model?: string[];
  /** All of these. */
  tags?: string[];
  /** Any of these groups. */
  group_id?: string[];
  /** Failed in any of these ways (`error_classification.fingerprint`). */
  fingerprint?: string[];
  /** Created at or after. */
  started_after?: string | null;
  /** Created before. */
  started_before?: string | null;
  /** Words in name, note, asset, model, error or tags. */
  search?: string | null;
  /** Column of `RunSort`, `-` for descending. */
  sort?: string;
  /** Runs on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `get_notifications`. */
export type GetNotificationsQuery = {
  /** Only unread ones. */
  unread?: boolean;
  /** Notices on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};

/** Query string of `get_audit`. */
export type GetAuditQuery = {
  /** Done by any of these. */
  user?: string[];
  /** Any of these. */
  action?: AuditAction[];
  /** About any of these runs. */
  run_id?: string[];
  /** About runs of any of these owners. */
  owner_id?: string[];
  /** At or after. */
  since?: string | null;
  /** Before. */
  until?: string | null;
  /** Entries on a page. */
  limit?: number;
  /** Opaque, from the page before. */
  cursor?: string | null;
};
