"""`RunHandle` and its awaiting twin."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mellea_jupyter.client import (
    ClientError,
    MelleaClient,
    RunFailed,
    RunHandle,
    ServerError,
    WaitTimeout,
)
from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.models.run import RunStatus
from tests.client.fake_server import TOKEN, FakeServer, a_frame, a_run, an_artifact


def test_waiting_ends_with_the_run(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run())
    threading.Timer(0.1, fake.end, (run.id, "failed"), {"exit_code": 3}).start()
    handle = client.handle(run.id)
    assert handle.wait(30) is handle
    assert (handle.status, handle.exit_code) == (RunStatus.FAILED, 3)


def test_waiting_no_longer_than_asked(fake: FakeServer, client: MelleaClient) -> None:
    handle = client.handle(fake.add(a_run()).id)
    with pytest.raises(WaitTimeout, match="still active"):
        handle.wait(0.05)


def test_an_interrupted_wait_says_how_to_come_back(
    fake: FakeServer, client: MelleaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = client.handle(fake.add(a_run()).id)
    monkeypatch.setattr(time, "sleep", lambda _: signal.raise_signal(signal.SIGINT))
    # A shell starts its background jobs with SIGINT ignored, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match=f"logs -f {handle.id[:8]}"):
            handle.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    assert fake.runs[handle.id].status is RunStatus.RUNNING


def test_the_result_is_the_output_or_the_failure(fake: FakeServer, client: MelleaClient) -> None:
    good, bad = fake.add(a_run()), fake.add(a_run())
    fake.outputs[good.id] = [
        StructuredOutput(artifact_id="a", data=1),
        StructuredOutput(artifact_id="b", data={"city": "Lisbon"}),
    ]
    fake.end(good.id)
    fake.end(bad.id, "failed", exit_code=1, status_reason="exit_code", error_message="No key.")
    assert client.handle(good.id).result() == {"city": "Lisbon"}
    with pytest.raises(RunFailed, match=r"failed \(exit code 1\): No key\.") as caught:
        client.handle(bad.id).result()
    assert caught.value.run.id == bad.id


def test_a_run_without_output_has_none(fake: FakeServer, client: MelleaClient) -> None:
    assert client.handle(fake.add(a_run()).id).output is None


def test_cancel_is_harmless_after_the_end(fake: FakeServer, client: MelleaClient) -> None:
    handle = client.handle(fake.add(a_run()).id)
    assert handle.cancel().run.is_stop_requested
    fake.end(handle.id, "cancelled")
    assert handle.cancel().status is RunStatus.CANCELLED
    del fake.runs[handle.id]
    with pytest.raises(ServerError, match="No run"):
        handle.cancel()


def test_retry_sends_the_overrides(fake: FakeServer, client: MelleaClient) -> None:
    handle = client.handle(fake.add(a_run(status=RunStatus.FAILED)).id)
    again = handle.retry(model="ollama/llama3", env_vars={"OLD": None})
    assert again.run.retry_of == handle.id
    ((_, body),) = fake.seen("POST", f"/api/runs/{handle.id}/retry")
    assert body == {"config_overrides": {"model": "ollama/llama3", "env_vars": {"OLD": None}}}


def test_artifacts_by_path_or_unique_name(
    fake: FakeServer, client: MelleaClient, tmp_path: Path
) -> None:
    run = a_run()
    refs = tuple(an_artifact(run.id, path, b"x") for path in ("a/plan.md", "b/plan.md", "c.txt"))
    fake.add(run.changed(artifacts=refs))
    fake.artifacts = {ref.id: ref.path.encode() for ref in refs}
    handle = client.handle(run.id)
    assert [each.path for each in handle.artifacts()] == ["a/plan.md", "b/plan.md", "c.txt"]
    assert handle.artifact("b/plan.md").read() == b"b/plan.md"
    assert handle.artifact("c.txt").save(tmp_path) == tmp_path / "c.txt"
    assert (tmp_path / "c.txt").read_bytes() == b"c.txt"
    with pytest.raises(ClientError, match="several artifacts"):
        handle.artifact("plan.md")
    with pytest.raises(ClientError, match="It kept: a/plan"):
        handle.artifact("none")


@pytest.mark.parametrize("name", ["..", "../../evil", "/etc/evil", ".", ""])
def test_an_artifact_is_saved_into_the_folder_whatever_its_name(
    fake: FakeServer, client: MelleaClient, tmp_path: Path, name: str
) -> None:
    run = a_run()
    ref = replace(an_artifact(run.id, "x", b"x"), name=name)
    fake.add(run.changed(artifacts=(ref,)))
    fake.artifacts[ref.id] = b"x"
    saved = client.handle(run.id).artifact("x").save(tmp_path)
    assert saved.parent == tmp_path


def test_logs_and_following(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(), *[a_frame(seq, f"line {seq}") for seq in range(1, 6)])
    fake.end(run.id)
    handle = client.handle(run.id)
    assert [frame.line for frame in handle.logs()] == [1, 2, 3, 4, 5]
    assert [frame.line for frame in handle.logs(tail=2)] == [4, 5]
    assert [frame.line for frame in handle.follow(after="3.1")] == [4, 5]


def test_the_snapshot_escapes_what_programs_chose(fake: FakeServer, client: MelleaClient) -> None:
    evil = "<script>alert('x')</script>"
    run = fake.add(a_run(name=evil))
    fake.end(run.id, "failed", error_message=evil)
    bundle = client.handle(run.id)._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert bundle["text/plain"].startswith(f"run {run.id[:8]}")
    assert TOKEN not in str(bundle)
    assert f"lab?mellea-run={run.id}" in bundle["text/html"]


async def test_the_awaiting_handle_does_the_same(
    fake: FakeServer, client: MelleaClient, tmp_path: Path
) -> None:
    run = a_run()
    ref = an_artifact(run.id, "plan.md", b"x")
    fake.add(run.changed(artifacts=(ref,)), a_frame(1, "one"), a_frame(2, "two"))
    fake.artifacts[ref.id] = b"the plan"
    fake.outputs[run.id] = [StructuredOutput(artifact_id="a", data=7)]
    handle = RunHandle(client, fake.runs[run.id]).aio
    with pytest.raises(WaitTimeout):
        await handle.wait(0.05)
    assert [frame.line for frame in await handle.logs(tail=1)] == [2]
    assert (await handle.cancel()).run.is_stop_requested
    threading.Timer(0.1, fake.end, (run.id,)).start()
    assert [frame.line async for frame in handle.follow()] == [1, 2]
    assert await handle.result(30) == 7
    assert (await handle.cancel()).status is RunStatus.SUCCEEDED
    artifact = await handle.artifact("plan.md")
    assert await artifact.read() == b"the plan"
    assert (await artifact.save(tmp_path)).read_bytes() == b"the plan"
    assert len(await handle.artifacts()) == 1
    assert (await handle.retry()).run.attempt == 2
    assert handle.url == client.connection.run_url(run.id)
    assert "text/html" in handle._repr_mimebundle_()
