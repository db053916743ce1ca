from __future__ import annotations

import ssl

import pytest

from mellea_jupyter.certificates import trust_for


def test_known_authorities_are_read_once() -> None:
    trust = trust_for("https://runs.example.org/")
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.check_hostname
    assert trust.cert_store_stats()["x509_ca"] > 0
    assert trust_for("HTTPS://other.example.org/") is trust


@pytest.mark.parametrize("url", ["http://127.0.0.1:8888/", "127.0.0.1", ""])
def test_where_nothing_is_encrypted_nobody_is_trusted(url: str) -> None:
    trust = trust_for(url)
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.check_hostname
    assert trust.cert_store_stats()["x509_ca"] == 0
