"""`pin`: what becomes an asset, what of it is kept, and what is refused with a sentence."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mellea_jupyter.assets import Pinned, materialize, pin
from mellea_jupyter.assets.blobs import content_hash_of
from mellea_jupyter.exceptions import InvalidInput, InvalidProgram, StoreError
from mellea_jupyter.models.assets import AssetCreate, AssetKind


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def pinned(root: Path, store: Path) -> Callable[..., Pinned]:
    def pin_fields(**fields: str) -> Pinned:
        return pin(AssetCreate.model_validate(fields), root=root, store_dir=store)

    return pin_fields


def write(root: Path, **files: str) -> None:
    """Text files by their path below the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def paths(asset: Pinned) -> list[str]:
    return [file.path for file in asset.files]


def test_a_program_is_pinned_with_everything_local_it_imports(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{
        "app/trip.py": (
            "import os, helper\nimport pkg.deep.leaf as leaf\nfrom pkg import tool\n"
            "def later():\n    if True: import lazy\n    from starred import *\n"
        ),
        "app/helper.py": "import trip",
        "app/lazy.py": "",
        "app/unused.py": "",
        "app/data.csv": "1,2",
        "app/pkg/__init__.py": "",
        "app/pkg/tool.py": "from . import sibling\nfrom .deep import other\nfrom ...far import x",
        "app/pkg/sibling.py": "",
        "app/pkg/unused.py": "",
        "app/pkg/deep/__init__.py": "",
        "app/pkg/deep/leaf.py": "from .. import sibling",
        "app/pkg/deep/other.py": "",
        "app/starred/one.py": "",
    })  # fmt: skip
    asset = pinned(path="app/trip.py")
    assert paths(asset) == [
        "helper.py", "lazy.py", "pkg/__init__.py", "pkg/deep/__init__.py", "pkg/deep/leaf.py",
        "pkg/deep/other.py", "pkg/sibling.py", "pkg/tool.py", "starred/one.py", "trip.py",
    ]  # fmt: skip
    assert (asset.kind, asset.name, asset.path) == (AssetKind.FILE, "trip.py", "app/trip.py")
    assert (asset.entry_point, asset.program_dir) == ("trip.py", str(root / "app"))
    assert asset.origin == ("file", "app/trip.py", "trip.py")


def test_a_program_that_does_not_parse_is_pinned_with_what_can_be_read_of_it(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{"bad.py": "import helper\nprint 'two'\nimport other\n)(", "helper.py": "",
                   "other.py": ""})  # fmt: skip
    assert paths(pinned(path="bad.py")) == ["bad.py", "helper.py", "other.py"]
    (root / "binary.py").write_bytes(b"\xff\xfe\0import helper")
    assert paths(pinned(path="binary.py")) == ["binary.py"]


