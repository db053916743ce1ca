"""`RunGroupHandle`: runs that were started together, in the hand of a script or notebook."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mellea_jupyter.client.handle import Polls, RunHandle
from mellea_jupyter.models.comparisons import RunComparison
from mellea_jupyter.models.pages import RunQuery
from mellea_jupyter.models.requests import MAX_GROUP
from mellea_jupyter.models.run import Run

if TYPE_CHECKING:
    from mellea_jupyter.client.connection import Connection
    from mellea_jupyter.client.sync import MelleaClient
    from mellea_jupyter.widgets.comparison import Comparison


class RunGroupHandle:
    """A group: its runs as last read, and what can be done with all of them.

    A notebook shows it as the comparison of its runs. Iterating gives a `RunHandle` a run: all
    variants once, then all again. All methods raise `ClientError`.
    """

    def __init__(self, client: MelleaClient, group_id: str, runs: Sequence[Run]) -> None:
        self._client = client
        self._id = group_id
        self._runs = tuple(runs)

    @property
    def id(self) -> str:
        """The group's id."""
        return self._id

    @property
    def client(self) -> MelleaClient:
        """The client it speaks through."""
        return self._client

    @property
    def connection(self) -> Connection:
        """The server it is on."""
        return self._client.connection

    @property
    def runs(self) -> tuple[RunHandle, ...]:
        """Its runs, as last read."""
        return tuple(RunHandle(self._client, run) for run in self._runs)

    @property
    def has_ended(self) -> bool:
        """Whether all runs had ended when they were last read."""
        return all(run.is_terminal for run in self._runs)

    def refresh(self) -> RunGroupHandle:
        """Read the runs again; gives the handle itself. Deleted ones are gone from it."""
        query = RunQuery(group_id=(self._id,), sort="created_at", limit=MAX_GROUP)
        self._runs = self._client.list_runs(query).runs
        return self

    def wait(self, timeout: float | None = None) -> RunGroupHandle:
        """Wait until all runs have ended, whatever their end; gives the handle itself.

        Args:
            timeout: seconds to wait at most.

        Raises:
            WaitTimeout: some are still active then.
        """
        polls = Polls(self._id, timeout)
        while not self.refresh().has_ended:
            time.sleep(polls.next_delay())
        return self

    def cancel(self) -> dict[str, str]:
        """Ask all runs that have not ended to stop: `{run_id: "cancelled" | "error: …"}`."""
        self.refresh()
        active = [run.id for run in self._runs if not run.is_terminal]
        return self._client.cancel_runs(active) if active else {}

    def compare(self) -> RunComparison:
        """The runs side by side, as they are now."""
        return self._client.compare_runs(group_id=self._id)

    def __iter__(self) -> Iterator[RunHandle]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        ended = sum(run.is_terminal for run in self._runs)
        return f"<RunGroupHandle {self._id} {ended} of {len(self._runs)} ended>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._view()._repr_mimebundle_(include, exclude)

    def _ipython_display_(self) -> None:
        self._view()._ipython_display_()

    def _view(self) -> Comparison:
        # Widgets are built on the client, not the other way round, so the package's root is asked.
        import mellea_jupyter

        return mellea_jupyter.compare(self)
