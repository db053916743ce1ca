"""Names of environment variables: what may be one, and which ones configure a model provider."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import StringConstraints

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

SERVER_PREFIXES: Final = ("JPY", "JUPYTER", "MELLEA_JUPYTER_", "CONFIGPROXY_")
"""How the names of the Jupyter server's own variables begin, and those of a hub and its proxy: no
program inherits those."""

PROVIDER_VARIABLES: Final = frozenset(
    {
        "ANTHROPIC_API_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_API_BASE",
        "AZURE_API_KEY",
        "AZURE_API_VERSION",
        "COHERE_API_KEY",
        "DEEPSEEK_API_KEY",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GROQ_API_KEY",
        "HF_TOKEN",
        "MISTRAL_API_KEY",
        "OLLAMA_API_KEY",
        "OLLAMA_HOST",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_ORG_ID",
        "OPENROUTER_API_KEY",
        "TOGETHERAI_API_KEY",
        "XAI_API_KEY",
    }
)
PROVIDER_PREFIXES: Final = ("WATSONX_", "RITS_")

_SECRET_NAME = re.compile(
    r"KEY|SECRET|PASSWORD|CREDENTIAL|TOKEN(?![A-Z])",  # MAX_TOKENS and TOKENIZERS_… are none
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name is treated as a secret."""
    return _SECRET_NAME.search(name) is not None


def is_provider_variable(name: str) -> bool:
    """Whether a variable configures a model provider."""
    return name in PROVIDER_VARIABLES or name.startswith(PROVIDER_PREFIXES)
