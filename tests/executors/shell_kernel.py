"""A Jupyter kernel whose cells are shell commands: one that is not ipykernel's own Python."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel


class ShellKernel(Kernel):
    """Executes each cell in a shell of its own."""

    implementation = "shell"
    implementation_version = "1"
    banner = "shell"
    language_info: dict[str, object] = {"name": "shell"}  # noqa: RUF012  # as its base has it

    def _tell(self, kind: str, content: dict[str, Any]) -> None:
        self.send_response(self.iopub_socket, kind, content)  # type: ignore[no-untyped-call]

    async def do_execute(self, code: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Execute a cell; it has failed when the shell's exit status says so."""
        shell = await asyncio.create_subprocess_exec("sh", "-c", code, stdout=PIPE, stderr=PIPE)
        for name, said in zip(("stdout", "stderr"), await shell.communicate(), strict=True):
            if said:
                self._tell("stream", {"name": name, "text": said.decode()})
        counted = {"execution_count": self.execution_count}
        if shell.returncode:
            error = {"ename": "ShellError", "evalue": str(shell.returncode), "traceback": []}
            self._tell("error", error)
            return {"status": "error", **counted, **error}
        return {"status": "ok", **counted, "payload": [], "user_expressions": {}}


if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=ShellKernel)
