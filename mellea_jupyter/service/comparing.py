"""`RunComparing`: runs side by side, for lab, terminal and Python alike."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import GroupNotFound, InvalidInput
from mellea_jupyter.models.calls import SourceFile
from mellea_jupyter.models.comparisons import (
    LEAST_COMPARED,
    MOST_COMPARED,
    RunComparison,
    SourceDiff,
)
from mellea_jupyter.models.pages import RunPage, RunQuery
from mellea_jupyter.models.requests import MAX_GROUP
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.calls import RunCalls
from mellea_jupyter.service.compared import (
    Facts,
    Tally,
    by_configuration,
    compare_columns,
    compare_rows,
    tally,
)
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.results import RunResults
from mellea_jupyter.service.source_diff import diff_sources
from mellea_jupyter.stores.runs.base import RunStore

_KEPT_FACTS: Final = 1000
_KEPT_DIFFS: Final = 50
_AT_ONCE: Final = 4

Key = TypeVar("Key")
Value = TypeVar("Value")


class RunComparing:
    """Compares runs; what can not change any more is kept between requests.

    A comparison is asked for once a second while its runs are running.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        results: RunResults,
        calls: RunCalls,
        offload: Offload,
        get_run: Callable[[str, User], Awaitable[Run]],
        list_runs: Callable[[RunQuery, User], Awaitable[RunPage]],
    ) -> None:
        self._store = store
        self._results = results
        self._calls = calls
        self._offload = offload
        self._get_run = get_run
        self._list_runs = list_runs
        self._facts: OrderedDict[tuple[str, int], Facts] = OrderedDict()
        self._diffs: OrderedDict[tuple[str, ...], tuple[list[SourceDiff], int]] = OrderedDict()

    async def compare(self, run_ids: Sequence[str], user: User) -> RunComparison:
        """Two to ten runs, a column each.

        Raises:
            InvalidInput: there are fewer or more.
            RunNotFound: one of them is not there for this user.
        """
        chosen = list(dict.fromkeys(run_ids))
        if not LEAST_COMPARED <= len(chosen) <= MOST_COMPARED:
            raise InvalidInput(
                "run_id",
                f"give {LEAST_COMPARED} to {MOST_COMPARED} different runs, not {len(chosen)}",
                hint="Or give the group_id of runs that were started together.",
            )
        runs = [await self._get_run(run_id, user) for run_id in chosen]
        return await self._compare([[run] for run in runs], user)

    async def compare_group(self, group_id: str, user: User) -> RunComparison:
        """A group: a column a run, or a configuration where there are more than ten runs.

        Raises:
            GroupNotFound: no such group for this user.
        """
        query = RunQuery(group_id=(group_id,), sort="created_at", limit=MAX_GROUP)
        runs = (await self._list_runs(query, user)).runs
        if not runs:
            raise GroupNotFound(group_id, hint="Its runs may have been deleted.")
        variants = by_configuration(runs)
        if len(runs) <= MOST_COMPARED:
            variants = [[run] for variant in variants for run in variant]
        columns = variants[:MOST_COMPARED]
        compared = await self._compare(columns, user)
        left_out = len(runs) - sum(map(len, columns))
        return compared.model_copy(update={"group_id": group_id, "left_out_runs": left_out})

    async def _compare(self, columns: Sequence[Sequence[Run]], user: User) -> RunComparison:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def read(run: Run) -> Facts:
            async with limit:
                return await self._read(run, user)

        flat = await asyncio.gather(*(read(run) for column in columns for run in column))
        of_run = {facts.run.id: facts for facts in flat}
        facts = [[of_run[run.id] for run in column] for column in columns]
        sources, left_out_files = await self._sources([column[0] for column in columns], user)

        def assemble() -> RunComparison:
            rows, left_out_rows = compare_rows(facts)
            return RunComparison(
                columns=tuple(compare_columns(facts)),
                rows=tuple(rows),
                sources=tuple(sources),
                left_out_rows=left_out_rows,
                left_out_files=left_out_files,
            )

        return await self._offload.scan(assemble)

    async def _read(self, run: Run, user: User) -> Facts:
        key = (run.id, run.version)
        if (known := self._facts.get(key)) is not None:
            self._facts.move_to_end(key)
            return known
        counted = Tally({}, 0, 0)
        if run.metrics.llm_calls:
            counted = tally(await self._calls.all_loops(run.id, user))
        facts = Facts(
            run=run,
            outputs=await self._results.outputs(run.id, user),
            requirements=counted.requirements,
            loops_met=counted.loops_met,
            loops_ended=counted.loops_ended,
        )
        if run.is_terminal:
            _keep(self._facts, key, facts, _KEPT_FACTS)
        return facts

    async def _sources(self, runs: Sequence[Run], user: User) -> tuple[list[SourceDiff], int]:
        """The differences to the first run's source, which was pinned and never changes."""
        hashes = []
        for run in runs:
            placement = await self._offload.io(self._store.get_placement, run.id)
            hashes.append(placement.content_hash)
        if len(set(hashes)) == 1:
            return [], 0
        key = tuple(hashes)
        if (known := self._diffs.get(key)) is None:
            files: dict[str, tuple[SourceFile, ...]] = {}
            for run, content_hash in zip(runs, hashes, strict=True):
                if content_hash not in files:
                    files[content_hash] = (await self._results.source(run.id, user)).files
            sources = [files[each] for each in hashes]
            known = await self._offload.scan(diff_sources, sources)
        _keep(self._diffs, key, known, _KEPT_DIFFS)
        return known


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Keep a value, and forget those that were not asked for longest."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
