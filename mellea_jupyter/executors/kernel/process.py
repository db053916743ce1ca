"""A run's kernel: started through its provisioner, talked to, and stopped with all it started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets.config import Config

from mellea_jupyter.executors.kernel.executor import CONNECTION
from mellea_jupyter.runtime import processes
from mellea_jupyter.runtime.ports import choose_kernel_ports
from mellea_jupyter.runtime.spec import RunSpec

UNKNOWN_RETURNCODE: Final = 1
"""Of a kernel that is not our child: only its parent learns what it ended with."""
READY_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 0.5


class KernelStartError(RuntimeError):
    """The kernel did not come up; the text says what is known."""


class PinnedKernelSpec(KernelSpecManager):
    """Knows exactly one kernelspec: the one that the server resolved when it placed the run."""

    pinned: KernelSpec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The pinned one, whatever the name."""
        del kernel_name
        return self.pinned


class RunKernel:
    """The kernel of one run.

    Args:
        spec: the run.
        launch: what the executor pinned: `name`, `spec` (a kernelspec), `resource_dir`, `config`.

    Attributes:
        client: talks to it, once it is started.
    """

    client: AsyncKernelClient

    def __init__(self, spec: RunSpec, launch: Mapping[str, Any]) -> None:
        self._spec = spec
        config = Config(launch.get("config") or {})
        specs = PinnedKernelSpec(config=config)
        specs.pinned = self._pinned = KernelSpec(
            resource_dir=launch["resource_dir"], **launch["spec"]
        )
        self._manager = AsyncKernelManager(
            kernel_name=launch["name"],
            kernel_spec_manager=specs,
            connection_file=str(Path(spec.run_dir, CONNECTION)),
            config=config,
        )
        self.language = self._pinned.language.lower()
        self.is_local = self._is_found = False
        self.pid = 0
        self.start_time = 0
        self.returncode: int | None = None

    async def launch(self) -> None:
        """Start it and wait until it answers.

        Raises:
            KernelStartError: it can not be started, or ends before it answers.
        """
        provisioner = self._pinned.metadata.get("kernel_provisioner") or {}
        extra: dict[str, Any] = {}
        if provisioner.get("provisioner_name", "local-provisioner") == "local-provisioner":
            extra["independent"] = True  # it does not end with us: another supervisor goes on
            choose_kernel_ports(self._manager)
        try:
            await self._manager.start_kernel(
                cwd=self._spec.working_directory, env=dict(self._spec.env), **extra
            )
        except Exception as error:
            msg = f"The kernel can not be started: {type(error).__name__}: {error}"
            raise KernelStartError(msg) from error
        held = self._manager.provisioner
        if isinstance(held, LocalProvisioner) and held.pid:
            self.is_local = True
            self.pid = held.pid
            self.start_time = processes.start_time(held.pid)
        self._connect()
        await self._until_ready()

    async def attach(self, state: Mapping[str, Any]) -> None:
        """Find a kernel again that an earlier supervisor started.

        Answers to what that one sent come to us: we say that we are the same client.

        Raises:
            KernelStartError: its connection file is gone, or its provisioner does not know it.
        """
        try:
            self._manager.load_connection_file()
            self._manager.kernel_id = str(state["kernel_id"])
            self.pid, self.start_time = int(state["pid"]), int(state["start"])
            if not self.pid:
                factory = KernelProvisionerFactory.instance(parent=self._manager)
                self._manager.provisioner = factory.create_provisioner_instance(
                    str(state["kernel_id"]), self._pinned, parent=self._manager
                )
                await self._manager.provisioner.load_provisioner_info(
                    {
                        **state["provisioner"],
                        "connection_info": self._manager.get_connection_info(),
                    }
                )
        except Exception as error:
            msg = f"The kernel can not be found again: {type(error).__name__}: {error}"
            raise KernelStartError(msg) from error
        self.is_local = self._is_found = self.pid > 0
        self._connect(session=str(state["session"]))

    def take_all(self) -> None:
        """Keep what it sends however late we are: it does not wait for us, as ours do."""
        self.client.iopub_channel.socket.rcvhwm = 0

    def identity(self) -> dict[str, str]:
        """Its id and kernelspec, for people."""
        return {"id": str(self._manager.kernel_id), "name": str(self._manager.kernel_name)}

    async def state(self) -> dict[str, Any]:
        """What `attach` needs, as JSON."""
        provisioner = self._manager.provisioner
        info = {}
        if provisioner is not None and not self.is_local:
            info = await provisioner.get_provisioner_info()
            info.pop("connection_info", None)  # it has keys, and is in the connection file
        return {
            "pid": self.pid,
            "start": self.start_time,
            "kernel_id": self._manager.kernel_id,
            "session": self.client.session.session,
            "provisioner": info,
        }

    def _connect(self, session: str | None = None) -> None:
        self.client = self._manager.client()
        if session is not None:
            self.client.session.session = session
        self.client.start_channels(stdin=False, hb=False)

    async def _until_ready(self) -> None:
        """Until it answers on both channels: a message nobody subscribed to yet is lost."""
        give_up = time.monotonic() + READY_SECONDS
        heard = False
        while time.monotonic() < give_up:
            if await self.poll() is not None:
                msg = f"The kernel ended with exit code {self.returncode} before it was ready."
                raise KernelStartError(msg)
            if not heard:
                self.client.kernel_info()
                with suppress(Exception):
                    await self.client.get_shell_msg(timeout=_ASK_SECONDS)
                    heard = True
            else:
                with suppress(Exception):
                    await self.client.get_iopub_msg(timeout=_ASK_SECONDS)
                    return
                self.client.kernel_info()
        msg = f"The kernel did not answer within {READY_SECONDS:.0f} s."
        raise KernelStartError(msg)

    async def poll(self) -> int | None:
        """What it ended with, as `Popen` has it; None while it lives."""
        if self.returncode is None and self._is_found:
            found = processes.read_process(self.pid)
            alive = found is not None and found.start == self.start_time and found.state not in "ZX"
            self.returncode = None if alive else UNKNOWN_RETURNCODE
        elif self.returncode is None:
            provisioner = self._manager.provisioner
            self.returncode = 0 if provisioner is None else await provisioner.poll()
        return self.returncode

    def tree(self) -> list[processes.Process]:
        """The living processes of the run, itself excluded; empty for a kernel elsewhere."""
        found = processes.descendants(os.getpid())
        if self._is_found:
            kernel = processes.read_process(self.pid)
            if kernel and kernel.start == self.start_time and kernel.state not in "ZX":
                found += [kernel, *processes.descendants(self.pid)]
        return found

    async def interrupt(self) -> None:
        """Ask the cell to stop, the way the kernelspec says."""
        if self._is_found and self._pinned.interrupt_mode == "signal":
            processes.signal_group(self.pid, signal.SIGINT)
            return
        with suppress(Exception):
            if self._is_found:
                self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))
                return
            await self._manager.interrupt_kernel()

    async def request_shutdown(self) -> None:
        """Ask the kernel to end."""
        with suppress(Exception):
            self.client.shutdown()

    async def send(self, number: int) -> None:
        """Signal everything the run has."""
        for process in self.tree():
            processes.send_signal(process, number)
        if not self.is_local and self._manager.provisioner is not None:
            provisioner = self._manager.provisioner
            with suppress(Exception):
                await (provisioner.kill() if number == signal.SIGKILL else provisioner.terminate())

    def reap(self) -> None:
        """Collect dead processes that became our children; the kernel is its provisioner's."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == self.pid:
                return
            os.waitpid(found.si_pid, 0)

    async def close(self) -> None:
        """Let go of sockets, ports and the connection file."""
        if hasattr(self, "client"):
            self.client.stop_channels()
        self._manager.cleanup_connection_file()
        provisioner = self._manager.provisioner
        if provisioner is not None:
            with suppress(Exception):
                await asyncio.wait_for(provisioner.cleanup(), 5.0)
        self._manager.context.destroy(linger=0)


def read_launch(run_dir: str) -> dict[str, Any]:
    """What the executor pinned of the kernelspec.

    Raises:
        OSError, ValueError: it is not there, or damaged.
    """
    data: dict[str, Any] = json.loads(Path(run_dir, "kernel.json").read_text())
    return data