def test_a_notebook_is_pinned_with_its_imports_and_magics_are_ignored(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    cells = (
        '{"cells": [{"cell_type": "markdown", "source": "import nope"},'
        '{"cell_type": "code", "source": ["%pip install \'x\\n", "!ls \\"\\n", "import helper"]},'
        '{"cell_type": "code", "source": "await thing()\\nfrom pkg import part"}]}'
    )
    write(root, **{"n.ipynb": cells, "helper.py": "", "nope.py": "", "pkg/part.py": "",
                   "broken.ipynb": "{"})  # fmt: skip
    asset = pinned(path="n.ipynb")
    assert asset.kind is AssetKind.NOTEBOOK
    assert paths(asset) == ["helper.py", "n.ipynb", "pkg/part.py"]
    assert paths(pinned(path="broken.ipynb")) == ["broken.ipynb"]


def test_a_folder_is_pinned_whole_but_for_hidden_files_caches_and_environments(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{
        "f/main.py": "", "f/other.py": "", "f/prompts/a.txt": "hi", "f/.env": "KEY=1",
        "f/.git/config": "", "f/__pycache__/main.pyc": "", "f/venv/pyvenv.cfg": "",
        "f/venv/lib/x.py": "", "f/node_modules/y.js": "", "shared.txt": "s",
    })  # fmt: skip
    (root / "f" / "link.txt").symlink_to(root / "shared.txt")
    (root / "f" / "again").symlink_to(root / "f")
    asset = pinned(path="f")
    assert paths(asset) == ["link.txt", "main.py", "other.py", "prompts/a.txt"]
    assert (asset.kind, asset.name, asset.entry_point) == (AssetKind.FOLDER, "f", "main.py")
    assert pinned(path="f/", entry_point="./other.py").entry_point == "other.py"
    assert pinned(path=str(root / "f")).origin == asset.origin


def test_the_only_program_of_a_folder_is_its_entry_point(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{"f/solo.py": "", "f/notes.md": "", "g/__main__.py": "", "g/main.py": ""})
    assert pinned(path="f").entry_point == "solo.py"
    assert pinned(path="g").entry_point == "__main__.py"


def test_a_callable_is_found_below_the_root_or_a_given_folder(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{"lib/pkg/__init__.py": "", "lib/pkg/flow.py": "import util", "lib/util.py": "",
                   "top.py": ""})  # fmt: skip
    asset = pinned(path="lib", entry_point="pkg.flow:main")
    assert paths(asset) == ["pkg/__init__.py", "pkg/flow.py", "util.py"]
    assert (asset.kind, asset.entry_point) == (AssetKind.CALLABLE, "pkg.flow:main")
    assert asset.program_dir == str(root / "lib")
    assert paths(pinned(entry_point="top:Class.method")) == ["top.py"]


def test_an_installed_callable_is_recorded_without_a_source(
    pinned: Callable[..., Pinned],
) -> None:
    asset = pinned(entry_point="json.tool:main")
    assert (asset.files, asset.path, asset.version) == ((), None, "installed")


def test_literal_source_is_the_same_asset_when_it_is_the_same_text(
    pinned: Callable[..., Pinned],
) -> None:
    first, again = pinned(source="print(1)"), pinned(source="print(1)", name="named")
    assert first.origin == again.origin != pinned(source="print(2)").origin
    assert (first.kind, first.entry_point) == (AssetKind.SOURCE, "cell.py")
    assert first.version == f"sha256:{first.content_hash[:12]}"


def test_a_run_gets_copies_it_may_change(
    root: Path, store: Path, tmp_path: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{"f/main.py": "print(1)", "f/sub/x.txt": "x"})
    asset, target = pinned(path="f"), tmp_path / "source"
    for _ in range(2):
        materialize(asset.content_hash, asset.files, store, target)
        assert (target / "main.py").read_text() == "print(1)"
        assert (target / "sub" / "x.txt").read_text() == "x"
        (target / "main.py").write_text("changed by the run")
    assert (root / "f" / "main.py").read_text() == "print(1)"


def test_a_damaged_or_missing_copy_is_noticed_and_repaired_by_pinning_again(
    root: Path, store: Path, tmp_path: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{"a.py": "print(1)"})
    asset = pinned(path="a.py")
    [blob] = (path for path in (store / "blobs").rglob("*") if path.is_file())
    blob.write_text("print(2)")
    with pytest.raises(StoreError, match=r"a\.py is damaged"):
        materialize(asset.content_hash, asset.files, store, tmp_path / "s")
    with pytest.raises(StoreError, match=r"a\.py is missing"):
        materialize(asset.content_hash, asset.files, store, tmp_path / "s")
    with pytest.raises(StoreError, match="not complete"):
        materialize(asset.content_hash, (), store, tmp_path / "s")
    pinned(path="a.py")
    materialize(asset.content_hash, asset.files, store, tmp_path / "s")
    assert content_hash_of(asset.files) == asset.content_hash


def _nothing(root: Path) -> None:
    """The path does not exist."""


def _fifo(root: Path) -> None:
    os.mkfifo(root / "p.py")


def _fifo_in_folder(root: Path) -> None:
    write(root, **{"f/main.py": ""})
    os.mkfifo(root / "f" / "pipe")


def _socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        cwd = os.open(".", os.O_RDONLY)
        try:
            os.chdir(root)  # the address has room for 108 bytes
            server.bind("s.py")
        finally:
            os.fchdir(cwd)
            os.close(cwd)


def _link_out(root: Path) -> None:
    (root.parent / "outside.py").write_text("")
    (root / "link.py").symlink_to(root.parent / "outside.py")


def _link_out_in_folder(root: Path) -> None:
    write(root, **{"f/main.py": ""})
    (root / "f" / "out").symlink_to(root.parent)


def _import_leads_out(root: Path) -> None:
    (root.parent / "outside.py").write_text("")
    write(root, **{"a.py": "import helper"})
    (root / "helper.py").symlink_to(root.parent / "outside.py")


def _link_circle(root: Path) -> None:
    (root / "c.py").symlink_to(root / "c.py")


def _programs(root: Path) -> None:
    write(root, **{"two/a.py": "", "two/b.py": "", "none/readme.md": "", "x.sh": "", "a.py": "",
                   "two/.hidden.py": "", "pkg/__init__.py": ""})  # fmt: skip


def _bad_name(root: Path) -> None:
    write(root, **{"f/main.py": ""})
    (root / "f" / os.fsdecode(b"\xff.txt")).write_text("")


@pytest.mark.parametrize(
    ("prepare", "fields", "field", "sentence"),
    [
        (_nothing, {"path": ""}, "path", "is empty"),
        (_nothing, {"path": "nope.py"}, "path", "does not exist"),
        (_nothing, {"path": "a\0.py"}, "path", "NUL"),
        (_nothing, {"path": "\ud800.py"}, "path", "not valid text"),
        (_nothing, {"path": "x" * 300 + ".py"}, "path", "too long"),
        (_nothing, {"path": "../root/a.py"}, "path", r"goes up with '\.\.'"),
        (_nothing, {"path": "/etc/hostname"}, "path", "outside the server's root"),
        (_nothing, {"path": "/dev/null"}, "path", "outside the server's root"),
        (_fifo, {"path": "p.py"}, "path", "is a named pipe"),
        (_fifo_in_folder, {"path": "f"}, "path", "'pipe' is a named pipe"),
        (_socket, {"path": "s.py"}, "path", "is a socket"),
        (_link_out, {"path": "link.py"}, "path", "outside the server's root"),
        (_link_out_in_folder, {"path": "f"}, "path", "'out' is outside"),
        (_import_leads_out, {"path": "a.py"}, "path", r"'helper\.py' is outside"),
        (_link_circle, {"path": "c.py"}, "path", "too many levels"),
        (_bad_name, {"path": "f"}, "path", "not UTF-8"),
        (_programs, {"path": "two"}, "entry_point", "has 2 programs"),
        (_programs, {"path": "none"}, "entry_point", "has no program"),
        (_programs, {"path": "two", "entry_point": "c.py"}, "entry_point", "not in the folder"),
        (_programs, {"path": "two", "entry_point": ".hidden.py"}, "entry_point", "not in the"),
        (_programs, {"path": "two", "entry_point": "../x.py"}, "entry_point", "can not be"),
        (_programs, {"path": "two", "entry_point": "a\0.py"}, "entry_point", "can not be"),
        (_programs, {"path": "x.sh"}, "path", "not a Python program"),
        (_programs, {"path": "a.py", "entry_point": "b.py"}, "entry_point", "is one file"),
        (_programs, {"path": "a.py", "entry_point": "a:f"}, "path", "is not a folder"),
        (_programs, {"path": "two", "entry_point": "nope:f"}, "entry_point", "no module 'nope'"),
        (_programs, {"entry_point": "pkg.nope:f"}, "entry_point", "no module 'pkg.nope'"),
        (_programs, {"entry_point": "pkg"}, "entry_point", "module:callable"),
        (_programs, {"entry_point": "a b:c"}, "entry_point", "module:callable"),
        (_programs, {"entry_point": "a:"}, "entry_point", "module:callable"),
        (_programs, {"source": "1", "entry_point": "x.py"}, "entry_point", "has none"),
    ],
)
def test_what_can_not_be_an_asset_is_refused_with_its_field_and_nothing_is_kept(
    prepare: Callable[[Path], None],
    fields: dict[str, str],
    field: str,
    sentence: str,
    *,
    root: Path,
    store: Path,
) -> None:  # fmt: skip
    prepare(root)
    request = AssetCreate(entry_point="x:y").model_copy(update={"entry_point": None, **fields})
    with pytest.raises(InvalidInput, match=sentence) as caught:
        pin(request, root=root, store_dir=store)
    assert caught.value.field == field
    assert not store.exists()


def test_fifty_megabytes_are_accepted_and_one_byte_more_is_not(
    root: Path, pinned: Callable[..., Pinned]
) -> None:
    write(root, **{"f/main.py": ""})
    (root / "f" / "big.bin").touch()
    os.truncate(root / "f" / "big.bin", 50 * 2**20)
    assert len(pinned(path="f").files) == 2
    (root / "f" / "main.py").write_text("#")
    with pytest.raises(InvalidProgram, match="more than 50 MB"):
        pinned(path="f")


def test_ten_thousand_files_are_the_limit(
    root: Path, pinned: Callable[..., Pinned], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mellea_jupyter.assets.reading.MAX_FILES", 3)
    write(root, **{"f/main.py": "", "f/b.txt": "", "f/c.txt": ""})
    assert len(pinned(path="f").files) == 3
    write(root, **{"f/d.txt": ""})
    with pytest.raises(InvalidProgram, match="more than 3 files"):
        pinned(path="f")


def test_our_own_store_below_a_folder_is_not_part_of_it(root: Path) -> None:
    write(root, **{"main.py": ""})
    for _ in range(2):
        asset = pin(AssetCreate(path="."), root=root, store_dir=root / "data")
        assert paths(asset) == ["main.py"]
