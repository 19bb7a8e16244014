"""What this process may use of the machine: its control group can allow less than there is."""

import os
from pathlib import Path

import psutil

_HUGE = 2**60  # bytes; control groups of version 1 spell "no limit" as a number near 2**63


def cores(root: Path = Path("/")) -> float:
    """Return how many cores this process may use: its mask, or less where a quota says so."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for text in _texts(root, "", "cpu.max"):
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit():
            mask = min(mask, int(quota) / int(period))
    quotas, periods = (_texts(root, "cpu", f"cpu.cfs_{w}_us") for w in ("quota", "period"))
    for quota, period in zip(quotas, periods, strict=False):
        if quota.isdigit() and period.isdigit():  # -1: none
            mask = min(mask, int(quota) / int(period))
    return mask


def memory(root: Path = Path("/")) -> tuple[float, bool]:
    """Return the bytes that can still be had, and whether a control group sets that limit."""
    free, limited = psutil.virtual_memory().available, False
    names = (("", "memory.max", "memory.current"),)
    names += (("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),)
    for controller, limit, usage in names:
        pairs = zip(_texts(root, controller, limit), _texts(root, controller, usage), strict=False)
        for most, used in pairs:
            if most.isdigit() and used.isdigit() and int(most) < _HUGE:
                left = max(0, int(most) - int(used))
                free, limited = (left, True) if left < free else (free, limited)
    return free, limited


def _texts(root: Path, controller: str, name: str) -> list[str]:
    """Return the texts of such files of this process's control group and of the groups above.

    Inside a container the group's own path may not be mounted, then its root is the group.
    """
    base, found = root / "sys/fs/cgroup" / controller, []
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if (number == "0") if not controller else controller in controllers.split(","):
            folder = base / path.lstrip("/")
            found += [one / name for one in (folder, *folder.parents) if one.is_relative_to(base)]
    paths = dict.fromkeys([*found, base / name])
    return [text for path in paths if (text := _text(path))]


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeError):
        return ""
