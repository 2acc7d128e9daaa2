"""How many processor cores this process may use: those of the machine, less what a container withholds."""

import math
import os
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return how many cores can be used at once, at least 1; a fraction of a core that a container may use counts.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas())]))


def _quotas() -> list[float]:
    """Return the limits, in cores, of the control groups that this process is in."""
    found = []
    with suppress(OSError, ValueError, ZeroDivisionError):  # version 1, as a container sees it
        quota, period = (int((_GROUPS / "cpu" / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        found += [quota / period] if quota > 0 else []
    with suppress(OSError, ValueError):
        own = next(line.partition("::")[2] for line in _OWN_GROUP.read_text().splitlines() if line.startswith("0::"))
        group = _GROUPS / own.strip("/")
        while group != _GROUPS.parent:
            with suppress(OSError, ValueError, ZeroDivisionError):
                quota_text, period_text = (group / "cpu.max").read_text().split()
                found += [int(quota_text) / int(period_text)] if quota_text != "max" else []
            group = group.parent
    return found
