"""Which variables are treated as secrets."""

from __future__ import annotations

import pytest

from mellea_jupyter.models.variables import is_secret_name


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("OPENAI_API_KEY", True),
        ("AZURE_OPENAI_API_KEY", True),
        ("APIKEY", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("HF_TOKEN", True),
        ("token", True),
        ("GITHUB_TOKEN_2", True),
        ("TOKEN1", True),
        ("DB_PASSWORD", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True),
        ("TOKENIZERS_PARALLELISM", False),
        ("MAX_TOKENS", False),
        ("max_tokens_out", False),
        ("PATH", False),
        ("OPENAI_BASE_URL", False),
    ],
)
def test_names_tell_secrets(name: str, *, is_secret: bool) -> None:
    assert is_secret_name(name) is is_secret
