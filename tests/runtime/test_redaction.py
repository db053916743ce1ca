"""Known secret values do not reach the journal."""

from __future__ import annotations

from pathlib import Path

from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.runtime.redaction import Redactor

KEY = "-----BEGIN KEY-----\nMIIBcanary\n-----END KEY-----\n"


def test_values_are_masked_wherever_they_stand_and_the_longest_wins() -> None:
    redactor = Redactor(["hunter2", "hunter2hunter2", "short"])
    assert redactor.data(b"a hunter2hunter2 b hunter2\n") == "a •••• b ••••\n".encode()
    assert redactor.value({"a": ["x hunter2", 7], "b": None}) == {"a": ["x ••••", 7], "b": None}
    assert redactor.data(b"short\n") == b"short\n"


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
