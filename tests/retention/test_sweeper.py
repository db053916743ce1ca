"""The sweep over a real store, real journals and real artifacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.models.retention import SweepReply
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.retention import sweeper as module
from mellea_jupyter.retention.policy import RetentionPolicy
from mellea_jupyter.retention.sweeper import Sweeper
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.kept_bytes import KeptBytes
from mellea_jupyter.service.notices import NoticeService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.artifacts.object_store import ObjectArtifactStore
from mellea_jupyter.stores.journals.file import FileJournalStore
from mellea_jupyter.stores.notices.sql import SqlNoticeStore
from mellea_jupyter.stores.runs.sql import SqlRunStore
from tests.stores.runs.conftest import NOON, make_run, new

LATER = NOON + timedelta(days=15)


class Place:
    """A data folder with its stores, and a sweeper over them whose time is `now`."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.now = LATER
        self.store = SqlRunStore.open(data_dir / "runs.sqlite")
        self.folders = RunFolders(data_dir / "runs")
        self.artifacts = ObjectArtifactStore(data_dir / "artifacts")
        self.offload = Offload()
        self.kept = KeptBytes(
            data_dir=data_dir,
            folders=self.folders,
            journals=FileJournalStore(data_dir / "runs"),
            artifacts=self.artifacts,
        )
        self.remove: Callable[[str], None] = self.kept.remove
        self.records = RunRecords(
            store=self.store,
            broker=Broker(),
            offload=self.offload,
            retention=RetentionPolicy(14),
            notices=NoticeService(
                store=SqlNoticeStore(self.store.transactions), offload=self.offload, lease="none"
            ),
        )

    def sweep(self, *, dry_run: bool = False) -> SweepReply:
        sweeper = Sweeper(
            store=self.store,
            records=self.records,
            offload=self.offload,
            size_of=self.kept.size_of,
            remove=self.remove,
            now=self._time,
        )
        return asyncio.run(sweeper.sweep(dry_run=dry_run))

    def _time(self) -> datetime:
        return self.now

    def add(self, content: str = "kept", **fields: Any) -> Run:
        """An ended run with a log, an artifact, a secret and its source."""
        fields = {"status": RunStatus.SUCCEEDED, "finished_at": NOON, **fields}
        run = RetentionPolicy(14).stamped(make_run(**fields), NOON)
        folder = self.folders.create(run.id, {"API_KEY": "s"})
        (folder / "outputs" / "a.txt").write_text(content)
        (folder / "journal" / "output.000").write_text("log\n" * 2000)
        (folder / "source" / "trip.py").write_text("print(1)")
        kept = self.artifacts.collect(run.id, folder / "outputs", quota_bytes=10_000)
        return self.store.create_run(new(run.changed(artifacts=kept.artifacts))).run

    def text_of(self, run: Run) -> str:
        (artifact,) = run.artifacts
        return b"".join(self.artifacts.iter_bytes(artifact)).decode()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    opened = Place(tmp_path)
    yield opened
    opened.offload.close()
    opened.store.close()


def test_what_expired_goes_and_the_record_stays(place: Place) -> None:
    run = place.add()
    reply = place.sweep()
    assert [one.run_id for one in reply.runs] == [run.id]
    assert reply.size_bytes > 8000
    swept = place.store.get_run(run.id)
    assert (swept.artifacts, swept.artifacts_purged, swept.expires_at) == ((), True, None)
    assert swept.artifacts_purged_at == LATER
    assert swept.metrics == run.metrics
    folder = place.folders.path(run.id)
    assert sorted(path.name for path in folder.iterdir()) == ["secrets", "source"]
    with pytest.raises(LookupError):
        place.text_of(run)
    assert place.sweep().runs == ()


