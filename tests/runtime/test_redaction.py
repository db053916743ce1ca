"""Known secret values do not reach the journal, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.runtime.redaction import Redactor

KEY = "-----BEGIN KEY-----\nMIIBcanary\n-----END KEY-----\n"
SECRET = "hunter2-hunter2"
DIRTY, CLEAN = f"a {SECRET} b", "a •••• b"


def test_values_are_masked_and_the_longest_wins() -> None:
    redactor = Redactor(["hunter22", "hunter22hunter22", "short"])
    assert redactor.data(b"a hunter22hunter22 b hunter22\n") == "a •••• b ••••\n".encode()
    assert redactor.data(b"short\n") == b"short\n"


def test_a_value_is_found_as_json_python_and_urls_spell_it() -> None:
    odd = "pass\"w\\ö'r d/+"
    redactor = Redactor([odd])
    spelled = (
        odd, json.dumps(odd), json.dumps(odd, ensure_ascii=False), repr([odd]), quote(odd),
        quote(odd, safe=""), quote_plus(odd), quote_plus(odd, safe="/"),
    )  # fmt: skip
    for each in spelled:
        masked = redactor.text(f"<{each}>")
        assert masked.strip("<>[]\"'") == "••••", each
        assert redactor.data(each.encode()).strip(b"[]\"'") == "••••".encode(), each
    assert len(Redactor(["hunter2-hunter2"])._texts) == 1  # an ordinary key costs one search


@pytest.mark.parametrize(
    ("kind", "dirty", "clean"),
    [
        ("record", {"message": DIRTY}, {"message": CLEAN}),
        ("call_finished", {"prompt": [{"role": "user", "content": DIRTY}], "reply": DIRTY},
         {"prompt": [{"role": "user", "content": CLEAN}], "reply": CLEAN}),
        ("call_failed", {"error": {"type": "E", "message": DIRTY}},
         {"error": {"type": "E", "message": CLEAN}}),
        ("loop_started", {"instruction": DIRTY, "requirements": [{"index": 0, "text": DIRTY}]},
         {"instruction": CLEAN, "requirements": [{"index": 0, "text": CLEAN}]}),
        ("verdict", {"requirement": DIRTY, "reason": DIRTY},
         {"requirement": CLEAN, "reason": CLEAN}),
        ("exception", {"frames": [{"file": "a.py", "text": DIRTY}], "leaves": [{"message": DIRTY}],
                       "cause": {"message": DIRTY, "cause": {"message": DIRTY}}},
         {"frames": [{"file": "a.py", "text": CLEAN}], "leaves": [{"message": CLEAN}],
          "cause": {"message": CLEAN, "cause": {"message": CLEAN}}}),
        ("structured_output", {"data": {"type": DIRTY, DIRTY: [1, DIRTY]}},
         {"data": {"type": CLEAN, CLEAN: [1, CLEAN]}}),
        ("system", {"message": DIRTY, "metadata": {"x": DIRTY}},
         {"message": CLEAN, "metadata": {"x": CLEAN}}),
    ],
)  # fmt: skip
def test_free_text_is_masked_in_every_frame(
    kind: str, dirty: dict[str, Any], clean: dict[str, Any]
) -> None:
    assert Redactor([SECRET]).fields(kind, dirty) == clean


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("call_finished", {"provider": "lm-studio", "model": "lm-studio/x", "purpose": "lm-studio",
                           "response_model": "lm-studio", "action": "lm-studio"}),
        ("loop_started", {"strategy": "lm-studio", "requirements": [{"kind": "lm-studio"}]}),
        ("exception", {"type": "lm-studio"}),
        ("record", {"stream": "lm-studio", "level": "lm-studio"}),
        ("started", {"host": "lm-studio", "python": "/lm-studio", "reason": "lm-studio"}),
        ("stop", {"reason": "lm-studio"}),
        ("end", {"reason": "lm-studio"}),
        ("gap", {"reason": "lm-studio"}),
    ],
)  # fmt: skip
def test_words_of_the_protocol_stay(kind: str, fields: dict[str, Any]) -> None:
    assert Redactor(["lm-studio"]).fields(kind, fields) == fields


@pytest.mark.parametrize("value", ["ollama", "true", "False", "none", "1234567", "", "   "])
def test_short_values_are_words(value: str) -> None:
    redactor = Redactor([value])
    text = f"we say {value} here\n"
    assert redactor.data(text.encode()) == text.encode()
    assert redactor.fields("record", {"message": text}) == {"message": text}


def test_the_path_of_a_file_is_no_secret(tmp_path: Path) -> None:
    existing = tmp_path / "credentials.json"
    existing.touch()
    text = f"{existing} and /no/such/file\n".encode()
    masked = f"{existing} and ••••\n".encode()
    assert Redactor([str(existing), "/no/such/file", "/nul/\0/here"]).data(text) == masked


def test_each_line_of_a_long_secret_is_masked_and_the_lines_stay() -> None:
    masked = Redactor([KEY]).data(b"1\n" + KEY.encode() + b"2\n")
    assert b"canary" not in masked
    assert masked.count(b"\n") == 2 + KEY.count("\n")


def test_a_writer_masks_output_and_frames(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 1 << 20, redactor=Redactor(["canary-1"]))
    writer.write_output("stdout", b"say canary-1 now\n", lines=1)
    writer.write_output("stdout", b"and on\n", lines=1)
    writer.write("exception", type="ValueError", message="bad canary-1", frames=[])
    writer.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"canary-1" not in written
    assert (tmp_path / "output.000").read_bytes() == "say •••• now\nand on\n".encode()
