"""Signals that ask the runner to stop, remembered until it is at a place where it can."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from redistill.running.status import Ending, RunStopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Which signal asked to stop; None as long as none did."""

    signal: int | None = None

    def check(self, cell: int | None = None) -> None:
        """Raise RunStopped if a signal has asked to stop."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            raise RunStopped(Ending("interrupted", f"stopped by {name}", cell, 128 + self.signal))


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Within the block, SIGINT, SIGTERM and SIGHUP only set ``Stop.signal``.

    A signal that is ignored (under nohup, say) stays so.  Only the main thread can do this; in
    another the block changes nothing.
    """
    stop = Stop()

    def remember(number: int, _: FrameType | None) -> None:
        stop.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heeded = [n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, remember) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
