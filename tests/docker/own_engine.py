"""An engine of a test's own, to be stopped and killed.

It lives in a network namespace of its own: a second engine in the machine's would take the first
one's bridge and rules away. Its containers have no network. As on a usual machine its containerd is
a process beside it, which goes on when the engine is stopped or killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.conftest import require


class OwnEngine:
    """A container engine below a folder; `start`, `restart`, `close`."""

    def __init__(self, folder: Path, *options: str) -> None:
        if os.getuid() != 0 or shutil.which("dockerd") is None or shutil.which("unshare") is None:
            require("dockerd", "an engine of its own needs root, dockerd and unshare")
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/docker.sock"

    def start(self) -> None:
        """Start it; returns when it answers."""
        if self._containerd is None:
            self._start_containerd()
        command = [
            "unshare", "--net", "dockerd", "--containerd", f"{self._folder}/containerd.sock",
            "--data-root", f"{self._folder}/root", "--exec-root", f"{self._folder}/exec",
            "--pidfile", f"{self._folder}/pid", "--host", self.url,
            "--bridge", "none", "--iptables=false", "--ip-masq=false",
            "--cgroup-parent", f"/mj-{self._folder.name}",
            *self._options,
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        give_up = time.monotonic() + 60
        while not self._answers():
            said = (self._folder / "log").read_text()[-3000:]
            assert time.monotonic() < give_up, said
            assert self._process.poll() is None, said
            time.sleep(0.05)

    def _start_containerd(self) -> None:
        config = self._folder / "containerd.toml"
        config.write_text(
            "version = 2\n"
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'root = "{self._folder}/containerd"\n'
            f'state = "{self._folder}/containerd-state"\n'
            f'[grpc]\naddress = "{self._folder}/containerd.sock"\n'
        )
        with (self._folder / "containerd.log").open("ab") as log:
            self._containerd = subprocess.Popen(
                ["containerd", "--config", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(f"{self._folder}/docker.sock")
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(4096)
            except OSError:
                return False

    def client(self) -> Any:
        """The SDK's client of it."""
        import docker

        return docker.APIClient(base_url=self.url, version="auto", timeout=60)

    def load(self, source: Any, image: str) -> None:
        """Copy an image from another engine."""
        client = self.client()
        client.load_image(source.get_image(image))
        client.close()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop or kill it; returns when its process is gone. Idempotent."""
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait(60)
            self._process = None
            (self._folder / "pid").unlink(missing_ok=True)

    def close(self) -> None:
        """Remove its containers, then stop it and its containerd; nothing stays mounted."""
        if self._process is None:
            self.start()
        client = self.client()
        for each in client.containers(all=True):
            client.remove_container(each["Id"], force=True)
        client.close()
        self.stop()
        if self._containerd is not None:
            self._containerd.terminate()
            self._containerd.wait(30)
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in sorted(mounted, reverse=True):
            if place.startswith(f"{self._folder}/"):
                subprocess.run(["umount", "--lazy", place], check=True)