def test_what_has_not_expired_is_left_alone(place: Place) -> None:
    fresh = place.add(finished_at=LATER)
    fresh = place.store.get_run(fresh.id)
    pinned = place.add(pinned=True)
    running = place.add(status=RunStatus.RUNNING, finished_at=None)
    place.now = NOON + timedelta(days=13)
    assert place.sweep().runs == ()
    for run in (fresh, pinned, running):
        assert place.text_of(run) == "kept"


def test_a_dry_run_only_says_what_would_go(place: Place) -> None:
    run = place.add()
    reply = place.sweep(dry_run=True)
    assert [one.run_id for one in reply.runs] == [run.id]
    assert place.store.get_run(run.id) == run
    assert place.text_of(run) == "kept"


def test_content_that_another_run_keeps_stays(place: Place) -> None:
    expired, pinned = place.add("same"), place.add("same", pinned=True)
    place.sweep()
    assert place.store.get_run(expired.id).artifacts_purged
    assert place.text_of(pinned) == "same"


def test_a_sweep_that_dies_half_way_is_finished_by_the_next(place: Place) -> None:
    run, other = place.add("one"), place.add("two")
    place.remove = _raise(OSError("the disk is gone"))
    reply = place.sweep()
    assert (reply.runs, reply.failed) == ((), 2)
    half = place.store.get_run(run.id)
    assert (half.artifacts, half.artifacts_purged) == ((), True), "nobody is offered the bytes"
    place.remove = place.kept.remove
    assert {one.run_id for one in place.sweep().runs} == {run.id, other.id}
    assert not (place.folders.path(run.id) / "journal").exists()


def test_a_pin_in_the_last_moment_is_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.add()
    size_of = place.kept.size_of

    def pinned_meanwhile(found: Run) -> int:
        stored = place.store.get_run(run.id)
        place.store.save_run(
            RetentionPolicy(14).stamped(stored.changed(pinned=True), LATER),
            expected_version=stored.version,
        )
        return size_of(found)

    monkeypatch.setattr(place.kept, "size_of", pinned_meanwhile)
    assert place.sweep().runs == ()
    assert place.text_of(run) == "kept"


def test_a_run_that_is_deleted_meanwhile_is_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = place.add("one"), place.add("two")
    size_of = place.kept.size_of

    def deleted_meanwhile(found: Run) -> int:
        if found.id == run.id:
            place.store.delete_run(run.id, expected_version=run.version)
        return size_of(found)

    monkeypatch.setattr(place.kept, "size_of", deleted_meanwhile)
    assert [one.run_id for one in place.sweep().runs] == [other.id]


def test_a_batch_says_that_there_are_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for _ in range(3):
        place.add()
    first = place.sweep()
    assert (len(first.runs), first.more) == (2, True)
    assert (len(place.sweep().runs), place.sweep().more) == (1, False)


def test_the_loop_goes_on_after_an_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.add()
    answers: list[Any] = [StoreError("busy"), place.store.list_expired, place.store.list_expired]
    pauses: list[float] = []

    def list_expired(now: datetime, *, limit: int) -> list[Run]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(now, limit=limit)  # type: ignore[no-any-return]

    monkeypatch.setattr(place.store, "list_expired", list_expired)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    sweeper = Sweeper(
        store=place.store, records=place.records, offload=place.offload,
        size_of=place.kept.size_of, remove=place.kept.remove, now=lambda: LATER,
    )  # fmt: skip
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(sweeper.run(sleep))
    assert pauses == [3600.0, 3600.0]
    assert place.store.get_run(run.id).artifacts_purged


def test_a_link_in_place_of_a_folder_is_neither_counted_nor_followed(
    place: Place, tmp_path: Path
) -> None:
    run = place.add()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 500_000)
    outputs = place.folders.path(run.id) / "outputs"
    (outputs / "a.txt").unlink()
    outputs.rmdir()
    outputs.symlink_to(outside)
    assert place.sweep().size_bytes < 100_000
    assert (outside / "large").exists()


def _raise(error: Exception) -> Callable[[str], None]:
    def remove(run_id: str) -> None:
        raise error

    return remove
