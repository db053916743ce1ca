"""What an artifact is shown as, whatever a program wrote into it."""

from __future__ import annotations

import json

import pytest

from mellea_jupyter import clock
from mellea_jupyter.models.artifacts import ArtifactPreview, ArtifactRef, PreviewKind
from mellea_jupyter.runtime.redaction import MASK, Redactor
from mellea_jupyter.service import preview

SECRET = "hunter2-hunter2"
NUMBER = "1234567890123"


MASKING = Redactor([SECRET, NUMBER])


def show(
    data: bytes,
    content_type: str = "text/plain",
    *,
    size: int | None = None,
    redactor: Redactor | None = MASKING,
) -> ArtifactPreview:
    artifact = ArtifactRef(
        id="art_1",
        run_id="run",
        name="name",
        path="name",
        content_type=content_type,
        size_bytes=len(data) if size is None else size,
        created_at=clock.now(),
        checksum="0" * 64,
    )
    return preview.make_preview(artifact, lambda end: data[:end], redactor)


def test_text_is_shown_as_it_is_but_for_secrets() -> None:
    shown = show(f"Größe <b>{SECRET}</b>\r\n".encode())
    assert shown.kind == PreviewKind.TEXT
    assert shown.text == f"Größe <b>{MASK}</b>\r\n"
    assert (shown.truncated, shown.shown_bytes) == (False, len(f"Größe <b>{SECRET}</b>\r\n") + 2)
    assert show(b"").text == ""
    assert show(b"\xef\xbb\xbftext").text == "text"


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/markdown", "x/y"])
def test_what_is_text_by_its_content_is_text(content_type: str) -> None:
    assert show(b"# title", content_type).kind == PreviewKind.TEXT


@pytest.mark.parametrize("data", [b"\x7fELF\0", b"caf\xe9 latin", "wide".encode("utf-16")])
def test_what_is_no_text_has_no_preview(data: bytes) -> None:
    shown = show(data)
    assert (shown.kind, shown.reason, shown.text) == (PreviewKind.NONE, "binary", None)


def test_a_long_text_is_cut_between_characters() -> None:
    data = b"x" + "ä".encode() * preview.TEXT_BYTES
    shown = show(data)
    assert shown.truncated
    assert shown.text == "x" + "ä" * ((preview.TEXT_BYTES - 1) // 2)


@pytest.mark.parametrize("ahead", range(0, len(SECRET) + 3, 2))
def test_a_secret_at_the_cut_is_masked_or_left_out_whole(ahead: int) -> None:
    before = preview.TEXT_BYTES - ahead
    shown = show(b"\n" * before + SECRET.encode() + b"\n" * 100)
    assert shown.text is not None
    assert shown.text.strip() in {"", MASK}
    assert shown.truncated


def test_overlapping_secrets_at_the_cut_show_nothing_of_each_other() -> None:
    redactor = Redactor(["alphabeta", "betagammadelta"])
    for limit in range(1, len("..alphabetagammadelta")):
        assert redactor.cut(b"..alphabetagammadelta..", limit) in {b".", b".."}


def test_json_is_masked_in_keys_values_and_numbers_and_keeps_long_numbers() -> None:
    escaped = Redactor(['quote"quote'])
    assert show(b'["quote\\"quote"]', "application/json", redactor=escaped).text == f'["{MASK}"]'
    value = {SECRET: [SECRET, int(NUMBER), 1.5, None], "long": 2**70, "nan": float("nan")}
    shown = show(json.dumps(value).encode(), "application/json")
    assert shown.kind == PreviewKind.JSON
    assert json.loads(shown.text or "") == {
        MASK: [MASK, MASK, 1.5, None], "long": str(2**70), "nan": "NaN"
    }  # fmt: skip


@pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"9" * 10_000 + b"e"])
def test_json_that_is_none_is_text(data: bytes) -> None:
    shown = show(data, "application/json")
    assert (shown.kind, shown.text) == (PreviewKind.TEXT, data.decode())


def test_json_that_is_too_large_for_a_tree_is_the_beginning_of_a_text() -> None:
    shown = show(b'"' + b"x" * preview.WHOLE_BYTES + b'"', "application/json")
    assert (shown.kind, shown.truncated) == (PreviewKind.TEXT, True)
    assert shown.shown_bytes == preview.TEXT_BYTES
    shown = show(b"x" * preview.WHOLE_BYTES, "application/json")
    assert (shown.kind, shown.truncated) == (PreviewKind.TEXT, True)
    assert len(shown.text or "") == preview.TEXT_BYTES


def test_a_table_has_its_cells_as_they_are_written() -> None:
    data = f'name,formula\r\n"a, ""b""",=HYPERLINK("http://x")\n{SECRET},1'.encode()
    shown = show(data, "text/csv")
    assert shown.rows == (
        ("name", "formula"), ('a, "b"', '=HYPERLINK("http://x")'), (MASK, "1")
    )  # fmt: skip
    assert not shown.truncated
    assert show(b"a;b;c,d\n", "text/csv").rows == (("a", "b", "c,d"),)
    assert show(b"a\tb,c\n", "text/tab-separated-values").rows == (("a", "b,c"),)


def test_a_table_is_bounded_in_every_direction() -> None:
    wide = ",".join(["x" * (preview.MAX_CELL + 1)] + ["y"] * preview.MAX_COLUMNS)
    shown = show("\n".join([wide] * 3).encode(), "text/csv")
    assert shown.rows is not None
    assert shown.truncated
    assert [len(row) for row in shown.rows] == [preview.MAX_COLUMNS] * 3
    assert len(shown.rows[0][0]) == preview.MAX_CELL
    long = show(b"a,b\n" * (preview.MAX_ROWS + 1), "text/csv")
    assert (len(long.rows or ()), long.truncated) == (preview.MAX_ROWS, True)
    cut = show(b"aaaa,bbbb\n" * 300 + b"q" * preview.TEXT_BYTES, "text/csv")
    assert (len(cut.rows or ()), cut.truncated) == (300, True)


def test_what_no_table_can_be_made_of_is_text() -> None:
    data = b'"' + b"x" * 200_000  # a cell without an end, over what the reader takes
    assert show(data, "text/csv").kind == PreviewKind.TEXT


@pytest.mark.parametrize(
    ("content_type", "kind"), [("text/html", "html"), ("image/svg+xml", "svg")]
)
def test_markup_says_what_it_is_and_has_its_secrets_masked(content_type: str, kind: str) -> None:
    shown = show(f"<p>{SECRET}</p>".encode(), content_type)
    assert (shown.kind, shown.text) == (kind, f"<p>{MASK}</p>")


def test_images_are_taken_from_the_download_unless_they_are_too_large() -> None:
    assert show(b"\x89PNG", "image/png").kind == PreviewKind.IMAGE
    assert show(b"", "image/webp", size=preview.IMAGE_BYTES + 1).reason == "too_large"
    assert show(b"", "image/svg+xml", size=preview.WHOLE_BYTES + 1).reason == "too_large"
    assert show(b"II*\0", "image/tiff").reason == "binary"


def test_without_the_values_no_text_is_shown() -> None:
    assert show(b"x", redactor=None).reason == "secrets_gone"
    assert show(b"\x89PNG", "image/png", redactor=None).kind == PreviewKind.IMAGE
