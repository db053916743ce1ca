"""Times the keeping of artifacts and their archive, against the bare minimum of each.

    python -m benchmarks.artifacts [--rounds 7] [--megabytes 200] [--files 5000]

- A run's files are stored: hashed, copied and listed. Against hashing them and nothing else; the
  ratio is at most 2.5.
- All of them are sent as one zip archive, made on the way. Against `zipfile` writing the same
  files, stored and not compressed, into a sink that forgets; at least 0.8 of its speed.
- What the archive takes of memory, at most 16 MB, as the peak of a process that does nothing else.

Both sides of a ratio run in turn in the same process, over the same files, which are in the page
cache.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measure import interleave, load, milliseconds, row
from mellea_jupyter.models.artifacts import ArtifactList
from mellea_jupyter.service.archive import iter_zip
from mellea_jupyter.stores.artifacts.object_store import ObjectArtifactStore

MIB = 1 << 20
QUOTA_BYTES = 1 << 34
SMALL_BYTES = 40 << 10
TREES = ("one file", "small files")


def make_tree(folder: Path, *, sizes: Sequence[int]) -> None:
    """Files of random bytes; no two are the same."""
    folder.mkdir()
    for number, size in enumerate(sizes):
        (folder / f"{number:05}.bin").write_bytes(os.urandom(size))


def hash_only(folder: Path) -> None:
    """Read and hash all files, as a store has to in any case."""
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as file:
            hashlib.file_digest(file, "sha256")


class Sink:
    """Takes bytes and forgets them; it can not seek, as a connection can not."""

    def write(self, data: bytes) -> int:
        """As for a file."""
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def plain_zip(folder: Path) -> None:
    """What `zipfile` makes of the files themselves, as a stream."""
    with zipfile.ZipFile(Sink(), "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)


def our_zip(store: ObjectArtifactStore, kept: ArtifactList) -> None:
    """The archive as it is sent, piece after piece."""
    sink = Sink()
    for piece in iter_zip(kept.artifacts, store.iter_bytes):
        sink.write(piece)


def timed(action: Callable[[], object]) -> Callable[[], list[float]]:
    """The action as a case of `interleave`."""

    def case() -> list[float]:
        began = time.perf_counter()
        action()
        return [time.perf_counter() - began]

    return case


class Storing:
    """Stores a tree in a new folder each time; what was stored before is removed untimed."""

    def __init__(self, tree: Path, stores: Path) -> None:
        self._tree = tree
        self._stores = stores
        self._number = 0

    def __call__(self) -> list[float]:
        """Seconds of one storing."""
        self._number += 1
        folder = self._stores / str(self._number)
        store = ObjectArtifactStore(folder)
        store.collect("warm", folder / "nothing", quota_bytes=0)
        began = time.perf_counter()
        store.collect("run", self._tree, quota_bytes=QUOTA_BYTES)
        took = time.perf_counter() - began
        shutil.rmtree(folder)
        return [took]


def peak_of_archive(folder: Path) -> tuple[int, int]:
    """Bytes that making the archive adds to a process's peak, and the archive's size."""
    command = [sys.executable, "-m", "benchmarks.artifacts", "--archive", str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak, size = map(int, said.split())
    return peak, size


def measure_archive(folder: Path) -> None:
    """Print both figures; runs in a process of its own."""
    store = ObjectArtifactStore(folder)
    kept = ArtifactList.model_validate_json((folder / "runs/run.json").read_bytes())
    list(iter_zip(kept.artifacts[:1], store.iter_bytes))
    before, size = _peak(reset=True), 0
    for piece in iter_zip(kept.artifacts, store.iter_bytes):
        size += len(piece)
    print(_peak(reset=False) - before, size)


def _peak(*, reset: bool) -> int:
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) << 10 if found else 0


def main() -> None:
    """Make the trees, time all cases, print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--archive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.archive is not None:
        measure_archive(options.archive)
        return
    print(f"  {load()}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        sizes = {
            "one file": [options.megabytes * MIB],
            "small files": [SMALL_BYTES] * options.files,
        }
        for tree in TREES:
            folder, stores = root / tree, root / f"stores of {tree}"
            make_tree(folder, sizes=sizes[tree])
            stores.mkdir()
            store = ObjectArtifactStore(root / f"store of {tree}")
            twin = root / f"{tree}, again"  # what is stored is linked, and a second link is a copy
            shutil.copytree(folder, twin)
            kept = store.collect("run", twin, quota_bytes=QUOTA_BYTES)
            times = interleave(
                {
                    "hash": timed(partial(hash_only, folder)),
                    "store": Storing(folder, stores),
                    "zipfile": timed(partial(plain_zip, folder)),
                    "archive": timed(partial(our_zip, store, kept)),
                },
                rounds=options.rounds,
            )
            (hashed,), (stored,) = times["hash"], times["store"]
            (plain,), (ours,) = times["zipfile"], times["archive"]
            what = f"{len(kept.artifacts)} files, {kept.total_bytes >> 20} MiB"
            row(
                f"hash and store / hash: {what}", stored / hashed, at_most=2.5,
                detail=f"{milliseconds(stored)} / {milliseconds(hashed)}",
            )  # fmt: skip
            row(
                f"speed of the archive / zipfile: {what}", plain / ours, at_least=0.8,
                detail=f"{milliseconds(ours)} / {milliseconds(plain)}",
            )  # fmt: skip
            peak, size = peak_of_archive(root / f"store of {tree}")
            row(
                f"memory of the archive / 16 MB: {what}", peak / 16e6, at_most=1,
                detail=f"{peak / 1e6:.1f} MB for {size >> 20} MiB",
            )  # fmt: skip


if __name__ == "__main__":
    main()
