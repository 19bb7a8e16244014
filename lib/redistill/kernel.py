"""A kernel of the running Python, whatever the notebook's kernelspec says, over local sockets.

Local (ipc) sockets have no port numbers that two runs could race for, and nobody on the network
can reach them.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

_SOCKET_PATH = 90  # bytes that a folder for sockets may have; the system's limit is about 104
_PATIENCE = 3.0  # seconds that a kernel has to end politely


class _ThisPython(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the running Python, whatever is asked for."""
        command = [sys.executable, "-m", "redistill.kernel_main", "-f", "{connection_file}"]
        command.append("--HistoryManager.hist_file=:memory:")
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class Kernel:
    """A running kernel: its client, its process id, and how it ended."""

    def __init__(self, manager: AsyncKernelManager, client: AsyncKernelClient) -> None:
        self.manager, self.client = manager, client
        self.polite = False  # set when all went well, so that exit handlers in the kernel run

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return self.manager.provisioner.pid

    async def exit_code(self) -> int | None:
        """Return None while the kernel lives, else its exit code; minus the signal if killed."""
        return await self.manager.provisioner.poll()

    async def end(self) -> None:
        """End the kernel and everything it started."""
        group = self.manager.provisioner.pgid
        with contextlib.suppress(RuntimeError):  # there is none, it has ended already
            if await self.exit_code() is None:
                await self.manager.shutdown_kernel(now=not self.polite)
        self.client.stop_channels()
        await self.manager.cleanup_resources()
        if group and group != os.getpgrp():
            with contextlib.suppress(OSError):  # nobody is left
                os.killpg(group, signal.SIGKILL)


@asynccontextmanager
async def open_kernel(*, cwd: Path, env: Mapping[str, str]) -> AsyncIterator[Kernel]:
    """Start a kernel; end it when the block is left.  Its client may not be ready yet."""
    options = {"prefix": "rd-", "dir": _short_folder(), "ignore_cleanup_errors": True}
    with tempfile.TemporaryDirectory(**options) as folder:
        manager = AsyncKernelManager(
            connection_file=f"{folder}/kernel.json",
            kernel_spec_manager=_ThisPython(),
            shutdown_wait_time=_PATIENCE,
            **_transport(folder),
        )
        # A folder of its own, so that no start-up file of the user's profile takes part.
        own = {"IPYTHONDIR": f"{folder}/ipython"}
        await manager.start_kernel(cwd=str(cwd), env={**os.environ, **own, **env})
        kernel = Kernel(manager, manager.client())
        kernel.client.start_channels()
        kernel.client.allow_stdin = False
        try:
            yield kernel
        finally:
            await asyncio.shield(kernel.end())


def _transport(folder: str) -> dict[str, str]:
    if sys.platform == "win32":
        return {"transport": "tcp"}
    return {"transport": "ipc", "ip": f"{folder}/k"}


def _short_folder() -> str | None:
    """Return a folder for sockets where the usual one has too long a path."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(os.fsencode(usual)) > _SOCKET_PATH - 20 else None
