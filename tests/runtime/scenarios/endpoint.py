"""Where a scenario program finds its scripted endpoint, and how it sets the script.

The endpoint is a `ScriptedLlm`, named by ``OLLAMA_HOST`` (Ollama protocol) or else by
``OPENAI_BASE_URL``. The programs need nothing but mellea.
"""

import json
import os
from typing import Any
from urllib.request import Request, urlopen

from mellea import MelleaSession, start_session
from mellea.stdlib.requirements import Requirement, req, simple_validate

os.environ.setdefault("OPENAI_API_KEY", "sk-scripted")


def script(*steps: Any) -> None:
    """Play these replies from now on; the last one repeats. The endpoint's counts restart."""
    root = os.environ.get("OLLAMA_HOST") or os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
    request = Request(f"{root}/__script", data=json.dumps(steps).encode())
    urlopen(request, timeout=30).read()


def session(**options: Any) -> MelleaSession[Any]:
    """A session with the endpoint, over the protocol that the environment names."""
    if os.environ.get("OLLAMA_HOST"):
        return start_session("ollama", "llama3", **options)
    return start_session("openai", "gpt-4o", **options)


def must_contain_ok() -> Requirement:
    """A requirement that the program checks itself: the reply contains ``OK``."""
    check = simple_validate(lambda text: ("OK" in text, "no OK found"))
    return req("must contain OK", validation_fn=check)
