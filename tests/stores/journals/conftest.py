"""A journal to write and its store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mellea_jupyter.stores.journals.base import JournalReader, JournalStore
from mellea_jupyter.stores.journals.file import FileJournalStore
from tests.stores.journals.writing import JournalWriter

Open = Callable[..., JournalReader]


@pytest.fixture(params=["file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JournalStore:
    return FileJournalStore(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> JournalWriter:
    return JournalWriter(tmp_path)


@pytest.fixture
def open_reader(store: JournalStore) -> Iterator[Open]:
    """Opens readers of the journal and closes them in the end."""
    opened = []

    def open_reader(run_id: str = "run", *, complete: bool = False) -> JournalReader:
        reader = store.open(run_id, complete=complete)
        opened.append(reader)
        return reader

    yield open_reader
    for reader in opened:
        reader.close()
