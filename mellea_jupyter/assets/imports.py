"""Which local files a Python program imports, without running or even parsing it.

The environment of a run may have another Python than the server, and a program that does not parse
is a run that fails, not a request that is refused. So imports are found token by token: everything
up to the first thing the tokenizer can not read counts, whatever the rest looks like.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

MAX_SCANNED_BYTES = 2 * 2**20
"""A larger file is data in the shape of a program; it is pinned, but not searched for imports."""

_BETWEEN_STATEMENTS = frozenset(
    {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT,
     tokenize.ENCODING}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Import:
    """One import: `from ..a.b import c` is `level` 2, `module` ("a", "b"), `name` "c"."""

    level: int
    module: tuple[str, ...]
    name: str | None = None


def iter_imports(source: bytes) -> Iterator[Import]:
    """Yields the imports of a Python source in order, also those inside functions.

    Ends early, without an error, where the source can not be tokenized.
    """
    if len(source) > MAX_SCANNED_BYTES:
        return
    for statement in _iter_import_statements(source):
        try:
            [node] = ast.parse(statement).body
        except (SyntaxError, ValueError):
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(0, tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield Import(node.level, module, alias.name)


def _iter_import_statements(source: bytes) -> Iterator[str]:
    """Yields the text of every statement that begins with `import` or `from`."""
    words: list[str] | None = None  # of the import statement we are in
    at_start = True
    try:
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            if words is not None:
                if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER) or token.string == ";":
                    yield " ".join(words)
                    words, at_start = None, True
                elif token.type in (tokenize.NAME, tokenize.OP):
                    words.append(token.string)
            elif token.type in _BETWEEN_STATEMENTS:
                at_start = True
            else:
                if at_start and token.string in ("import", "from"):
                    words = [token.string]
                at_start = token.string in (";", ":")
    except (tokenize.TokenError, SyntaxError, ValueError):
        return


def notebook_source(content: bytes) -> bytes:
    """The code cells of a notebook as one Python source, magics and shell lines left out.

    Anything that is not a notebook gives an empty source.
    """
    try:
        cells = json.loads(content)["cells"]
        texts = [
            text if isinstance(text := cell["source"], str) else "".join(text)
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""
    lines = [
        line
        for text in texts
        for line in text.splitlines()
        if not line.lstrip().startswith(("%", "!", "?"))
    ]
    return "\n".join(lines).encode("utf-8", "replace") + b"\n"


def find_modules(
    imported: Import, importer: PurePosixPath, is_file: Callable[[PurePosixPath], bool],
    list_modules: Callable[[PurePosixPath], list[PurePosixPath]],
) -> list[PurePosixPath]:  # fmt: skip
    """The local files that an import loads: the module, its packages, and a submodule it names.

    Paths are relative to the program's folder, which is `sys.path[0]`.

    Args:
        imported: the import.
        importer: the file it stands in.
        is_file: whether a relative path is a file that can be imported.
        list_modules: the `.py` files directly in a relative folder, for `from package import *`.
    """
    folder = PurePosixPath()
    if imported.level:
        above = importer.parts[:-1]
        if imported.level - 1 > len(above):
            return []
        folder = PurePosixPath(*above[: len(above) - imported.level + 1])
    found = [init] if folder.parts and is_file(init := folder / "__init__.py") else []
    for part in imported.module:
        module = _find_module(folder, part, is_file)
        folder /= part
        if module is not None:
            found.append(module)
            if module.name != "__init__.py":
                return found
    if imported.name == "*":
        found += list_modules(folder) if imported.module or imported.level else []
    elif imported.name is not None and (
        module := _find_module(folder, imported.name, is_file)
    ):  # fmt: skip
        found.append(module)
    return found


def _find_module(
    folder: PurePosixPath, name: str, is_file: Callable[[PurePosixPath], bool]
) -> PurePosixPath | None:
    """A package comes before a module of the same name, as in the import system."""
    for candidate in (folder / name / "__init__.py", folder / f"{name}.py"):
        if is_file(candidate):
            return candidate
    return None
