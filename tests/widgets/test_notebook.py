"""Notebooks that are executed by a real kernel against a real server, and what is saved of them."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.widgets.display import VIEW_MIME_TYPE, WIDGET_MIME_TYPE
from tests.examples.conftest import demo, server

__all__ = ["demo", "server"]

ROOT = Path(__file__).parents[2]
WIDGET = "mellea_jupyter/widgets/static/widget.js"
DEADLINE_SECONDS = 60.0

SLOW = "import time\nprint('<b>begun</b>')\ntime.sleep(1.5)\nprint('done')\n"

Kernel = tuple[KernelManager, BlockingKernelClient]


@pytest.fixture
def announced(
    server: JupyterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JupyterServer:
    """The server, with the variables that it sets for its own kernels."""
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(server.token)
    monkeypatch.setenv("MELLEA_JUPYTER_URL", server.url)
    monkeypatch.setenv("MELLEA_JUPYTER_TOKEN_FILE", str(token))
    monkeypatch.setenv("MELLEA_JUPYTER_ROOT_DIR", str(server.root))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (server.root / "slow.py").write_text(SLOW)
    return server


def execute(server: JupyterServer, *cells: str) -> Any:
    """The notebook as it is saved after nobody has looked at it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    where = {"metadata": {"path": str(server.root)}}
    NotebookClient(notebook, timeout=DEADLINE_SECONDS, resources=where).execute()
    text = nbformat.writes(notebook)
    assert server.token not in text
    return json.loads(text)


def data_of(notebook: Any, cell: int) -> dict[str, Any]:
    (output,) = notebook["cells"][cell]["outputs"]
    data = output["data"]
    return {name: "".join(v) if isinstance(v, list) else v for name, v in data.items()}


def test_a_saved_notebook_says_all_without_a_script(announced: JupyterServer) -> None:
    notebook = execute(
        announced,
        "%load_ext mellea_jupyter\nfrom mellea_jupyter import *",
        "%mellea_run slow.py --wait",
        "run = _\nLogView(run)",
        "RunMetrics(run)",
        "RunsTable(status='succeeded')",
        "RunsDashboard()",
        "cost_summary(by='asset')",
    )
    for cell, view in enumerate(("run", "log", "metrics", "table", "runs", "cost"), start=1):
        data = data_of(notebook, cell)
        assert data[VIEW_MIME_TYPE]["view"] == view
        assert WIDGET_MIME_TYPE not in data  # nobody sits before it
        assert "slow.py" in data["text/html"]
        assert "slow.py" in data["text/plain"]
        assert "<script" not in data["text/html"]
    card = data_of(notebook, 1)
    assert "succeeded" in card["text/html"]  # its end, although it was shown at once
    assert "&lt;b&gt;begun&lt;/b&gt;" in card["text/html"]
    assert "widgets" not in notebook["metadata"]


def test_the_output_is_brought_up_to_date_when_the_run_ends(announced: JupyterServer) -> None:
    notebook = execute(
        announced,
        "%load_ext mellea_jupyter",
        "%mellea_run slow.py",
        "run = _\nprint(run.status)",
        "import time\nrun.wait(30)\ntime.sleep(3)  # the card looks every two seconds",
    )
    assert "succeeded" not in "".join(notebook["cells"][2]["outputs"][0]["text"])
    card = data_of(notebook, 1)
    assert "succeeded" in card["text/plain"]
    assert "done" in card["text/html"]


def test_without_a_server_a_notebook_shows_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    for name in ("MELLEA_JUPYTER_URL", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    server = JupyterServer(tmp_path)
    server.root.mkdir(exist_ok=True)
    notebook = execute(server, "import mellea_jupyter\nmellea_jupyter.RunsDashboard()")
    assert set(data_of(notebook, 0)) == {"text/plain", "text/html"}
    assert "No Jupyter server" in data_of(notebook, 0)["text/plain"]


@pytest.fixture
def kernel(
    announced: JupyterServer, checkout: Path, built_wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BlockingKernelClient]:
    """A kernel with somebody before it, and with the widget built."""
    assert built_wheel.is_file()
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    manager, client = start_new_kernel(cwd=str(announced.root))
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def message(client: BlockingKernelClient, wanted: Callable[[dict[str, Any]], bool]) -> Any:
    """The next message of the kernel that is wanted."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            found = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        assert found["msg_type"] != "error", found["content"]["traceback"]
        if wanted(found):
            return found
    raise TimeoutError


def test_a_widget_is_answered_through_its_comm(
    announced: JupyterServer, kernel: BlockingKernelClient, checkout: Path
) -> None:
    kernel.execute("%load_ext mellea_jupyter\n%mellea_run slow.py", allow_stdin=True)
    opened = message(
        kernel, lambda found: "seed" in found["content"].get("data", {}).get("state", {})
    )
    state = opened["content"]["data"]["state"]
    assert state["_esm"] == (checkout / WIDGET).read_text("utf-8")
    assert announced.token not in json.dumps(state)
    shown = message(kernel, lambda found: found["msg_type"] == "display_data")["content"]
    comm_id = opened["content"]["comm_id"]
    assert shown["data"][WIDGET_MIME_TYPE]["model_id"] == comm_id
    run_id = shown["data"][VIEW_MIME_TYPE]["run_id"]
    assert state["spec"] == {"view": "run", "run_id": run_id}

    def ask(**content: Any) -> None:
        data = {"method": "custom", "content": {"client": "b", **content}}
        sent = {"comm_id": comm_id, "data": data}
        kernel.shell_channel.send(kernel.session.msg("comm_msg", sent))

    def content_of(found: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = found["content"].get("data", {}).get("content", {})
        return content

    ask(kind="request", id=1, method="GET", path=f"runs/{run_id}", body=None)
    reply = content_of(message(kernel, lambda found: content_of(found).get("kind") == "reply"))
    assert (reply["client"], reply["id"], reply["status"]) == ("b", 1, 200)
    assert json.loads(reply["body"])["id"] == run_id
    ask(kind="request", id=2, method="GET", path="../contents", body=None)
    reply = content_of(message(kernel, lambda found: content_of(found).get("kind") == "reply"))
    assert (reply["id"], reply["status"]) == (2, 403)
    updated = message(kernel, lambda found: found["msg_type"] == "update_display_data")["content"]
    assert updated["transient"] == shown["transient"]
    assert "succeeded" in updated["data"]["text/plain"]
    assert WIDGET_MIME_TYPE in updated["data"]  # a browser shows it
