"""What the API's own document says there is, so that no route is forgotten by a test."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx

EXAMPLES = {
    "call": "1",
    "run_id": "00000000-0000-4000-8000-000000000000",
    "asset_id": "prog_1",
    "artifact_id": "art_1",
    "environment_id": "box-1",
    "dataset_id": "ds_1",
    "notice_id": "ntc_" + "0" * 32,
}
VERBS = ("get", "post", "put", "patch", "delete")
CHANGING = frozenset(VERBS) - {"get"}


class Route(NamedTuple):
    """One verb of one path."""

    verb: str
    path: str
    described: dict[str, Any]

    def address(self, values: dict[str, str] | None = None) -> str:
        """The path below the server's base URL, with a value for each parameter."""
        return "api" + self.path.format(**{**EXAMPLES, **(values or {})})

    @property
    def is_open(self) -> bool:
        """Whether it needs no login: what it is asked with says who may."""
        return self.described.get("security") == []

    @property
    def is_websocket(self) -> bool:
        """Whether it is no request that is answered once."""
        return "x-websocket-messages" in self.described

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


def routes_of(http: httpx.Client) -> list[Route]:
    """All verbs of all paths of the document."""
    document = http.get("api/openapi.json").json()
    found = [
        Route(verb, path, item[verb])
        for path, item in document["paths"].items()
        for verb in VERBS
        if verb in item
    ]
    assert len(found) > 50
    return found
