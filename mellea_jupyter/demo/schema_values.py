"""Makes a plausible value for a JSON schema, the same one each time.

Standard library only; used for the structured replies of scripted endpoints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 12
_STRINGS_BY_NAME = {
    "name": "Ada Lovelace",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.org",
    "city": "Lisbon",
    "country": "Portugal",
    "date": "2026-03-14",
    "url": "https://example.org/",
    "title": "A scripted title",
    "summary": "A scripted summary in one sentence.",
    "description": "A scripted description.",
}
_STRINGS_BY_FORMAT = {
    "date": "2026-03-14",
    "date-time": "2026-03-14T09:26:53Z",
    "time": "09:26:53Z",
    "email": "ada@example.org",
    "uri": "https://example.org/",
    "uuid": "6f1f7a3e-54a7-4d1c-9d1a-0c5e2f8b7a10",
}


def value_for_schema(schema: Mapping[str, Any], seed: str = "") -> Any:
    """Make a value that the schema accepts.

    The same schema and seed always make the same value; other seeds choose other members of an
    ``enum`` and other numbers. References, unions, bounds on numbers, lengths and items are
    honoured; ``pattern`` is not.
    """
    return _Maker(schema, seed).make(schema, name="", depth=0)


class _Maker:
    def __init__(self, root: Mapping[str, Any], seed: str) -> None:
        self._root = root
        self._seed = seed

    def make(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return None
        if "$ref" in schema:
            return self.make(self._resolve(str(schema["$ref"])), name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self._pick(name, len(schema["enum"]))]
        for union in ("anyOf", "oneOf", "allOf"):
            if schema.get(union):
                return self.make(schema[union][0], name, depth + 1)
        return self._make_typed(schema, name, depth)

    def _make_typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = kind[0] if kind else None
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties") or {}
            return {key: self.make(sub, key, depth + 1) for key, sub in properties.items()}
        if kind == "array":
            return self._items(schema, name, depth)
        if kind in {"integer", "number"}:
            return self._number(schema, name, whole=kind == "integer")
        if kind == "boolean":
            return True
        return None if kind == "null" else self._string(schema, name)

    def _resolve(self, reference: str) -> Any:
        node: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            if part:
                node = node.get(part) if isinstance(node, Mapping) else None
        return node

    def _items(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        if schema.get("prefixItems"):
            return [self.make(sub, name, depth + 1) for sub in schema["prefixItems"]]
        length = max(int(schema.get("minItems", 0)), min(2, int(schema.get("maxItems", 2))))
        items = schema.get("items", {"type": "string"})
        return [self.make(items, f"{name}{n or ''}", depth + 1) for n in range(length)]

    def _number(self, schema: Mapping[str, Any], name: str, *, whole: bool) -> float | int:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if low is None and high is None:
            low, high = (1, 9) if whole else (0.0, 1.0)
        elif low is None:
            low = high - 8
        elif high is None:
            high = low + 8
        if whole:
            inside = range(
                int(low) + ("exclusiveMinimum" in schema),
                int(high) + 1 - ("exclusiveMaximum" in schema),
            )
            return inside[self._pick(name, len(inside))] if inside else int(low)
        return round(float(low + (high - low) * (1 + self._pick(name, 8)) / 10), 3)

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        text = _STRINGS_BY_FORMAT.get(str(schema.get("format", "")))
        if text is None:
            text = _STRINGS_BY_NAME.get(name, f"scripted {name}".strip().replace("_", " "))
        shortest = int(schema.get("minLength", 0))
        return text.ljust(shortest, ".")[: schema.get("maxLength")]

    def _pick(self, name: str, choices: int) -> int:
        digest = hashlib.sha256(f"{self._seed}\0{name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % choices
