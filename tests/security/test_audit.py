"""The dependency report is never green when something was not checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mellea_jupyter.runtime.ports import free_port
from tools.audit import (
    EXIT_GREEN,
    EXIT_INCOMPLETE,
    EXIT_VULNERABLE,
    Report,
    read_npm_audit,
    read_pip_audit,
    verdict,
)

ROOT = Path(__file__).parents[2]
CLEAN = Report("a", checked=10)


@pytest.mark.timeout(300)
def test_without_a_network_it_names_what_it_did_not_check_and_is_not_green() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    offline = {
        **os.environ,
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere),
        "NO_PROXY": "", "no_proxy": "",
        "npm_config_registry": nowhere, "npm_config_fetch_retries": "0",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tools.audit"], cwd=ROOT, env=offline, text=True, check=False,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == EXIT_INCOMPLETE, done.stdout + done.stderr
    assert "not checked: Python packages: " in done.stdout
    assert "not checked: front end: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Verdict: not green: incomplete")


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        ([CLEAN, CLEAN], EXIT_GREEN),
        ([CLEAN, Report("b", checked=0)], EXIT_INCOMPLETE),
        ([CLEAN, Report("b", checked=9, unchecked=("c: no such package",))], EXIT_INCOMPLETE),
        ([Report("b", checked=9, found=("x",), unchecked=("y",)), CLEAN], EXIT_VULNERABLE),
    ],
)
def test_the_verdict(reports: list[Report], code: int) -> None:
    assert verdict(reports) == code


def test_a_package_that_pip_audit_skipped_was_not_checked() -> None:
    told = {
        "dependencies": [
            {"name": "mellea-jupyter", "skip_reason": "distribution marked as editable"},
            {"name": "tornado", "version": "6.5", "vulns": []},
            {"name": "ours", "skip_reason": "Dependency not found on PyPI"},
            {
                "name": "old", "version": "1",
                "vulns": [{"id": "GHSA-1", "fix_versions": ["2"], "aliases": []}],
            },
        ]
    }  # fmt: skip
    assert read_pip_audit(json.dumps(told), "") == Report(
        "pip-audit", 2, ("old 1: GHSA-1, fixed in 2",), ("ours: Dependency not found on PyPI",)
    )


@pytest.mark.parametrize("output", ["", "[]", "{", "Traceback"])
def test_what_is_no_report_is_nothing_checked(output: str) -> None:
    for read in (read_pip_audit, read_npm_audit):
        report = read(output, "one\nConnectionError: no route\n")
        assert report.checked == 0
        assert "ConnectionError: no route" in report.unchecked[0]


def test_npms_report_and_its_error() -> None:
    told = {
        "auditReportVersion": 2,
        "vulnerabilities": {"old": {"name": "old", "severity": "high", "range": "<2"}},
        "metadata": {"dependencies": {"total": 700}},
    }
    assert read_npm_audit(json.dumps(told), "") == Report("npm audit", 700, ("old <2: high",))
    failed = {"message": "request to … failed", "error": {"summary": "", "detail": ""}}
    assert read_npm_audit(json.dumps(failed), "").unchecked == ("front end: request to … failed",)
