"""A run's folder on disk: where it is, how it comes to be, what its `spec.json` says."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellea_jupyter.datasets.inputs import make_writable
from mellea_jupyter.environments.variables import inherited_variables
from mellea_jupyter.models.assets import AssetKind
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.variables import is_secret_name
from mellea_jupyter.service import secrets
from mellea_jupyter.stores.runs.base import Placement

_SUBFOLDERS = ("source", "inputs", "work", "outputs", "journal")

DEMO_PREFIX = "demo/"


class RunFolders:
    """Folders of runs under `data_dir/runs`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, run_id: str) -> Path:
        """The folder of a run, whether it exists or not."""
        return self.root / run_id

    def create(self, run_id: str, secret_values: Mapping[str, str]) -> Path:
        """Make an empty run folder, mode 0700, with its secrets file."""
        path = self.path(run_id)
        path.mkdir(mode=0o700)
        for name in _SUBFOLDERS:
            (path / name).mkdir(mode=0o700)
        secrets.write(path, secret_values)
        return path

    def delete_secrets(self, run_id: str) -> None:
        """Remove a run's secrets before anything else of it goes. Idempotent."""
        (self.path(run_id) / secrets.FILE_NAME).unlink(missing_ok=True)

    def list_abandoned(self, older_than_seconds: float) -> list[str]:
        """Ids of run folders that have not been touched for so long; their runs may not exist."""
        limit = time.time() - older_than_seconds
        return [entry.name for entry in os.scandir(self.root) if entry.stat().st_mtime < limit]

    def delete(self, run_id: str) -> None:
        """Remove a run's folder. Idempotent; links are removed, never followed."""
        make_writable(self.path(run_id) / "inputs")
        shutil.rmtree(self.path(run_id), ignore_errors=True)


def build_spec(
    run: Run,
    placement: Placement,
    environment: Environment,
    run_dir: Path,
    *,
    server_environment: Mapping[str, str],
    extra_environment: Mapping[str, str],
    datasets: Mapping[str, str],
    grace_seconds: float,
    log_cap_bytes: int,
    budget_ask_seconds: float,
    keep_kernel_seconds: float,
) -> dict[str, Any]:
    """The content of `spec.json` (docs/contributing/journal.md), without secrets.

    `datasets` are paths by name.
    """
    config = run.config
    output_dir = run_dir / "outputs"
    open_vars = {k: v for k, v in config.env_vars.items() if not is_secret_name(k)}
    return {
        "v": 1,
        "run_id": run.id,
        "entry": _entry(placement),
        "argv": list(config.args),
        "parameters": config.parameters,
        "source_dir": os.fspath(run_dir / "source"),
        "working_directory": os.fspath(_working_directory(run, placement, run_dir)),
        "output_dir": os.fspath(output_dir),
        "env": {
            **inherited_variables(environment, server_environment),
            **extra_environment,
            **open_vars,
            "MELLEA_RUN_ID": run.id,
            "MELLEA_OUTPUT_DIR": os.fspath(output_dir),
        },
        "env_var_names": sorted(config.env_vars),
        "model": config.model,
        "model_steering": config.model_steering,
        "strict_requirements": config.strict_requirements,
        "capture_content": config.capture_content,
        "timeout_seconds": config.timeout_seconds,
        "grace_seconds": grace_seconds,
        "memory_limit_mb": environment.memory_mb,
        "log_cap_bytes": log_cap_bytes,
        "keep_kernel_seconds": keep_kernel_seconds if config.keep_kernel else None,
        "max_llm_calls": config.max_llm_calls,
        "max_cost_usd": None if config.max_cost_usd is None else str(config.max_cost_usd),
        "on_budget": config.on_budget,
        "budget_ask_seconds": budget_ask_seconds,
        "preload": list(environment.preload),
        "isolation": config.isolation,
        "fresh_reason": "config.isolation is fresh" if config.isolation == "fresh" else None,
        "datasets": dict(datasets),
    }


def _entry(placement: Placement) -> dict[str, str]:
    if placement.kind == AssetKind.CALLABLE:
        return {"kind": "callable", "target": placement.entry_point}
    kind = "notebook" if placement.entry_point.endswith(".ipynb") else "file"
    return {"kind": kind, "path": placement.entry_point}


def _working_directory(run: Run, placement: Placement, run_dir: Path) -> Path:
    if placement.executor == "docker":  # it fills work/ itself, for the container's account
        return run_dir / "work"
    if run.config.working_directory == "program" and placement.program_dir is not None:
        folder = Path(placement.program_dir)
        if folder.is_dir():
            return folder
    work = run_dir / "work"
    shutil.copytree(run_dir / "source", work, symlinks=True, dirs_exist_ok=True)
    return work
