"""What a view of the runs is made of: somebody's own, and those that others share with them.

One condition for both would have no index that gives it in any order, so each part is looked up by
indexes of its own, and then they are merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from mellea_jupyter.models.pages import RunFilters
from mellea_jupyter.stores.runs.base import Viewer
from mellea_jupyter.stores.runs.tables import shares


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the runs that somebody may see. No run is in two parts of one view.

    Attributes:
        owner_id: the owner whose runs these are; of a shared part, whose they are not.
        principals: what the runs of a shared part are shared with.
        is_shared: whether these are runs of others.
    """

    owner_id: str | None = None
    principals: tuple[str, ...] = ()
    is_shared: bool = False

    @property
    def own(self) -> str | None:
        """The owner of all these runs, where they have one."""
        return None if self.is_shared else self.owner_id


EVERYTHING: Final = Part()


def parts_of(connection: Connection, filters: RunFilters, viewer: Viewer | None) -> list[Part]:
    """The parts of a view that the filters leave."""
    if viewer is None or (viewer.sees_all and filters.shared is None):
        return [EVERYTHING]
    own = Part(viewer.owner_id)
    shared = Part(viewer.owner_id, viewer.principals, is_shared=True)
    if filters.shared == "none":
        return [own]
    if filters.shared == "with_me":
        return [shared]
    one = select(shares.c.run_id).where(shares.c.principal.in_(viewer.principals)).limit(1)
    return [own] if connection.scalar(one) is None else [own, shared]
