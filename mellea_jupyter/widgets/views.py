"""The views: what can be shown of runs in the output of a cell.

A view says what is shown (`spec`) and what it looks like now (`snapshot`); it holds no connection
open and reads nothing before it is displayed. How it gets into an output: `display.py`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from mellea_jupyter.client import launch
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ClientError, InvalidConfig, invalid_config
from mellea_jupyter.client.handle import RunHandle
from mellea_jupyter.client.handle_async import AsyncRunHandle
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.models.calls import SamplingLoop
from mellea_jupyter.models.frames import LogFrame
from mellea_jupyter.models.pages import RunFilters, RunQuery
from mellea_jupyter.models.run import Run
from mellea_jupyter.widgets import snapshot
from mellea_jupyter.widgets.display import VIEW_MIME_TYPE, has_front_end, is_shown, show
from mellea_jupyter.widgets.snapshot import Snapshot

RunLike = RunHandle | AsyncRunHandle | str
"""A run: its handle, or its id."""

_READ_LOOPS: Final = 50  # inner ones among them, which are not shown
_RUN_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def id_of(run: RunLike) -> str:
    """The id of a run.

    Raises:
        ClientError: it is neither a handle nor an id.
    """
    if isinstance(run, RunHandle | AsyncRunHandle):
        return run.id
    if not isinstance(run, str):
        raise ClientError(
            f"A run has to be a RunHandle or an id, not {type(run).__name__}",
            hint="`run = _` after %mellea_run is one.",
        )
    if _RUN_ID.fullmatch(run) is None:
        raise ClientError(
            f"{run!r} is not the id of a run",
            hint="Pass a RunHandle, or the whole id as of `jupyter mellea ls`.",
        )
    return run


class View(ABC):
    """Something to show in an output. Display it, or leave it as the last value of a cell."""

    def __init__(self, client: MelleaClient | None = None) -> None:
        self._connection = None if client is None else client.connection

    @property
    def connection(self) -> Connection:
        """The server it shows.

        Raises:
            ServerNotFound: none was given and none is running.
        """
        if self._connection is None:
            self._connection = launch.default_client(start=False).connection
        return self._connection

    @property
    def run(self) -> Run | None:
        """The one run it shows, as last read; None for views of many runs."""
        return None

    @property
    def key(self) -> str | None:
        """The run or group that a magic starts and shows; None for other views."""
        return None if self.run is None else self.run.id

    @property
    def is_live(self) -> bool:
        """Whether the kernel has to follow it, because there is no widget that does."""
        return False

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """What is shown, for the front end; `labextension/src/views/spec.ts` reads it."""

    @abstractmethod
    def read(self, client: MelleaClient) -> Snapshot:
        """What it looks like now. Raises `ClientError`."""

    def seed(self) -> dict[str, Any]:
        """What was read, for a front end that has to draw before it can ask."""
        return {}

    def snapshot(self) -> Snapshot:
        """What it looks like now.

        Raises:
            ClientError: there is no server, or it refuses.
        """
        with MelleaClient(self.connection) as client:
            return self.read(client)

    def bundle(self) -> dict[str, Any]:
        """What it looks like now, by mime type. Raises as `snapshot`."""
        taken = self.snapshot()
        bundle: dict[str, Any] = {"text/plain": taken.text, "text/html": taken.html}
        if _is_on_this_machine(self.connection):
            bundle[VIEW_MIME_TYPE] = self.spec()
        return bundle

    def accept(self, run: Run) -> None:
        """Take a newer record of the run it shows."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Its static part; text in place of what can not be read."""
        try:
            return self.bundle()
        except ClientError as exc:
            taken = snapshot.of_message(str(exc))
            return {"text/plain": taken.text, "text/html": taken.html}

    def _ipython_display_(self) -> None:
        """Called by IPython, which takes `NotImplementedError` as "show the text instead"."""
        if not has_front_end():
            raise NotImplementedError
        if not is_shown(self):
            show(self)


def _is_on_this_machine(connection: Connection) -> bool:
    """Whether a front end may show the same from its own server.

    Servers of one user on one machine share their runs. What a far server knows, it does not.
    """
    return connection.found != "given" or connection.pid is not None


class _RunView(View):
    """A view of one run."""

    name: str

    def __init__(self, run: RunLike, client: MelleaClient | None = None) -> None:
        super().__init__(client)
        self._run: Run | None = None
        self._run_id = id_of(run)
        if isinstance(run, RunHandle | AsyncRunHandle):
            self._run = run.run
            self._connection = self._connection or run.connection

    @property
    def run(self) -> Run | None:
        return self._run

    def spec(self) -> dict[str, Any]:
        return {"view": self.name, "run_id": self._run_id}

    def seed(self) -> dict[str, Any]:
        return {} if self._run is None else {"run": self._run.to_json()}

    def accept(self, run: Run) -> None:
        self._run = run

    def _read_run(self, client: MelleaClient) -> Run:
        """The record; not read again once it is final."""
        if self._run is None or not self._run.is_terminal:
            self._run = client.get_run(self._run_id)
        return self._run

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._run_id[:8]}>"


