"""Who may do what to a run, and what is left of it.

Another's run does not exist; one's own allows everything.
"""

from __future__ import annotations

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import Expired, RunNotFound
from mellea_jupyter.models.run import Run


def require_access(run: Run, user: User) -> Run:
    """The run, if the user may see it.

    Raises:
        RunNotFound: it belongs to somebody else; the same answer as for a run that is not there.
    """
    if user.is_admin or run.owner_id == user.owner_id:
        return run
    raise RunNotFound(run.id)


def require_kept(run: Run) -> Run:
    """The run, if its log and artifacts are still there.

    Raises:
        Expired: the retention policy has removed them.
    """
    if not run.artifacts_purged:
        return run
    on = f" on {run.artifacts_purged_at:%Y-%m-%d}" if run.artifacts_purged_at else ""
    raise Expired(
        f"The log and artifacts of the run expired{on}",
        hint="Its record and metrics stay. Pin a run to keep all of it.",
        run_id=run.id,
    )


def visible_to(user: User) -> str | None:
    """The owner whose runs a listing is limited to; None for administrators, who see all."""
    return None if user.is_admin else user.owner_id
