"""`compare`: runs side by side in the output of a cell, live while they run; and as a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.group import RunGroupHandle
from mellea_jupyter.client.handle import RunHandle
from mellea_jupyter.client.handle_async import AsyncRunHandle
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.models.comparisons import (
    LEAST_COMPARED,
    MOST_COMPARED,
    ComparedValue,
    RunComparison,
)
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.widgets import snapshot
from mellea_jupyter.widgets.snapshot import Snapshot
from mellea_jupyter.widgets.views import RunLike, View, id_of

Compared = Sequence[RunLike] | RunGroupHandle | str

_GROUP_ID: Final = re.compile(r"grp_[0-9a-f]{32}")
_ENDED: Final = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class Comparison(View):
    """Runs side by side. `compare` makes one."""

    def __init__(self, runs: Compared, client: MelleaClient | None = None) -> None:
        super().__init__(client)
        self._group_id: str | None = None
        self._run_ids: tuple[str, ...] = ()
        self._latest: RunComparison | None = None
        if isinstance(runs, RunGroupHandle):
            self._group_id = runs.id
            self._connection = self._connection or runs.connection
        elif isinstance(runs, str):
            if _GROUP_ID.fullmatch(runs) is None:
                raise ClientError(
                    f"{runs!r} is not the id of a group",
                    hint="Pass a list of runs, or the group_id of one that was started in a group.",
                )
            self._group_id = runs
        else:
            self._run_ids = tuple(dict.fromkeys(id_of(run) for run in runs))
            if not LEAST_COMPARED <= len(self._run_ids) <= MOST_COMPARED:
                raise ClientError(
                    f"{LEAST_COMPARED} to {MOST_COMPARED} different runs are compared, "
                    f"not {len(self._run_ids)}",
                    hint="Pass fewer or more, or the group they were started in.",
                )
            for run in runs:
                if isinstance(run, RunHandle | AsyncRunHandle):
                    self._connection = self._connection or run.connection

    @property
    def key(self) -> str | None:
        return self._group_id

    @property
    def is_live(self) -> bool:
        """Whether a run was active when it was last read."""
        return self._latest is not None and any(
            run.status not in _ENDED for column in self._latest.columns for run in column.runs
        )

    @property
    def value(self) -> RunComparison:
        """The comparison as it is now. Raises `ClientError`."""
        with MelleaClient(self.connection) as client:
            return self._load(client)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready objects, spelled as in the REST API. Raises `ClientError`."""
        return self.value.to_json()

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`: a row a row, indexed by section and name, a column a column.

        A mean stands for several runs, a share for `4 of 5`.

        Raises:
            ImportError: pandas is not installed.
            ClientError: there is no server, or it refuses.
        """
        import pandas as pd

        now = self.value
        index = pd.MultiIndex.from_tuples(
            [(row.section, row.name) for row in now.rows], names=["section", "name"]
        )
        cells = [[_number_or_text(value) for value in row.values] for row in now.rows]  # noqa: PD011 - not a frame's
        labels = [column.label or column.runs[0].id for column in now.columns]
        return pd.DataFrame(cells, index=index, columns=labels)

    def spec(self) -> dict[str, Any]:
        if self._group_id is not None:
            return {"view": "compare", "group_id": self._group_id}
        return {"view": "compare", "run_ids": list(self._run_ids)}

    def read(self, client: MelleaClient) -> Snapshot:
        return snapshot.of_comparison(self._load(client), self.connection)

    def _load(self, client: MelleaClient) -> RunComparison:
        self._latest = client.compare_runs(self._run_ids, group_id=self._group_id)
        return self._latest

    def __repr__(self) -> str:
        what = self._group_id or ", ".join(run_id[:8] for run_id in self._run_ids)
        return f"<Comparison of {what}>"


def _number_or_text(value: ComparedValue) -> Any:
    """A share as a number from 0 to 1, anything else as it is."""
    if value.of and isinstance(value.value, int | float):
        return value.value / value.of
    return value.value


def compare(runs: Compared, *, client: MelleaClient | None = None) -> Comparison:
    """Put runs side by side: what was asked, what came of it, and how their sources differ.

    In a notebook a table that is live while the runs run; `.value`, `.to_dict()` and
    `.to_pandas()` to compute with.

    Args:
        runs: two to ten handles or ids of runs, a `RunGroupHandle`, or the id of a group.
        client: the server; by default that of the handles, or the one that is found.

    Raises:
        ClientError: these are no runs, or too few or too many.
    """
    return Comparison(runs, client)
