"""Who may do what to a run. Another's run does not exist; one's own allows everything."""

from __future__ import annotations

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import RunNotFound
from mellea_jupyter.models.run import Run


def require_access(run: Run, user: User) -> Run:
    """The run, if the user may see it.

    Raises:
        RunNotFound: it belongs to somebody else; the same answer as for a run that is not there.
    """
    if user.is_admin or run.owner_id == user.owner_id:
        return run
    raise RunNotFound(run.id)


def visible_to(user: User) -> str | None:
    """The owner whose runs a listing is limited to; None for administrators, who see all."""
    return None if user.is_admin else user.owner_id
