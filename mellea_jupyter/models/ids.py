"""Names for the strings that identify things."""

from __future__ import annotations

from typing import NewType

RunId = NewType("RunId", str)
AssetId = NewType("AssetId", str)
OwnerId = NewType("OwnerId", str)
