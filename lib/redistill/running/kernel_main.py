"""A kernel's process (``python -m redistill.running.kernel_main -f FILE``): dies with its runner.

A runner killed by SIGKILL cannot end its kernel.  ipykernel looks once a second whether its parent
changed, but cannot look while a cell holds the interpreter; Linux can be asked to send a signal.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere ipykernel's poller must do."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ.get("JPY_PARENT_PID", os.getppid())):
        os._exit(1)  # it died before we asked


if __name__ == "__main__":
    die_with_parent()
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
