"""What the system and the interpreter say of a process."""

import gc
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import suppress

from s3ish.observe.families import Sample

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def process_samples() -> Iterator[Sample]:
    """Return what they say of this process; see ``Source``."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "workers", (), 1
    yield "process_cpu_seconds", ("user",), used.ru_utime
    yield "process_cpu_seconds", ("system",), used.ru_stime
    yield "process_major_faults", (), used.ru_majflt
    yield "process_context_switches", ("voluntary",), used.ru_nvcsw
    yield "process_context_switches", ("involuntary",), used.ru_nivcsw
    yield "process_threads", (), threading.active_count()
    yield "process_open_files_limit", (), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for generation, counts in enumerate(gc.get_stats()):
        yield "gc_collections", (str(generation),), counts["collections"]
        yield "gc_collected_objects", (str(generation),), counts["collected"]
    with suppress(OSError, ValueError, IndexError):  # where there is no such folder
        yield from _of_proc()


def _of_proc() -> Iterator[Sample]:
    with open("/proc/self/statm", "rb") as stream:
        mapped, resident = stream.read().split()[:2]
    yield "process_virtual_memory_bytes", (), int(mapped) * _PAGE_BYTES
    yield "process_resident_memory_bytes", (), int(resident) * _PAGE_BYTES
    yield "process_open_files", (), len(os.listdir("/proc/self/fd")) - 1
    with open("/proc/self/stat", "rb") as stream:
        ticks = int(stream.read().rpartition(b")")[2].split()[19])
    with open("/proc/stat", "rb") as stream:
        booted = next(int(line.split()[1]) for line in stream if line.startswith(b"btime "))
    yield "process_start_timestamp_seconds", (), booted + ticks / os.sysconf("SC_CLK_TCK")
