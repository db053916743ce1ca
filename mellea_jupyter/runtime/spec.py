"""Read what to run: `spec.json` and `secrets` of a run folder (docs/contributing/journal.md)."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

DATASET_PREFIX = "MELLEA_DATASET_"
"""Before the name of a dataset in upper case: the variable that holds its path."""

DEFAULT_LOG_CAP_BYTES = 256 * 1024 * 1024
DEFAULT_GRACE_SECONDS = 10.0
DEFAULT_ASK_SECONDS = 600.0


class SpecError(ValueError):
    """`spec.json` or `secrets` cannot be used; the text names the field."""


class RunSpec:
    """One run's instructions, with defaults for everything optional.

    Attributes mirror `spec.json`; `env` is the program's complete environment, secrets included.
    """

    def __init__(self, run_dir: str, data: Dict[str, Any], secrets: Dict[str, str]) -> None:
        self.run_dir = run_dir
        self.run_id = _text(data, "run_id")
        entry = data.get("entry")
        if not isinstance(entry, dict):
            raise SpecError("entry: expected an object with kind and path or target")
        self.kind = _text(entry, "kind")
        if self.kind not in ("file", "notebook", "callable"):
            raise SpecError(f"entry.kind: expected file, notebook or callable, got {self.kind!r}")
        self.target = _text(entry, "target" if self.kind == "callable" else "path")
        self.argv: List[str] = [str(item) for item in data.get("argv") or []]
        self.parameters: Dict[str, Any] = dict(data.get("parameters") or {})
        self.source_dir = str(data.get("source_dir") or os.path.join(run_dir, "source"))
        self.working_directory = str(data.get("working_directory") or self.source_dir)
        self.output_dir = str(data.get("output_dir") or os.path.join(run_dir, "outputs"))
        self.model: Optional[str] = data.get("model")
        self.model_steering = str(data.get("model_steering") or "default")
        self.capture_content = bool(data.get("capture_content", False))
        self.timeout_seconds: Optional[float] = _number(data, "timeout_seconds")
        grace = _number(data, "grace_seconds")
        self.grace_seconds = DEFAULT_GRACE_SECONDS if grace is None else grace
        self.memory_limit_mb: Optional[float] = _number(data, "memory_limit_mb")
        cap = _number(data, "log_cap_bytes")
        self.log_cap_bytes = DEFAULT_LOG_CAP_BYTES if cap is None else int(cap)
        self.keep_kernel_seconds: Optional[float] = _number(data, "keep_kernel_seconds")
        calls = _number(data, "max_llm_calls")
        self.max_llm_calls: Optional[int] = None if calls is None else int(calls)
        cost = data.get("max_cost_usd")
        self.max_cost_usd: Optional[str] = None if cost is None else _text(data, "max_cost_usd")
        self.on_budget = str(data.get("on_budget") or "stop")
        patience = _number(data, "budget_ask_seconds")
        self.budget_ask_seconds = DEFAULT_ASK_SECONDS if patience is None else patience
        self.isolation = str(data.get("isolation") or "warm")
        self.fresh_reason: Optional[str] = data.get("fresh_reason")
        self.datasets: Dict[str, str] = dict(data.get("datasets") or {})
        self.forwards_mellea_log = "MELLEA_LOGS_CONSOLE" not in (data.get("env") or {})
        self.env = self._environment(data.get("env") or {}, secrets)
        self.secret_values: List[str] = [str(value) for value in secrets.values()]

    @property
    def program_path(self) -> str:
        """Absolute path of the file or notebook; of `source_dir` for a callable."""
        if self.kind == "callable":
            return self.source_dir
        return os.path.join(self.source_dir, self.target)

    @property
    def import_dir(self) -> str:
        """What `sys.path[0]` is for the program."""
        return self.source_dir if self.kind == "callable" else os.path.dirname(self.program_path)

    def _environment(self, env: Dict[str, Any], secrets: Dict[str, str]) -> Dict[str, str]:
        """The program's variables: the given ones, secrets, and those the runtime adds."""
        merged = {str(name): str(value) for name, value in {**env, **secrets}.items()}
        # mellea's own console log goes to stdout by default, where it would mix with the
        # program's output; its records travel as `record` frames instead.
        merged.setdefault("MELLEA_LOGS_CONSOLE", "false")
        merged["MELLEA_OUTPUT_DIR"] = self.output_dir
        for name, path in self.datasets.items():
            merged[DATASET_PREFIX + name.upper()] = path
        return merged


def load_spec(run_dir: str) -> RunSpec:
    """Read and check a run folder's instructions.

    Raises:
        SpecError: A file is missing, is not JSON, or a field has the wrong shape.
    """
    data = _read_object(os.path.join(run_dir, "spec.json"))
    if data is None:
        raise SpecError("spec.json: no such file")
    if data.get("v") != 1:
        raise SpecError(f"v: expected 1, got {data.get('v')!r}")
    secrets = _read_object(os.path.join(run_dir, "secrets")) or {}
    return RunSpec(os.path.abspath(run_dir), data, secrets)


def _read_object(path: str) -> Optional[Dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            data = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SpecError(f"{os.path.basename(path)}: {error}") from error
    if not isinstance(data, dict):
        raise SpecError(f"{os.path.basename(path)}: expected a JSON object")
    return data


def _text(data: Dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise SpecError(f"{name}: expected a text, got {value!r}")
    return value


def _number(data: Dict[str, Any], name: str) -> Optional[float]:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError(f"{name}: expected a number, got {value!r}")
    return float(value)
