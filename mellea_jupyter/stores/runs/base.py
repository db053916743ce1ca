"""The contract of the store of runs, assets and what belongs to them.

Synchronous: the service calls it on worker threads (`service/offload.py`). Every method is one
transaction. Where a method takes `expected_version`, the write happens only if the stored run has
that version (compare-and-set), otherwise `VersionConflict` is raised and nothing is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from pydantic import Field

from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.models.assets import Asset, PinnedFile
from mellea_jupyter.models.audit import AuditEntry, AuditPage, AuditQuery
from mellea_jupyter.models.base import Model
from mellea_jupyter.models.datasets import Dataset, DatasetFile, DatasetPage, DatasetVersion
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.failures import FailureSeen
from mellea_jupyter.models.pages import AssetPage, RunFilters, RunPage, RunQuery, SummaryReply
from mellea_jupyter.models.prices import RepricedRun
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.sharing import AssetShare, Principal, Share, ShareRole
from mellea_jupyter.stores.notices.base import Tell


class Placement(Model):
    """What the service knows of a run besides the `Run` that people see."""

    run_id: str
    lease: str | None = Field(None, description="Id of the service that holds the run.")
    handle: dict[str, Any] | None = Field(None, description="The executor's `RunHandle`.")
    folded_seq: int = Field(0, description="Last journal frame that is in the metrics.")
    environment_id: str = Field("default", description="The resolved environment.")
    executor: str = Field("process", description="The environment's executor.")
    content_hash: str = Field("", description="The pinned source.")
    entry_point: str = Field("", description="What is started in it.")
    program_dir: str | None = Field(None, description="The program's own folder.")
    kind: str = Field("file", description="The asset's kind.")
    server: str = Field(
        "", description="Name of the servers that may execute the run; empty: any server."
    )


class NewRun(Model):
    """A run to record, with what it needs besides."""

    run: Run
    placement: Placement
    idempotency_key: str | None = None
    request_hash: str | None = None
    shares_of: str | None = Field(None, description="A run whose shares it takes over.")


class Created(Model):
    """The recorded run; `replayed` when the idempotency key had been used with the same body."""

    run: Run
    replayed: bool = False


class CreatedRuns(Model):
    """The recorded runs in their order; `replayed` as in `Created`."""

    runs: tuple[Run, ...]
    replayed: bool = False


class CallRow(Model):
    """One LLM call of a run, as the journal reported it."""

    call: int
    seq: int = Field(description="Frame of its end, or of its start while it is active.")
    started_at: float = Field(description="Unix seconds.")
    purpose: str
    provider: str | None = None
    model: str | None = None
    status: str = Field(description="active, finished, failed or cancelled")
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    cost_pico_usd: int | None = None
    loop: int | None = None
    attempt: int | None = None
    error: str | None = None
    response_model: str | None = None
    action: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    ttft_ms: float | None = None
    streaming: bool | None = None
    finish_reason: str | None = None
    requests: int | None = None
    price_source: str | None = None
    price_version: str | None = None
    price_dated: str | None = None
    chain: int | None = None
    requirement: int | None = None
    line: int | None = None
    has_content: bool | None = Field(None, description="Null in rows of earlier versions.")


class LoopRow(Model):
    """One sampling loop of a run, as the journal reported it."""

    loop: int
    seq: int = Field(description="Last frame that changed it.")
    doc: str = Field(description="The `SamplingLoop` as JSON.")


class Reports(Model):
    """What a run reported since it was last saved; each as it is now."""

    calls: tuple[CallRow, ...] = ()
    loops: tuple[LoopRow, ...] = ()
    usage: str | None = Field(None, description="The whole `UsageSeries` as JSON, if it changed.")

    def __bool__(self) -> bool:
        return bool(self.calls or self.loops or self.usage)


class CallPrice(NamedTuple):
    """What a call costs, and the list that says so."""

    picodollars: int
    source: str
    version: str
    dated: str | None


@dataclass(slots=True)
class RepriceBatch:
    """What pricing some runs anew gave. `next` is what to go on after; None: there is no more."""

    next: str | None
    runs_seen: int = 0
    calls_seen: int = 0
    changed: list[RepricedRun] = field(default_factory=list)
    saved: list[Run] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What one run took. `duration_ms` without the time in the queue."""

    duration_ms: int
    cost_usd: Decimal | None
    llm_calls: int
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose view of the runs a listing is.

    Attributes:
        owner_id: whose own runs are among them.
        principals: what shares with them name (`Principal.key`).
        sees_all: they are an administrator: all runs are among them.
    """

    owner_id: str
    principals: tuple[str, ...] = ()
    sees_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user as the server knew them when it last saw them."""

    owner_id: str
    user_id: str
    name: str = ""
    is_admin: bool = False
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAudit:
    """An entry of the audit trail that is to be written."""

    at: datetime
    user: str
    action: str
    run_id: str | None = None
    owner_id: str | None = None
    admin_override: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


