"""`pin`: read a program once, keep its bytes by content, and say what it is.

Five kinds (`AssetKind`), one result. What is pinned is what executes: for a file or notebook its
local import closure, for a folder everything in it but caches. Data files beside a single file are
not pinned; the program finds them through its working directory, which is its own folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mellea_jupyter.assets.blobs import content_hash_of, store_blob
from mellea_jupyter.assets.git import find_commit
from mellea_jupyter.assets.imports import Import, find_modules, iter_imports, notebook_source
from mellea_jupyter.assets.reading import MAX_FILES, MAX_SOURCE_BYTES, Reader, require_kind
from mellea_jupyter.exceptions import InvalidInput, InvalidProgram
from mellea_jupyter.models.assets import AssetCreate, AssetKind, PinnedFile

__all__ = ["INSTALLED", "MAX_FILES", "MAX_SOURCE_BYTES", "Pinned", "find_kind", "pin"]

INSTALLED = "installed"
"""Version of a `module:callable` that is not below the root: its environment decides."""

CELL = "cell.py"
_DEFAULT_ENTRY_POINTS = ("__main__.py", "main.py")
_KINDS = {".py": AssetKind.FILE, ".ipynb": AssetKind.NOTEBOOK}


@dataclass(frozen=True, slots=True)
class Pinned:
    """A program as it was at this moment.

    Attributes:
        path: relative to the root, with `/`; None where it has none.
        program_dir: absolute folder it lives in, the working directory of its runs.
        entry_point: file relative to the pinned source, or `module:callable`.
        version: git commit, `<commit>+dirty.<12 digits>`, `sha256:<12 digits>` or `installed`.
        files: ordered by path.
        origin: what makes it the same program next time; the service puts the owner before it.
    """

    kind: AssetKind
    name: str
    path: str | None
    program_dir: str | None
    entry_point: str
    version: str
    content_hash: str
    files: tuple[PinnedFile, ...]
    origin: tuple[str, ...]


def pin(request: AssetCreate, *, root: Path, store_dir: Path) -> Pinned:
    """Pin what the request names.

    Args:
        request: what to register.
        root: the server's root folder; nothing outside it is read.
        store_dir: where the bytes are kept.

    Raises:
        InvalidInput: a field is malformed; names the field.
        InvalidProgram: what it names can not become an asset; says why and what to do.
    """
    reader = Reader(root.resolve(), store_dir.resolve())
    if request.source is not None:
        return _pin_source(request, request.source, reader, store_dir)
    if request.entry_point is not None and ":" in request.entry_point:
        return _pin_callable(request, request.entry_point, reader, store_dir)
    if request.path is None:
        raise InvalidInput(
            "entry_point",
            f"{request.entry_point!r} is not of the form module:callable",
            hint="Write package.module:function, or give the path of a program.",
        )
    place = reader.locate(request.path)
    if place.is_dir():
        return _pin_folder(request, place, reader, store_dir)
    return _pin_file(request, place, reader, store_dir)


def find_kind(path: str, *, root: Path, store_dir: Path) -> AssetKind:
    """What `pin` would make of a path, as far as that is seen without reading it.

    Raises:
        InvalidInput, InvalidProgram: as `pin` would; a program that imports too much passes.
    """
    reader = Reader(root.resolve(), store_dir.resolve())
    place = reader.locate(path)
    if place.is_dir():
        _entry_point(place, None)
        return AssetKind.FOLDER
    shown = place.relative_to(reader.root).as_posix()
    kind = _file_kind(place, shown)
    reader.spend(place.stat().st_size)
    return kind


def _file_kind(place: Path, shown: str) -> AssetKind:
    """Raises InvalidProgram: no regular file, or none that can be run."""
    require_kind(os.lstat(place), shown)
    kind = _KINDS.get(place.suffix)
    if kind is None:
        hint = "Name a .py or .ipynb file, or a folder with an entry point."
        raise InvalidProgram("path", f"{shown!r} is not a Python program or notebook", hint=hint)
    return kind


def _pin_source(request: AssetCreate, source: str, reader: Reader, store_dir: Path) -> Pinned:
    if request.entry_point is not None:
        raise InvalidInput("entry_point", "literal source has none", hint="Leave it out.")
    try:
        content = source.encode()
    except UnicodeEncodeError:
        raise InvalidInput("source", "is not valid text (a lone surrogate)") from None
    reader.spend(len(content))
    files = _store({PurePosixPath(CELL): content}, store_dir)
    content_hash = content_hash_of(files)
    return Pinned(
        kind=AssetKind.SOURCE,
        name=request.name or "cell",
        path=None,
        program_dir=None,
        entry_point=CELL,
        version=_hash_version(content_hash),
        content_hash=content_hash,
        files=files,
        origin=(AssetKind.SOURCE, content_hash),
    )


def _pin_file(request: AssetCreate, place: Path, reader: Reader, store_dir: Path) -> Pinned:
    shown = place.relative_to(reader.root).as_posix()
    kind = _file_kind(place, shown)
    if request.entry_point not in (None, place.name):
        hint = "Leave it out, or name the folder as path."
        raise InvalidInput("entry_point", f"{shown!r} is one file, which has none", hint=hint)
    contents = _closure(place.parent, [PurePosixPath(place.name)], reader)
    return _pinned(
        request,
        kind=kind,
        program_dir=place.parent,
        path=shown,
        entry_point=place.name,
        contents=contents,
        store_dir=store_dir,
    )


def _pin_folder(request: AssetCreate, place: Path, reader: Reader, store_dir: Path) -> Pinned:
    entry_point = _entry_point(place, request.entry_point)
    contents = {path: reader.read(real, str(path)) for path, real in reader.iter_folder(place)}
    if PurePosixPath(entry_point) not in contents:
        hint = "Name a .py or .ipynb file of the folder that is not hidden."
        raise InvalidInput("entry_point", f"{entry_point!r} is not in the folder", hint=hint)
    shown = place.relative_to(reader.root).as_posix()
    return _pinned(
        request,
        kind=AssetKind.FOLDER,
        program_dir=place,
        path=shown,
        entry_point=entry_point,
        contents=contents,
        store_dir=store_dir,
    )


def _entry_point(folder: Path, asked: str | None) -> str:
    """The asked file in its normal spelling, or what the folder itself suggests."""
    if asked is not None:
        path = PurePosixPath(asked)
        if "\0" in asked or path.is_absolute() or ".." in path.parts or path.suffix not in _KINDS:
            hint = "Name a .py or .ipynb file, relative to the folder."
            raise InvalidInput("entry_point", f"{asked!r} can not be started", hint=hint)
        return str(path)
    programs = sorted(path.name for path in folder.glob("*.py") if not path.name.startswith("."))
    for name in _DEFAULT_ENTRY_POINTS:
        if name in programs:
            return name
    if len(programs) == 1:
        return programs[0]
    found = f"has {len(programs)} programs" if programs else "has no program"
    raise InvalidInput(
        "entry_point",
        f"the folder {found} and neither __main__.py nor main.py",
        hint="Name the file to start as entry_point.",
    )


def _pin_callable(
    request: AssetCreate, entry_point: str, reader: Reader, store_dir: Path
) -> Pinned:
    module, _, attribute = entry_point.partition(":")
    parts = tuple(module.split("."))
    if not all(part.isidentifier() for part in (*parts, *attribute.split("."))):
        raise InvalidInput(
            "entry_point",
            f"{entry_point!r} is not of the form module:callable",
            hint="Write package.module:function.",
        )
    base = reader.root if request.path is None else reader.locate(request.path)
    if not base.is_dir():
        hint = "Name the folder that the module is imported from, or leave path out."
        raise InvalidInput("path", f"{request.path!r} is not a folder", hint=hint)
    starts = find_modules(
        Import(0, parts), PurePosixPath(), lambda path: _is_module(base, path), lambda _: []
    )
    is_local = bool(starts) and starts[-1] in (
        PurePosixPath(*parts, "__init__.py"),
        PurePosixPath(*parts).with_suffix(".py"),
    )
    if not is_local and (starts or request.path is not None or (base / parts[0]).is_dir()):
        hint = "Check the spelling; path is the folder that the module is imported from."
        raise InvalidProgram("entry_point", f"there is no module {module!r}", hint=hint)
    if not is_local:
        return _installed(request, entry_point)
    contents = _closure(base, starts, reader)
    shown = base.relative_to(reader.root).as_posix()
    return _pinned(
        request,
        kind=AssetKind.CALLABLE,
        program_dir=base,
        path=shown,
        entry_point=entry_point,
        contents=contents,
        store_dir=store_dir,
    )


def _installed(request: AssetCreate, entry_point: str) -> Pinned:
    return Pinned(
        kind=AssetKind.CALLABLE,
        name=request.name or entry_point,
        path=None,
        program_dir=None,
        entry_point=entry_point,
        version=INSTALLED,
        content_hash=content_hash_of(()),
        files=(),
        origin=(AssetKind.CALLABLE, INSTALLED, entry_point),
    )


def _closure(
    base: Path, starts: Iterable[PurePosixPath], reader: Reader
) -> dict[PurePosixPath, bytes]:
    """The start files and everything local they import, by path relative to `base`."""
    contents: dict[PurePosixPath, bytes] = {}
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        if path in contents:
            continue
        content = reader.read(reader.resolve(base / path, str(path)), str(path))
        contents[path] = content
        source = notebook_source(content) if path.suffix == ".ipynb" else content
        for imported in iter_imports(source):
            waiting += find_modules(
                imported,
                path,
                lambda path: _is_module(base, path),
                lambda folder: _list_modules(base, folder),
            )
    return contents


def _is_module(base: Path, path: PurePosixPath) -> bool:
    try:
        return (base / path).is_file()
    except (OSError, ValueError):
        return False


def _list_modules(base: Path, folder: PurePosixPath) -> list[PurePosixPath]:
    return [folder / path.name for path in sorted((base / folder).glob("*.py")) if path.is_file()]


def _pinned(
    request: AssetCreate,
    *,
    kind: AssetKind,
    program_dir: Path,
    path: str,
    entry_point: str,
    contents: dict[PurePosixPath, bytes],
    store_dir: Path,
) -> Pinned:
    files = _store(contents, store_dir)
    content_hash = content_hash_of(files)
    return Pinned(
        kind=kind,
        name=request.name or (program_dir.name if kind is AssetKind.FOLDER else entry_point),
        path=path,
        program_dir=str(program_dir),
        entry_point=entry_point,
        version=_version(program_dir, files, content_hash),
        content_hash=content_hash,
        files=files,
        origin=(kind, path, entry_point),
    )


def _store(contents: dict[PurePosixPath, bytes], store_dir: Path) -> tuple[PinnedFile, ...]:
    return tuple(
        PinnedFile(
            path=str(path),
            checksum=store_blob(contents[path], store_dir),
            size_bytes=len(contents[path]),
        )
        for path in sorted(contents)
    )


def _version(folder: Path, files: tuple[PinnedFile, ...], content_hash: str) -> str:
    match find_commit(folder, [file.path for file in files]):
        case None:
            return _hash_version(content_hash)
        case (commit, True):
            return f"{commit}+dirty.{content_hash[:12]}"
        case (commit, False):
            return commit


def _hash_version(content_hash: str) -> str:
    return f"sha256:{content_hash[:12]}"
