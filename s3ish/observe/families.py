"""The metrics that are read now and then from what the parts of a process count by themselves, each declared once.

A sample names its family, its labels and its value: a number that only grows for a counter, the number of now for a
gauge, a ``Tally`` for a histogram.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from s3ish.observe.tally import BYTES, COUNTS, SECONDS, Tally

Sample = tuple[str, tuple[str, ...], "float | Tally"]
Source = Callable[[], Iterable[Sample]]
"""Tells what there is to be shown now."""


class Family(Struct, frozen=True):
    """A metric with its labels.

    ``name`` is without ``s3ish_`` and without ``_total``. ``across`` says what becomes of a gauge of several processes.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    across: str = "livesum"


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name, "counter", text, labels)


def _gauge(name: str, text: str, *labels: str, across: str = "livesum") -> Family:
    return Family(name, "gauge", text, labels, across=across)


def _times(name: str, text: str, *labels: str) -> Family:
    return Family(name, "histogram", text, labels, SECONDS)


_REQUESTS = (
    _counter("requests", "Requests by operation and status.", "operation", "status"),
    _times("request_duration_seconds", "Time to answer.", "operation"),
    _counter("received_bytes", "Body bytes received."),
    _counter("sent_bytes", "Body bytes sent."),
    _counter("torn_answers", "Answers that ended before their last byte, by the side that ended them.", "by"),
    _gauge("requests_in_flight", "Requests that are being answered."),
    _counter("request_errors", "Requests that were refused or failed, by the code of the error.", "code"),
    _times("request_first_byte_seconds", "Time until the head of the answer was ready.", "operation"),
    _counter("request_stage_seconds", "Time that requests have spent in each stage.", "stage"),
    _counter("slow_requests", "Requests that took longer than log.slow_request_ms.", "operation"),
    Family("request_body_bytes", "histogram", "Sizes of the bodies of requests that had one.", (), BYTES),
    Family("answer_body_bytes", "histogram", "Sizes of the bodies of answers that had one.", (), BYTES),
    _counter("auth_failures", "Requests that were refused, by the stage of the check of their signature.", "stage"),
    _counter("trace_records", "Requests and steps of jobs whose spans were sent, failed to be, or dropped.", "outcome"),
    _counter("limited_requests", "Requests that were refused because of a limit.", "limit"),
)
_CONNECTIONS = (
    _gauge("connections", "Connections that are open."),
    _gauge("idle_connections", "Connections that are open and have no request."),
    _counter("connections_accepted", "Connections that were taken."),
    _counter("connections_refused", "Connections that were refused because too many were open."),
    _counter("connections_evicted", "Idle connections that were closed to make room for a newcomer."),
    _counter("connections_timed_out", "Connections that were closed because nothing moved for too long.", "waited_for"),
    _counter("malformed_requests", "What was refused before it was a request, by the code of the error.", "code"),
    _counter("tls_handshakes", "Handshakes of TLS that succeeded.", "version"),
    _counter("tls_failures", "Connections that did not come to TLS.", "reason"),
    _times("tls_handshake_seconds", "Time from the connection to the end of the handshake."),
    _gauge(
        "tls_certificate_expiry_timestamp_seconds",
        "Until when a certificate is valid, in seconds since the epoch.",
        "file",
        across="livemin",
    ),
    _counter("tls_reloads", "Times that changed files of certificates were read.", "outcome"),
)
_INDEX = (
    _counter("index_reads", "Reads of rows and ranges."),
    _counter("index_read_hits", "Reads that were answered from memory."),
    _counter("index_commits", "Commits that were asked for."),
    _counter("index_conflicts", "Commits of which an expectation did not hold."),
    _counter("index_failures", "Commits that failed because the index could not be written."),
    _times("index_transaction_seconds", "Time of a transaction with its flush."),
    Family("index_transaction_commits", "histogram", "Commits that were merged into a transaction.", (), COUNTS),
    _gauge("index_size_bytes", "Size of the file of the index.", across="livemax"),
    _gauge("index_log_bytes", "Size of the write-ahead log of the index.", across="livemax"),
)
_VOLUMES = (
    _gauge("volume_size_bytes", "Size of the file system of a volume.", "volume", across="livemax"),
    _gauge("volume_free_bytes", "Free space on a volume.", "volume", across="livemin"),
    _gauge("volume_free_inodes", "Free inodes on a volume.", "volume", across="livemin"),
    _gauge("volume_calls", "Calls that are under way on a volume.", "volume"),
    _times("volume_flush_seconds", "Time of a flush of a file, folder or file system.", "volume"),
    _counter("volume_flush_failures", "Flushes that failed.", "volume"),
)
_ERASURE = (
    _counter("erasure_encoded_bytes", "Bytes of data that were encoded."),
    _counter("erasure_encode_seconds", "Time that encoding has taken."),
    _counter("erasure_rebuilt_blocks", "Blocks that were computed from others because they could not be read."),
    _counter("erasure_rebuild_seconds", "Time that computing lost blocks has taken."),
)
_ROOM = (
    _gauge("upload_memory_bytes", "Memory that pieces of uploads take."),
    _gauge("upload_memory_limit_bytes", "Memory that pieces of uploads may take."),
    _gauge("uploads_waiting", "Pieces of uploads that wait for memory."),
    _gauge("uploads", "Uploads that are under way."),
    _gauge("offload_threads", "Threads for calls that may wait."),
    _gauge("offload_running", "Calls on these threads that are under way."),
    _gauge("offload_waiting", "Calls that wait for a thread."),
)
_PROCESS = (
    _gauge("workers", "Processes that serve."),
    _counter("process_cpu_seconds", "Processor time that was used.", "mode"),
    _gauge("process_resident_memory_bytes", "Memory that is resident; what processes share counts for each."),
    _gauge("process_virtual_memory_bytes", "Memory that is mapped."),
    _gauge("process_threads", "Threads."),
    _gauge("process_open_files", "Open files and sockets."),
    _gauge("process_open_files_limit", "How many may be open in a process.", across="livemin"),
    _gauge("process_start_timestamp_seconds", "When the first of the processes began.", across="livemin"),
    _counter("process_major_faults", "Pages that had to be read from a drive."),
    _counter("process_context_switches", "Times that a process gave the processor away.", "kind"),
    _counter("gc_collections", "Collections of garbage by the interpreter.", "generation"),
    _counter("gc_collected_objects", "Objects that these collections freed.", "generation"),
    _times("event_loop_delay_seconds", "How late the event loop was for a call that was due, once a second."),
)
_JOBS = (
    _counter("job_steps", "Steps of background jobs.", "name"),
    _counter("job_failures", "Steps of jobs that failed.", "name"),
    _counter("job_seconds", "Time that steps of jobs took.", "name"),
)
FAMILIES = (*_REQUESTS, *_CONNECTIONS, *_INDEX, *_VOLUMES, *_ERASURE, *_ROOM, *_JOBS, *_PROCESS)
