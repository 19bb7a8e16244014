"""Memory of a kernel: its peak, and whether the system killed it for taking too much."""

import contextlib
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import psutil

_WINDOW = 10  # samples: a large process takes seconds to die after the kernel chose it
_COUNTER = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_files(root: Path = Path("/")) -> tuple[Path, ...]:
    """Return the files that count the out-of-memory kills of this process's control group.

    Control groups version 2 or 1 where they can be read; else the count of the whole machine.
    Inside a container the group's own path may not be mounted, then its root is the group.
    """
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number != "0" and "memory" not in controllers.split(","):
            continue
        base, name = ("", "memory.events") if number == "0" else ("memory", "memory.oom_control")
        mount = root / "sys/fs/cgroup" / base
        found += [mount / path.lstrip("/") / name, mount / name]
    readable = dict.fromkeys(path for path in found if _count(path) is not None)
    return tuple(readable) or (root / "proc/vmstat",)


class OomWatch:
    """Notices a risen count of out-of-memory kills within the last seconds."""

    def __init__(self, files: Sequence[Path] | None = None) -> None:
        self._files = oom_files() if files is None else tuple(files)
        self._samples = deque([self._counts()], maxlen=_WINDOW)

    def sample(self) -> None:
        """Remember the counts as they are now; call it about once a second."""
        self._samples.append(self._counts())

    def risen(self) -> bool:
        """Whether any count is higher now than in the oldest sample remembered."""
        return any(new > old for new, old in zip(self._counts(), self._samples[0], strict=True))

    def _counts(self) -> list[int]:
        return [_count(path) or 0 for path in self._files]


class MemoryWatch:
    """The peak memory (resident bytes, summed) of a process and all its descendants.

    Pages that processes share count once for each, so with loader processes it is an upper bound.
    """

    def __init__(self) -> None:
        self.peak = 0

    def sample(self, pid: int) -> None:
        """Look at the processes as they are now; call it about once a second."""
        with contextlib.suppress(psutil.Error):  # it has ended, or a child has meanwhile
            kernel = psutil.Process(pid)
            tree = [kernel, *kernel.children(recursive=True)]
            resident = sum(process.memory_info().rss for process in tree)
            self.peak = max(self.peak, _own_peak(pid), resident)


def _own_peak(pid: int) -> int:
    """Return the peak that Linux remembers for one process, which no sampling can miss."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _text(Path(f"/proc/{pid}/status")), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _count(path: Path) -> int | None:
    found = _COUNTER.search(_text(path))
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    """Return a file's text; none if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