class RunStore(ABC):
    """Runs and what they are made of. See the module's docstring for the rules."""

    def create_run(self, new: NewRun, *, audit: Sequence[NewAudit] = ()) -> Created:
        """`create_runs` of one."""
        created = self.create_runs([new], audit=audit)
        return Created(run=created.runs[0], replayed=created.replayed)

    @abstractmethod
    def create_runs(self, new: Sequence[NewRun], *, audit: Sequence[NewAudit] = ()) -> CreatedRuns:
        """Record runs in one transaction, retry links and idempotency key included: all, or none.

        Several have one `group_id`, and the key is that of the first. `audit` is written with
        them, and not at all when they are replayed.

        Raises:
            IdempotencyConflict: the owner used the key with another body.
        """

    @abstractmethod
    def find_idempotent(self, owner_id: str, key: str) -> tuple[str, str] | None:
        """`(run_id, request_hash)` of an earlier create with this key."""

    @abstractmethod
    def get_run(self, run_id: str) -> Run:
        """Raises RunNotFound."""

    @abstractmethod
    def get_placement(self, run_id: str) -> Placement:
        """Raises RunNotFound."""

    @abstractmethod
    def save_run(
        self, run: Run, *, expected_version: int, folded_seq: int | None = None,
        tell: Sequence[Tell] = (), audit: Sequence[NewAudit] = (),
    ) -> None:  # fmt: skip
        """Replace the run's record if its stored version is `expected_version`.

        `folded_seq`, when given, is stored in the same transaction; it never goes back. `tell` are
        the notices of a run that ends, one a reader, recorded with it or not at all, as `audit` is.

        Raises:
            VersionConflict, RunNotFound
        """

    @abstractmethod
    def save_handle(self, run_id: str, handle: Mapping[str, Any]) -> None:
        """Store the executor's handle of a placed run."""

    @abstractmethod
    def claim(
        self, *, lease: str, server: str, limit: int, owner_limit: int,
        change: Callable[[Run, str], Run],
    ) -> Run | None:  # fmt: skip
        """Take the next queued run whose turn it is, or None.

        In one transaction: counts the placed runs that are this server's to execute, whichever
        service holds them (`limit` in all, `owner_limit` an owner), picks the oldest queued run of
        this server that both allow, stores `change(run, executor)` with the name of its executor,
        and the lease.
        """

    @abstractmethod
    def take_lease(self, run_id: str, *, lease: str, from_lease: str | None) -> bool:
        """Take over a placed run if its lease still is `from_lease`."""

    @abstractmethod
    def release_lease(self, run_id: str, *, lease: str) -> None:
        """Give the lease up, if held."""

    @abstractmethod
    def list_placed(self, server: str) -> list[tuple[Run, Placement]]:
        """The server's `pulling_image`, `starting` and `running` runs, oldest first."""

    @abstractmethod
    def has_queued(self, server: str) -> bool:
        """Whether the server has a `queued` run. Cheap: every service asks about once a second."""

    @abstractmethod
    def list_created(self, server: str) -> list[Run]:
        """The server's `created` runs, oldest first: normally none, as runs begin as queued."""

    @abstractmethod
    def list_expired(self, now: datetime, *, limit: int) -> list[Run]:
        """Runs whose `expires_at` has come, those that expired first come first."""

    @abstractmethod
    def list_waiting(self, server: str) -> list[Run]:
        """The server's `created` and `queued` runs in the order they will be claimed in."""

    @abstractmethod
    def list_runs(self, query: RunQuery, *, visible_to: Viewer | None) -> RunPage:
        """A page. `visible_to` limits it to what they may see; None is for the service itself.

        Keyset pages: sorted by the asked column, then id; nulls last in both directions.

        Raises:
            InvalidCursor: not a cursor of this order.
        """

    @abstractmethod
    def summarize(
        self, filters: RunFilters, *, visible_to: Viewer | None,
        group_by: Literal["day", "owner", "asset", "model", "status"] | None = None,
        utc_offset_minutes: int = 0,
    ) -> SummaryReply:  # fmt: skip
        """Totals of the filter; from the rollup where the filter allows it."""

    @abstractmethod
    def reprice(
        self, price: Callable[[CallRow], CallPrice | None], *, after: str, limit: int,
        since: datetime | None, model: str | None, visible_to: str | None, dry_run: bool,
    ) -> RepriceBatch:  # fmt: skip
        """Price the calls of ended runs anew, with their runs and the totals, in one transaction.

        The next `limit` runs whose id is above `after`, in the order of ids. `model` limits it to
        calls of this model (`provider/name` or the name alone), `since` to runs created then or
        later. With `dry_run` nothing is written.
        """

    @abstractmethod
    def list_figures(
        self, asset_id: str, *, model: str | None, visible_to: str | None, limit: int
    ) -> list[RunFigures]:
        """What the latest runs of an asset that succeeded took, newest first."""

    @abstractmethod
    def find_seen(
        self, fingerprint: str, *, owner_id: str, visible_to: Viewer | None
    ) -> FailureSeen | None:
        """How often an owner's runs have failed so, and when; None: no run that may be seen has.

        Cheap: asked where one failed run is read, and when one fails.
        """

    @abstractmethod
    def delete_run(
        self, run_id: str, *, expected_version: int, audit: Sequence[NewAudit] = ()
    ) -> None:
        """Remove the record and what belongs to it, except for the audit trail."""

    @abstractmethod
    def save_reports(self, run_id: str, reports: Reports) -> None:
        """Insert or replace calls and loops by their numbers, and the use of resources.

        Raises:
            RunNotFound
        """

    @abstractmethod
    def list_calls(self, run_id: str, *, after: int, limit: int) -> list[CallRow]:
        """Calls with `call > after`, in order."""

    @abstractmethod
    def get_call(self, run_id: str, call: int) -> CallRow:
        """Raises CallNotFound."""

    @abstractmethod
    def list_loops(self, run_id: str, *, after: int, limit: int, limit_bytes: int) -> list[LoopRow]:
        """Loops with `loop > after`, in order.

        The last one is where their documents reach `limit_bytes`; there is always one if any is.
        """

    @abstractmethod
    def list_changed(self, run_id: str, *, after: int, limit_bytes: int) -> Reports:
        """Calls and loops whose last change is a frame after `after`, the next frames' only.

        About `limit_bytes` as JSON: all that the last of these frames changed are among them, so
        that the highest `seq` is where to go on. In no order, and without the use of resources.
        """

    @abstractmethod
    def last_change(self, run_id: str) -> int:
        """The highest `seq` of the run's calls and loops; 0 when it has none."""

    @abstractmethod
    def find_usage(self, run_id: str) -> str | None:
        """The run's `UsageSeries` as JSON."""

    @abstractmethod
    def save_output(self, run_id: str, output: StructuredOutput) -> None:
        """Store a structured output of a run."""

    @abstractmethod
    def list_outputs(self, run_id: str) -> list[StructuredOutput]:
        """A run's structured outputs, in the order they were declared."""

    @abstractmethod
    def upsert_asset(
        self, asset: Asset, origin: str, files: Sequence[PinnedFile],
        *, keep: Collection[str] = (),
    ) -> Asset:  # fmt: skip
        """Record an asset by its origin key; what is recorded.

        `origin` identifies the same program: owner, kind, path, entry point. A known one keeps its
        id and `created_at`, and the fields named in `keep`.
        """

    @abstractmethod
    def get_asset(self, asset_id: str) -> Asset:
        """Raises AssetNotFound."""

    @abstractmethod
    def find_asset(self, origin_prefix: str) -> Asset | None:
        """An asset whose origin key begins so, the one registered last; None without any."""

    @abstractmethod
    def list_assets(
        self, *, visible_to: Viewer | None, limit: int, cursor: str | None
    ) -> AssetPage:
        """Assets that they own or may execute, most recently registered first."""

    @abstractmethod
    def pinned_files(self, content_hash: str) -> list[PinnedFile]:
        """Files of a pinned source, ordered by path."""

    @abstractmethod
    def add_environment(self, environment: Environment) -> Environment:
        """Record it; where its owner has one of this name, give that one and record nothing."""

    @abstractmethod
    def get_environment(self, environment_id: str) -> Environment:
        """As it was recorded; whether it works is not stored. Raises EnvironmentNotFound."""

    @abstractmethod
    def list_environments(self, *, visible_to: str | None) -> list[Environment]:
        """All that this owner has and those shared with everybody, or all for None; by name."""

    @abstractmethod
    def save_environment(self, environment: Environment) -> None:
        """Replace it.

        Raises:
            EnvironmentNotFound
            NameTaken: its owner has another one of this name.
        """

    @abstractmethod
    def delete_environment(self, environment_id: str) -> None:
        """Remove it; runs that named it keep their records. Raises EnvironmentNotFound."""

    @abstractmethod
    def upsert_dataset(
        self, dataset: Dataset, origin: str, files: Sequence[DatasetFile],
        *, keep: Collection[str] = (),
    ) -> Dataset:  # fmt: skip
        """Record a dataset and its `latest` version by its origin key; what is recorded.

        A known origin keeps its id and `created_at`, and the fields named in `keep`. A version
        that it had before counts as registered now.
        """

    @abstractmethod
    def get_dataset(self, dataset_id: str) -> Dataset:
        """Raises DatasetNotFound."""

    @abstractmethod
    def list_datasets(
        self, *, visible_to: str | None, limit: int, cursor: str | None
    ) -> DatasetPage:
        """Datasets, most recently registered first. Raises InvalidCursor."""

    @abstractmethod
    def list_dataset_versions(self, dataset_id: str) -> list[DatasetVersion]:
        """All versions, most recently registered first; empty for a dataset that is not there."""

    @abstractmethod
    def dataset_files(self, version: str) -> list[DatasetFile]:
        """Files of a version, ordered by path."""

    @abstractmethod
    def is_dataset_checksum_known(self, checksum: str) -> bool:
        """Whether a file of any dataset has this checksum."""

    @abstractmethod
    def delete_dataset(self, dataset_id: str) -> None:
        """Remove it with its versions, and files that no other has. Raises DatasetNotFound."""

    @abstractmethod
    def changes(self) -> int:
        """A number that differs when somebody has written (SQLite `PRAGMA data_version`)."""

    @abstractmethod
    def newest_versions(self, limit: int) -> dict[str, int]:
        """The version of each of the runs created last, by id; cheap, since no run is read."""

    # Sharing

    @abstractmethod
    def save_share(
        self, run_id: str, share: Share, *,
        audit: Sequence[NewAudit] = (), tell: Sequence[Tell] = (),
    ) -> None:  # fmt: skip
        """Share a run, or replace the role of a share, with notices of it.

        Raises:
            RunNotFound
            QuotaExceeded: it is shared with `MAX_SHARES` others.
        """

    @abstractmethod
    def delete_share(
        self, run_id: str, principal: Principal, *, audit: Sequence[NewAudit] = ()
    ) -> bool:
        """Revoke a share; False, and nothing is written, where there was none."""

    @abstractmethod
    def list_shares(self, run_id: str) -> list[Share]:
        """A run's shares: everyone, then groups, then users, by name."""

    @abstractmethod
    def find_roles(self, run_ids: Sequence[str], principals: Sequence[str]) -> dict[str, ShareRole]:
        """The strongest role that shares with these principals give, for the runs that have one."""

    @abstractmethod
    def list_readers(self, run_id: str) -> list[str]:
        """Owner ids of those whom a run is shared with by name, or by a group they were seen in.

        Without its owner, and without those who only are part of everyone; in order.
        """

    @abstractmethod
    def save_asset_share(
        self, asset_id: str, share: AssetShare, *, audit: Sequence[NewAudit] = ()
    ) -> None:
        """Let somebody execute an asset. Raises AssetNotFound, QuotaExceeded as `save_share`."""

    @abstractmethod
    def delete_asset_share(
        self, asset_id: str, principal: Principal, *, audit: Sequence[NewAudit] = ()
    ) -> bool:
        """Revoke it; False, and nothing is written, where there was none."""

    @abstractmethod
    def list_asset_shares(self, asset_id: str) -> list[AssetShare]:
        """Who may execute an asset: everyone, then groups, then users, by name."""

    @abstractmethod
    def is_asset_shared(self, asset_id: str, principals: Sequence[str]) -> bool:
        """Whether any of these principals may execute it."""

    @abstractmethod
    def save_identity(self, identity: Identity) -> None:
        """Remember a user as they are now."""

    @abstractmethod
    def find_identity(self, owner_id: str) -> Identity | None:
        """A user as they were seen last; None if never."""

    @abstractmethod
    def list_members(self, group: str) -> list[str]:
        """Owner ids of those who were in the group when they were last seen, in order."""

    # Audit

    @abstractmethod
    def audit(self, entry: NewAudit) -> None:
        """Record who did what."""

    @abstractmethod
    def list_audit(self, query: AuditQuery) -> AuditPage:
        """A page of the trail, the latest first. Raises InvalidCursor."""

    @abstractmethod
    def last_audit(self) -> int:
        """The id of the latest entry; 0 without one."""

    @abstractmethod
    def list_sharing_after(self, entry_id: int) -> list[AuditEntry]:
        """All shares and their ends (`share`, `unshare`) after this entry, in order."""

    @abstractmethod
    def close(self) -> None:
        """Close connections. Idempotent."""
