"""What is counted of connections."""

import threading
from collections import Counter
from collections.abc import Iterator

from s3ish.http.certificates import Certificates
from s3ish.http.idle import idle_connections
from s3ish.observe.families import Sample
from s3ish.observe.tally import Tally


class ConnectionTally(threading.local):
    """The tally of the connections of the event loop of this thread."""

    def __init__(self) -> None:
        self.accepted = self.closed = self.refused = self.evicted = 0
        self.timed_out: Counter[str] = Counter()
        self.handshakes: Counter[str] = Counter()
        self.tls_failures: Counter[str] = Counter()
        self.handshake_seconds = Tally()
        self.certificates: Certificates | None = None

    def samples(self) -> Iterator[Sample]:
        """See ``Source``; called on the thread."""
        yield "connections", (), self.accepted - self.closed
        yield "idle_connections", (), len(idle_connections)
        yield "connections_accepted", (), self.accepted
        yield "connections_refused", (), self.refused
        yield "connections_evicted", (), self.evicted
        for name, counts in (
            ("connections_timed_out", self.timed_out),
            ("tls_handshakes", self.handshakes),
            ("tls_failures", self.tls_failures),
        ):
            yield from ((name, (label,), count) for label, count in counts.items())
        yield "tls_handshake_seconds", (), self.handshake_seconds
        if self.certificates:
            for file, until in self.certificates.expiries.items():
                yield "tls_certificate_expiry_timestamp_seconds", (file,), until.timestamp()
            yield from (("tls_reloads", (how,), count) for how, count in self.certificates.reloads.items())


connection_tally = ConnectionTally()
