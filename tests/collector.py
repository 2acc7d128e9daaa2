"""A collector of traces: a small HTTP server on loopback that takes OTLP and decodes it."""

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.waiting import wait_until


class Span:
    """A span as it arrived; ids are in hexadecimal digits, attributes and those of the process are dictionaries."""

    def __init__(self, raw, resource):
        self.name, self.kind, self.failed = raw.name, raw.kind, raw.status.code == 2
        self.trace_id, self.span_id = raw.trace_id.hex(), raw.span_id.hex()
        self.parent_id, self.state = raw.parent_span_id.hex(), raw.trace_state
        self.start, self.end = raw.start_time_unix_nano, raw.end_time_unix_nano
        self.attributes, self.resource = _values(raw.attributes), _values(resource.attributes)


class Collector:
    """What has arrived: ``spans``, and ``bodies`` as they were sent.

    ``status`` is what it answers; ``held`` makes it wait with its answers until it is set.
    """

    def __init__(self):
        self.spans, self.bodies, self.headers = [], [], []
        self.status = 200
        self.held = threading.Event()
        self.held.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def named(self, name, count=1):
        """Wait for so many spans of a name; return them."""
        wait_until(lambda: len(self._of(name)) >= count)
        return self._of(name)

    def _of(self, name):
        return [span for span in list(self.spans) if span.name == name]

    def stages(self, span):
        """Return the spans of the stages of a request."""
        return [each for each in list(self.spans) if each.parent_id == span.span_id]

    def close(self):
        """End it."""
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, body, headers):
        self.bodies.append(body)
        self.headers.append(headers)
        self.held.wait()
        if self.status == 200:
            for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in of_process.scope_spans:
                    self.spans += [Span(raw, of_process.resource) for raw in scope.spans]

    def _handler(collector):  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector._take(body, dict(self.headers.items()))
                self.send_response(collector.status if self.path == "/v1/traces" else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler


@contextmanager
def collecting():
    """A collector that ends with the context."""
    collector = Collector()
    try:
        yield collector
    finally:
        collector.close()


def _values(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
