"""Which package may import which, and that the runtime stands alone.

Layers point one way; the table says it once. An import inside a function counts like one at the
top, one for type checkers only does not.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mellea_jupyter"

FOUNDATIONS = {"exceptions", "clock", "models"}

ALLOWED: dict[str, set[str]] = {
    "certificates": set(),
    "clock": {"models"},
    "exceptions": set(),
    "lazy": set(),
    "models": {"exceptions"},
    "event_schemas": set(),  # no code
    "runtime": set(),
    "demo": set(),
    "lifecycle": FOUNDATIONS,
    "stores": FOUNDATIONS | {"lifecycle"},
    "assets": FOUNDATIONS,
    "datasets": FOUNDATIONS | {"assets"},
    "accounting": FOUNDATIONS,
    "auth": FOUNDATIONS,
    "environments": FOUNDATIONS,
    "retention": FOUNDATIONS | {"stores"},
    "failures": FOUNDATIONS,
    "executors": FOUNDATIONS | {"environments", "runtime"},
    "notifications": FOUNDATIONS | {"certificates"},
    "telemetry": FOUNDATIONS | {"certificates", "notifications"},
    "service": FOUNDATIONS
    | {
        "certificates",
        "lifecycle",
        "stores",
        "assets",
        "datasets",
        "accounting",
        "auth",
        "retention",
        "environments",
        "executors",
        "failures",
        "notifications",
        "telemetry",
        "demo",
        "runtime",  # previews mask what the journal masks, by the same rules
    },
    "handlers": FOUNDATIONS | {"lifecycle", "auth", "service", "stores"},
    "client": FOUNDATIONS | {"certificates", "demo", "lazy"},
    "widgets": FOUNDATIONS | {"client", "lazy"},
    "magics": FOUNDATIONS | {"client", "widgets"},
}
"""Package or module of `mellea_jupyter`: those it may import besides itself.

`handlers` knows of `stores` only the values that its contracts are asked with. `app` composes all
of them; `cli` has user verbs over `client` and admin verbs over `service`; `testing` serves tests.
"""

UNRESTRICTED = {"__init__", "app", "cli", "testing"}


def part_of(name: str) -> str | None:
    """The part of our package that a dotted module name lies in; None for other packages."""
    parts = name.split(".")
    return parts[1] if parts[0] == "mellea_jupyter" and len(parts) > 1 else None


def is_for_type_checkers(node: ast.AST) -> bool:
    """Whether this is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def iter_imports(node: ast.AST, module: str) -> Iterator[str]:
    """Dotted names that code imports at run time; relative ones are resolved."""
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = module.split(".")[: -child.level] if child.level else []
            origin = ".".join([*base, *([child.module] if child.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in child.names)
        else:
            yield from iter_imports(child, module)


def modules_of(part: str) -> list[Path]:
    """All source files of a package or module."""
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a file imports."""
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return iter_imports(ast.parse(path.read_text()), module)


def test_every_part_is_in_the_table() -> None:
    modules = (*PACKAGE.glob("*.py"), *(init.parent for init in PACKAGE.glob("*/__init__.py")))
    assert {path.stem for path in modules} - UNRESTRICTED <= set(ALLOWED)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_a_part_imports_only_what_its_layer_allows(part: str) -> None:
    allowed = ALLOWED[part] | {part}
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules_of(part)
        for name in imports_of(path)
        if (other := part_of(name)) is not None
        and other not in allowed
        # `from mellea_jupyter import __version__` and the like name no part
        and ((PACKAGE / other).is_dir() or (PACKAGE / other).with_suffix(".py").exists())
    ]
    assert wrong == []


OPTIONAL_IN_THE_PROGRAM = {"mellea", "nbclient", "nbformat"}
"""What the runtime imports only where the program's environment has it."""


def test_the_runtime_imports_only_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | OPTIONAL_IN_THE_PROGRAM
    wrong = [
        f"{path.name} imports {name}"
        for path in modules_of("runtime")
        for name in imports_of(path)
        if name.split(".")[0] not in allowed and part_of(name) != "runtime"
        and name != "mellea_jupyter"
    ]  # fmt: skip
    assert wrong == []


def test_the_runtime_imports_itself_only_relatively() -> None:
    for path in modules_of("runtime"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert not (node.module or "").startswith("mellea_jupyter"), path.name


@pytest.fixture
def lonely_runtime(tmp_path: Path) -> Path:
    """The runtime's folder, copied to where nothing else is, under another name."""
    target = tmp_path / "alone" / "rt"
    shutil.copytree(PACKAGE / "runtime", target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def test_the_runtime_starts_alone(lonely_runtime: Path) -> None:
    command = [sys.executable, "-I", "-S", str(lonely_runtime), "version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_the_runtime_supervises_a_run_alone(lonely_runtime: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "source").mkdir(parents=True)
    program = "from mellea_runtime import current_run\nprint('hi')\ncurrent_run.output([1])\n"
    (run / "source" / "prog.py").write_text(program)
    entry = {"kind": "file", "path": "prog.py"}
    (run / "spec.json").write_text(json.dumps({"v": 1, "run_id": "alone", "entry": entry}))
    command = [sys.executable, "-I", "-S", str(lonely_runtime), "supervise", str(run)]
    subprocess.run(command, cwd="/", check=True)
    lines = (run / "journal" / "frames.ndjson").read_text().splitlines()
    frames = [json.loads(line) for line in lines]
    kinds = [frame["kind"] for frame in frames if frame["kind"] != "usage"]
    assert kinds == ["started", "program", "output", "structured_output", "end"]
    assert frames[-1]["exit_code"] == 0
    assert (run / "journal" / "output.000").read_bytes() == b"hi\n"


def test_a_command_it_does_not_know_is_explained(lonely_runtime: Path) -> None:
    command = [sys.executable, "-I", "-S", str(lonely_runtime), "frobnicate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "supervise RUN_DIR" in done.stderr
