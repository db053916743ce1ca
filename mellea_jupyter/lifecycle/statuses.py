"""Named sets of `RunStatus`, each with what it is for."""

from __future__ import annotations

from typing import Final

from mellea_jupyter.models.run import RunStatus

TERMINAL: Final = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})
"""Final: no event changes the status any more."""

WAITING: Final = frozenset({RunStatus.CREATED, RunStatus.QUEUED})
"""Nothing was launched, so a stop needs no executor and takes effect at once."""

PLACED: Final = frozenset({RunStatus.PULLING_IMAGE, RunStatus.STARTING, RunStatus.RUNNING})
"""A dispatcher has claimed the run: it takes a slot, has a lease, and an executor may hold it."""

ACTIVE: Final = WAITING | PLACED
"""Not final. `created` is in it: a server that dies between recording and queueing a run leaves
it there, and the reconciler queues it."""

CANCELLABLE: Final = ACTIVE
"""spec.md §5.9.1, and `created`, which a client can see only in the moment before queueing."""

RETRYABLE: Final = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})
"""A succeeded run is not retried; its configuration can be cloned."""
