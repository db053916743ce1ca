"""What a model's provider needs before a run can call it, as far as that can be told from here.

Everything is a guess about a program that may bring its own model or key, so it is said as a
warning and never keeps a run from being created. Of providers that are not named here nothing is
said.

Source: mellea 0.8 (`mellea.backends.openai`, `.ollama`, `.watsonx`), and the provider pages of
https://docs.litellm.ai/docs/providers (read 2026-11).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from mellea_jupyter.certificates import trust_for
from mellea_jupyter.models.requests import Problem

OLLAMA_SECONDS: Final = 1.0

# The variables a provider needs, each with those that will do instead.
_VARIABLES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "openai": (("OPENAI_API_KEY",),),
    "watsonx": (("WATSONX_API_KEY",), ("WATSONX_URL",), ("WATSONX_PROJECT_ID",)),
    "anthropic": (("ANTHROPIC_API_KEY",),),
    "gemini": (("GEMINI_API_KEY", "GOOGLE_API_KEY"),),
    "groq": (("GROQ_API_KEY",),),
    "mistral": (("MISTRAL_API_KEY",),),
}
_OLLAMA_PORT: Final = 11434
_SCHEME_PORTS: Final = {"http": 80, "https": 443}
_FIELD: Final = "config.model"


def provider_of(model: str) -> str:
    """`openai` of `openai/gpt-4o`, `groq` of `litellm/groq/…`; a bare name is ollama's."""
    provider, slash, rest = model.partition("/")
    if not slash:
        return "ollama"
    return provider_of(rest) if provider == "litellm" and "/" in rest else provider


def find_missing_variables(model: str, variables: Mapping[str, str]) -> list[Problem]:
    """The variables that a model needs and a program would not have."""
    provider = provider_of(model)
    missing = [
        names
        for names in _VARIABLES.get(provider, ())
        if not any(variables.get(name) for name in names)
    ]
    return [
        _warning(
            f"{model} needs {' or '.join(names)}, which is not set.",
            "Add it to the variables, or set it where the server starts, unless the program "
            "brings its own.",
        )
        for names in missing
    ]


def ollama_url(host: str) -> str:
    """OLLAMA_HOST as Ollama's own client reads it; the default endpoint where it is empty.

    Scheme, host and port may be left out. Without a scheme the port is Ollama's, else the scheme's.
    An address to listen on stands for this machine.

    Raises:
        ValueError: it is no address.
    """
    parts = urlsplit(host if "://" in host else f"http://{host}")
    port = parts.port or (_SCHEME_PORTS.get(parts.scheme) if "://" in host else None)
    name = parts.hostname or "127.0.0.1"
    if name in ("0.0.0.0", "::"):  # noqa: S104 - we do not listen on it
        name = "127.0.0.1"
    shown = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{shown}:{port or _OLLAMA_PORT}{parts.path.rstrip('/')}"


async def find_ollama_problem(model: str, variables: Mapping[str, str]) -> Problem | None:
    """Why a model of ollama could not be called now; its endpoint has a second to answer."""
    import httpx

    try:
        base = ollama_url(variables.get("OLLAMA_HOST", ""))
    except ValueError:
        return _warning("OLLAMA_HOST is no address.", "Write it as host:port.")
    trust = await asyncio.to_thread(trust_for, base)
    try:
        async with httpx.AsyncClient(timeout=OLLAMA_SECONDS, trust_env=False, verify=trust) as http:
            reply = await http.get(f"{base}/api/tags")
            reply.raise_for_status()
            pulled = {str(each["name"]) for each in reply.json()["models"]}
    except (httpx.HTTPError, httpx.InvalidURL):
        return _warning(
            f"Ollama does not answer at {base}.",
            "Start it with `ollama serve`, or set OLLAMA_HOST where the server starts.",
        )
    except (ValueError, KeyError, TypeError):
        return None  # something answers that is not quite Ollama; it may still serve the model
    name = model.removeprefix("litellm/").removeprefix("ollama/")
    if name in pulled or f"{name}:latest" in pulled:
        return None
    return _warning(f"Ollama has no model {name} yet.", f"Get it with `ollama pull {name}`.")


def _warning(message: str, hint: str) -> Problem:
    return Problem(field=_FIELD, message=message, hint=hint, severity="warning")
