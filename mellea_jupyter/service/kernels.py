"""`KernelService`: kernels that failed runs have left for a console, shown to the server.

Such a kernel is held by its run's supervisor. Opened, it gets a place in the server's kernel
manager, so that every front end can connect; the manager does not own it and never stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import Conflict, Expired
from mellea_jupyter.executors.kernel.executor import CONNECTION
from mellea_jupyter.models.audit import AuditAction
from mellea_jupyter.models.run import KeptKernel
from mellea_jupyter.service.access import Action
from mellea_jupyter.service.auditing import audit_entry
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.service.runs import RunService
from mellea_jupyter.stores.runs.base import RunStore

LOOK_SECONDS: Final = 2.0


class KernelService:
    """Opens kept kernels.

    Args:
        manager: the server's kernel manager (jupyter_server's `MappingKernelManager`), or None
            where there is no server.
    """

    def __init__(
        self,
        *,
        runs: RunService,
        store: RunStore,
        folders: RunFolders,
        offload: Offload,
        manager: Any,
    ) -> None:
        self._runs = runs
        self._store = store
        self._folders = folders
        self._offload = offload
        self._manager = manager
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def open(self, run_id: str, user: User) -> KeptKernel:
        """Have the server know the run's kernel under its id. Idempotent.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
            Expired: its kernel is gone.
            Conflict: it was not kept, or this server can not show it.
        """
        run = await self._runs.get(run_id, user, Action.OPEN_KERNEL)
        if run.kernel is None:
            raise Conflict(
                "The run has left no kernel",
                hint="Only a failed run of a kernel environment with keep_kernel leaves one.",
            )
        connection = self._folders.path(run_id) / CONNECTION
        if run.kernel.until <= clock.now() or not await self._offload.io(connection.is_file):
            raise Expired("The run's kernel is gone", hint="Retry the run to have another.")
        if not hasattr(self._manager, "kernel_manager_factory"):
            raise Conflict(
                "This server can not show the kernel",
                hint=f"On its machine: jupyter console --existing {connection}",
            )
        if run.kernel.id not in self._manager:
            self._adopt(run.kernel, connection)
            entry = audit_entry(user, AuditAction.KERNEL, run)
            await self._offload.write(self._store.audit, entry)
        return run.kernel

    def _adopt(self, kernel: KeptKernel, connection: Path) -> None:
        """Give it a place in the manager, as that does with external kernels.

        Source: `MultiKernelManager.list_kernel_ids` of jupyter_client 8, which finds them only in
        one folder of the operator's, and gives them ids of its own.
        """
        manager = self._manager
        found = manager.kernel_manager_factory(parent=manager, log=manager.log, owns_kernel=False)
        found.connection_file = str(connection)
        found.load_connection_file()
        found.kernel_id, found.kernel_name = kernel.id, kernel.name
        found.execution_state, found.last_activity = "idle", clock.now()
        found.ready.set_result(None)
        manager._kernels[kernel.id] = found  # noqa: SLF001 - there is no other way in
        manager._kernel_connections[kernel.id] = 0  # noqa: SLF001 - the same
        manager._kernel_ports[kernel.id] = found.ports  # noqa: SLF001 - the same
        manager.start_watching_activity(kernel.id)
        watch = asyncio.create_task(self._forget_when_gone(kernel.id, connection))
        self._watches[kernel.id] = watch
        watch.add_done_callback(lambda _: self._watches.pop(kernel.id, None))

    async def _forget_when_gone(self, kernel_id: str, connection: Path) -> None:
        """Take it out of the manager when its supervisor has stopped it."""
        while await self._offload.io(connection.exists):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(LOOK_SECONDS)
        self._forget(kernel_id)

    def _forget(self, kernel_id: str) -> None:
        with contextlib.suppress(KeyError):  # somebody has shut it down from lab
            self._manager.stop_watching_activity(kernel_id)
            self._manager.remove_kernel(kernel_id)

    async def close(self) -> None:
        """Stop watching; kept kernels go on."""
        watches = dict(self._watches)
        for kernel_id, watch in watches.items():
            watch.cancel()
            self._forget(kernel_id)
        await asyncio.gather(*watches.values(), return_exceptions=True)
