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
        command = [sys.executable, "-m", "redistill.running.kernel_main", "-f", "{connection_file}"]
        command.append("--HistoryManager.hist_file=:memory:")
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class Kernel:
    """A running kernel: its client and its process.

    ``process.poll()`` is None while it lives, else its exit code; minus the signal if killed.
    """

    def __init__(self, manager: AsyncKernelManager, client: AsyncKernelClient) -> None:
        self.manager, self.client = manager, client
        self.process = manager.provisioner
        self.polite = False  # set when all went well, so that exit handlers in the kernel run

    async def end(self) -> None:
        """End the kernel and everything it started."""
        group = self.process.pgid
        with contextlib.suppress(RuntimeError):  # there is none, it has ended already
            if await self.process.poll() is None:
                await self._stop()
        self.client.stop_channels()
        await self.manager.cleanup_resources()
        if group and group != os.getpgrp():
            with contextlib.suppress(OSError):  # nobody is left
                os.killpg(group, signal.SIGKILL)

    async def _stop(self) -> None:
        """Ask an idle kernel to end, without the interrupt of ``shutdown_kernel``.

        An idle kernel answers an interrupt with a line "ERROR | KeyboardInterrupt caught".
        """
        if not self.polite:
            await self.manager.shutdown_kernel(now=True)
            return
        self.manager.shutting_down = True
        await self.manager.request_shutdown()
        await self.manager.finish_shutdown()


@asynccontextmanager
async def open_kernel(*, cwd: Path, env: Mapping[str, str]) -> AsyncIterator[Kernel]:
    """Start a kernel; end it when the block is left.  Its client may not be ready yet."""
    short = "/tmp" if len(os.fsencode(tempfile.gettempdir())) > _SOCKET_PATH - 20 else None
    with tempfile.TemporaryDirectory("", "rd-", short, ignore_cleanup_errors=True) as folder:
        manager = AsyncKernelManager(
            connection_file=f"{folder}/kernel.json",
            kernel_spec_manager=_ThisPython(),
            shutdown_wait_time=_PATIENCE,
            transport="ipc",
            ip=f"{folder}/k",
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
