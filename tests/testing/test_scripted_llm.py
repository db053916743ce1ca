"""The scripted endpoint counts what really went over the wire, and ends cleanly."""

from __future__ import annotations

import json
import socket
import threading

import httpx
import pytest

from mellea_jupyter.testing.scripted_llm import ScriptedLlm, get_remote, set_remote_script

MESSAGES = [{"role": "user", "content": "one two three"}]


def test_the_script_is_played_in_order_and_its_last_step_repeats() -> None:
    with ScriptedLlm(["a", "b"]) as llm:
        replies = [
            httpx.post(f"{llm.url}/api/chat", json={"model": "m", "messages": MESSAGES}).json()
            for _ in range(3)
        ]
    assert [reply["message"]["content"] for reply in replies] == ["a", "b", "b"]
    assert replies[0]["prompt_eval_count"] == 3


def test_a_client_that_leaves_is_not_counted_as_replied() -> None:
    with ScriptedLlm([{"text": "late", "delay_seconds": 60}]) as llm:
        body = {"model": "m", "messages": MESSAGES}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{llm.openai_url}/chat/completions", json=body, timeout=0.2)
        llm.stop()
    counts = llm.counts()
    assert (counts["requests"], counts["gone"], counts["input_tokens"]) == (1, 1, 0)


def test_errors_keep_their_status_code_and_type() -> None:
    step = {
        "status": 429,
        "text": "slow down",
        "error_type": "requests",
        "error_code": "rate_limit_exceeded",
        "headers": {"retry-after": "1"},
    }
    with ScriptedLlm([step]) as llm:
        answer = httpx.post(f"{llm.openai_url}/chat/completions", json={"messages": MESSAGES})
        assert llm.counts()["failed"] == 1
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_an_error_keeps_its_text_where_a_schema_is_asked_for() -> None:
    schema = {"json_schema": {"schema": {"type": "object", "properties": {"n": {}}}}}
    body = {"messages": MESSAGES, "response_format": schema}
    with ScriptedLlm([{"status": 403, "text": "not for you"}]) as llm:
        answer = httpx.post(f"{llm.openai_url}/chat/completions", json=body)
    assert answer.json()["error"]["message"] == "not for you"


def test_a_body_of_its_own_is_sent_as_it_stands() -> None:
    step = {"status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"}
    with ScriptedLlm([step]) as llm:
        answer = httpx.post(f"{llm.url}/api/chat", json={"model": "m", "messages": MESSAGES})
        assert llm.counts()["failed"] == 1
    assert (answer.status_code, answer.text) == (502, "<h1>Bad Gateway</h1>")
    assert answer.headers["content-type"] == "text/html"


def test_a_connection_can_be_cut_before_or_in_a_reply() -> None:
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    received: list[dict[str, object]] = []
    with ScriptedLlm([{"cut_after": 0}, {"text": "a b c d", "cut_after": 2}]) as llm:
        with pytest.raises(httpx.ReadError):
            httpx.post(f"{llm.url}/api/chat", json=body)
        with (
            pytest.raises(httpx.ReadError),
            httpx.stream("POST", f"{llm.url}/api/chat", json=body) as answer,
        ):
            received.extend(json.loads(line) for line in answer.iter_lines())
        counts = llm.counts()
    assert len(received) <= 2
    assert (counts["requests"], counts["failed"], counts["output_tokens"]) == (2, 2, 0)


def test_another_process_can_script_it_and_read_its_counts() -> None:
    with ScriptedLlm() as llm:
        set_remote_script(llm.openai_url, ["scripted words"])
        body = {"model": "m", "prompt": ["a b", "c"]}
        answer = httpx.post(f"{llm.openai_url}/completions", json=body).json()
        assert [choice["text"] for choice in answer["choices"]] == ["scripted words"] * 2
        assert get_remote(llm.url, "counts")["output_tokens"] == 4
        [exchange] = get_remote(llm.url, "exchanges")["exchanges"]
    assert exchange["outcome"] == "replied"


def test_a_stream_without_usage_says_no_tokens() -> None:
    with ScriptedLlm([{"text": "a b", "usage": False}]) as llm:
        body = {"model": "m", "messages": MESSAGES, "stream": True}
        answer = httpx.post(f"{llm.url}/api/chat", json=body)
        assert llm.counts()["output_tokens"] == 0
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["message"]["content"] for line in lines] == ["a", " b", ""]
    assert "eval_count" not in lines[-1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/version", 404),
        ("GET", "/v1/models", 200),
        ("GET", "/api/tags", 200),
        ("GET", "/api/ps", 200),
        ("GET", "/", 200),
        ("POST", "/api/show", 200),
        ("POST", "/api/pull", 200),
        ("POST", "/unknown", 404),
    ],
)
def test_other_paths_answer_as_the_real_servers_do(method: str, path: str, status: int) -> None:
    with ScriptedLlm() as llm:
        answer = httpx.request(method, llm.url + path, json={} if method == "POST" else None)
        assert llm.counts()["requests"] == 0
    assert answer.status_code == status


def test_it_leaves_no_thread_and_no_listener_behind() -> None:
    before = set(threading.enumerate())
    llm = ScriptedLlm([{"text": "never", "delay_seconds": 60}])
    llm.start()
    with socket.create_connection(("127.0.0.1", int(llm.url.rpartition(":")[2]))) as client:
        head = "POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        client.sendall(head.encode())
        while not llm.exchanges:
            threading.Event().wait(0.01)
        llm.stop()
        client.settimeout(30)
        assert client.recv(1) == b""
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()