class RunCard(_RunView):
    """The card of a run: status, numbers, last lines or result, what went wrong, controls.

    A `RunHandle` is displayed as this.
    """

    name = "run"

    def __init__(self, run: RunLike, client: MelleaClient | None = None) -> None:
        super().__init__(run, client)
        self._outputs: list[StructuredOutput] = []
        self._loops: tuple[SamplingLoop, ...] = ()

    def seed(self) -> dict[str, Any]:
        outputs = [output.model_dump(mode="json") for output in self._outputs]
        return {**super().seed(), "outputs": outputs}

    def read(self, client: MelleaClient) -> Snapshot:
        run = self._read_run(client)
        lines: tuple[LogFrame, ...] = ()
        try:
            if run.is_terminal:
                self._outputs = client.list_outputs(run.id)
            if not self._outputs:
                lines = client.read_log(run.id, tail=snapshot.SHOWN_LINES).frames
            if run.metrics.loop_iterations:
                found = client.list_loops(run.id, limit=_READ_LOOPS).loops
                self._loops = tuple(loop for loop in found if loop.parent is None)
        except ClientError:
            pass  # the record alone is a card, too
        return snapshot.of_run(
            run, self.connection, loops=self._loops, outputs=self._outputs, lines=lines
        )


class LogView(_RunView):
    """The log of a run, live, with search and filters.

    Args:
        run: a `RunHandle`, or the id of a run.
        client: the server, where `run` is an id; by default the one that is found.

    Raises:
        ClientError: `run` is neither.
    """

    name = "log"

    def read(self, client: MelleaClient) -> Snapshot:
        run = self._read_run(client)
        page = client.read_log(run.id, tail=snapshot.SHOWN_LOG_LINES)
        return snapshot.of_log(run, self.connection, page.frames)


class RunMetrics(_RunView):
    """The figures of a run, each with its meaning; they tick while it runs.

    The value of the same name, with the figures as attributes, is
    `mellea_jupyter.models.metrics.RunMetrics`: that of `run.metrics`.

    Args:
        run: a `RunHandle`, or the id of a run.
        client: the server, where `run` is an id; by default the one that is found.

    Raises:
        ClientError: `run` is neither.
    """

    name = "metrics"

    def read(self, client: MelleaClient) -> Snapshot:
        return snapshot.of_metrics(self._read_run(client), self.connection)


class RunsTable(View):
    """Runs as a table, newest first.

    Args:
        filters: fields of `RunFilters`: `status, owner_id, asset_id, model, tags, started_after,
            started_before, search`. One value may stand for a list of one.
        client: the server; by default the one that is found.
        fields: the same as `filters`, as keywords.

    Raises:
        InvalidConfig: there is no such field, or it can not have this value.
    """

    name = "table"

    def __init__(
        self,
        filters: Mapping[str, Any] | RunFilters | None = None,
        *,
        client: MelleaClient | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(client)
        self.filters = parse_filters(filters, fields)

    def spec(self) -> dict[str, Any]:
        chosen = self.filters.model_dump(mode="json", exclude_defaults=True)
        return {"view": self.name, "filters": chosen}

    def read(self, client: MelleaClient) -> Snapshot:
        return snapshot.of_runs(client.list_runs(self._query()), None)

    def _query(self) -> RunQuery:
        return RunQuery(**dict(self.filters), limit=snapshot.SHOWN_RUNS)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.filters.model_dump(exclude_defaults=True)}>"


class RunsDashboard(RunsTable):
    """Runs with filters and totals, as in JupyterLab's dashboard. Arguments as of `RunsTable`."""

    name = "runs"

    def read(self, client: MelleaClient) -> Snapshot:
        totals = client.summarize_runs(self.filters)
        return snapshot.of_runs(client.list_runs(self._query()), totals)


_LISTS: Final = frozenset({"status", "owner_id", "asset_id", "model", "tags"})


def parse_filters(
    filters: Mapping[str, Any] | RunFilters | None, fields: Mapping[str, Any]
) -> RunFilters:
    """Filters as people write them.

    Raises:
        InvalidConfig: there is no such field, or it can not have this value.
    """
    values = {**dict(filters or {}), **fields}
    if unknown := sorted(set(values) - set(RunFilters.model_fields)):
        known = ", ".join(RunFilters.model_fields)
        raise InvalidConfig(
            f"there is no filter {unknown[0]!r}", hint=f"There are: {known}.", field=unknown[0]
        )
    for name in _LISTS & set(values):
        if isinstance(values[name], str):
            values[name] = (values[name],)
    try:
        return RunFilters.model_validate(values)
    except ValidationError as exc:
        raise invalid_config(exc) from exc
