"""Known vulnerabilities of what the project is made of: `make audit`.

Asks pip-audit about the installed Python packages and `npm audit` about the front end's. Both need
a network. What could not be asked is named, and the verdict is green only when nothing was left
out: 0 green, 1 vulnerabilities, 2 not everything was checked.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FRONT_END = ROOT / "labextension"
OURS = "mellea-jupyter"
LONGEST_SECONDS = 600

EXIT_GREEN, EXIT_VULNERABLE, EXIT_INCOMPLETE = 0, 1, 2


@dataclass(frozen=True)
class Report:
    """What one tool said: how much it checked, what it found, and what it did not check."""

    tool: str
    checked: int = 0
    found: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def main() -> int:
    """Print both reports and the verdict; the return value is the exit code."""
    reports = [audit_python(), audit_front_end()]
    for report in reports:
        print(f"{report.tool}: {report.checked} packages checked, {len(report.found)} findings")
        for each in report.found:
            print(f"  {each}")
        for each in report.unchecked:
            print(f"  not checked: {each}")
    code = verdict(reports)
    text = {
        EXIT_GREEN: "green: everything was checked, and nothing is known",
        EXIT_VULNERABLE: "not green: there are known vulnerabilities",
        EXIT_INCOMPLETE: "not green: incomplete, see above for what was not checked",
    }
    print(f"Verdict: {text[code]}")
    return code


def verdict(reports: list[Report]) -> int:
    """The exit code; a tool that checked nothing has not found that there is nothing."""
    if any(report.found for report in reports):
        return EXIT_VULNERABLE
    if any(report.unchecked or not report.checked for report in reports):
        return EXIT_INCOMPLETE
    return EXIT_GREEN


def audit_python() -> Report:
    """The packages installed beside this one, by pip-audit."""
    if importlib.util.find_spec("pip_audit") is None:
        return Report("pip-audit", unchecked=("Python packages: pip-audit is not installed",))
    command = [
        sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--timeout=15"
    ]  # fmt: skip
    return read_pip_audit(*_run(command, ROOT))


def audit_front_end() -> Report:
    """The packages of the front end's lock file, those of its build included, by npm."""
    npm = shutil.which("npm")
    if npm is None:
        return Report("npm audit", unchecked=("front end: npm is not installed",))
    return read_npm_audit(*_run([npm, "audit", "--json"], FRONT_END))


def read_pip_audit(output: str, complaint: str) -> Report:
    """What pip-audit printed.

    Source: https://github.com/pypa/pip-audit#usage, the format `json`.
    """
    told = _parse(output)
    if "dependencies" not in told:
        return Report("pip-audit", unchecked=(f"Python packages: {_last_line(complaint)}",))
    found, unchecked, checked = [], [], 0
    for each in told["dependencies"]:
        if "skip_reason" in each:
            if each["name"] != OURS:  # this is the project, not something it is made of
                unchecked.append(f"{each['name']}: {each['skip_reason']}")
            continue
        checked += 1
        for known in each["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no version"
            found.append(f"{each['name']} {each['version']}: {known['id']}, fixed in {fixed}")
    return Report("pip-audit", checked, tuple(found), tuple(unchecked))


def read_npm_audit(output: str, complaint: str) -> Report:
    """What npm printed.

    Source: https://docs.npmjs.com/cli/v10/commands/npm-audit, report version 2.
    """
    told = _parse(output)
    if "vulnerabilities" not in told or "metadata" not in told:
        error = told.get("error") or {}
        reason = str(error.get("summary") or told.get("message") or _last_line(complaint))
        return Report("npm audit", unchecked=(f"front end: {reason}",))
    found = tuple(
        f"{name} {each['range']}: {each['severity']}"
        for name, each in told["vulnerabilities"].items()
    )
    return Report("npm audit", told["metadata"]["dependencies"]["total"], found)


def _run(command: list[str], folder: Path) -> tuple[str, str]:
    """What a tool prints on stdout and stderr; its exit code says nothing that the report lacks."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False,
            timeout=LONGEST_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "", f"no answer within {LONGEST_SECONDS} s"
    return done.stdout, done.stderr


def _parse(output: str) -> dict[str, Any]:
    try:
        told = json.loads(output)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "the tool said nothing"


if __name__ == "__main__":
    sys.exit(main())
