"""Signed links: what they say, and that nothing else passes for one."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mellea_jupyter.auth.signing import LinkSigner, SignedLink

SOON = 4_000_000_000
LINK = SignedLink("run", "art_1", "ada", SOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signing.key"


def test_a_signature_says_what_was_signed_also_to_another_server(path: Path) -> None:
    signature = LinkSigner(path).sign(LINK)
    assert LinkSigner(path).read(signature) == LINK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_changed_signature_is_none(path: Path) -> None:
    signer = LinkSigner(path)
    signature = signer.sign(LINK)
    other = signer.sign(replace(LINK, artifact_id="art_2"))
    head, _, tail = signature.rpartition("|")
    other_head, _, other_tail = other.rpartition("|")
    swapped = (f"{head}|{other_tail}", f"{other_head}|{tail}")
    for wrong in ("", "x", signature[:-1], head, signature.replace("2|", "1|", 1), *swapped):
        assert signer.read(wrong) is None


def test_a_signature_of_another_key_is_none(path: Path, tmp_path: Path) -> None:
    assert LinkSigner(tmp_path / "other").read(LinkSigner(path).sign(LINK)) is None


def test_a_signature_expires(path: Path) -> None:
    signer = LinkSigner(path)
    signature = signer.sign(LINK)
    assert signer.read(signature, now=SOON - 1) == LINK
    assert signer.read(signature, now=SOON) is None


def test_servers_that_make_the_key_at_once_agree(path: Path) -> None:
    signers = [LinkSigner(path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda signer: signer.sign(LINK), signers))
    assert all(signer.read(each) == LINK for signer in signers for each in signatures)
