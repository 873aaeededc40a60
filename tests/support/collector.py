"""A collector of traces on loopback: OTLP over HTTP with protobuf, as version 1.5 of its specification has it."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PATH = "/v1/traces"
KEPT = 1024  # requests: a whole product sends them for as long as its tests run


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A span as it was sent, and the process that sent it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str  # empty: begins a trace
    attributes: Mapping[str, str | int | float | bool]
    resource: Mapping[str, str | int | float | bool]
    status: str
    events: int


@dataclass(slots=True, kw_only=True)
class Collector:
    """What has arrived. `answering` cleared: requests are taken and not answered; `status`: how they are answered."""

    endpoint: str = ""
    status: HTTPStatus = HTTPStatus.OK
    answering: threading.Event = field(default_factory=threading.Event)
    bodies: deque[bytes] = field(default_factory=lambda: deque(maxlen=KEPT))
    headers: deque[Mapping[str, str]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def spans(self) -> list[Arrived]:
        """Return all spans, in the order of their requests."""
        return [span for body in list(self.bodies) for span in _read(body)]

    def trace(self, trace_id: str) -> list[Arrived]:
        """Return the spans of one trace."""
        raw = bytes.fromhex(trace_id)
        among = [span for body in list(self.bodies) if raw in body for span in _read(body)]
        return [span for span in among if span.trace_id == trace_id]

    def quoting(self, *needles: str) -> list[bytes]:
        """Return the requests' bodies that hold any of the needles."""
        return [body for body in list(self.bodies) if any(needle.encode() in body for needle in needles)]


def _read(body: bytes) -> Iterator[Arrived]:
    for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _values(sent.resource.attributes)
        for scope in sent.scope_spans:
            for span in scope.spans:
                yield Arrived(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=_values(span.attributes),
                    resource=resource,
                    status=span.status.message,
                    events=len(span.events),
                )


def _values(pairs: Iterable[KeyValue]) -> Mapping[str, str | int | float | bool]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> str | int | float | bool:
    kind = value.WhichOneof("value")
    found: str | int | float | bool = getattr(value, kind) if kind else ""
    return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector until the end of the block."""
    collector = Collector()
    collector.answering.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.answering.wait()
            if collector.status is HTTPStatus.OK and self.path == PATH:
                collector.bodies.append(body)
            with suppress(BrokenPipeError, ConnectionResetError):  # whoever waited for it has ended
                self._answer(ExportTraceServiceResponse().SerializeToString())

        def _answer(self, answer: bytes) -> None:
            self.send_response(collector.status if self.path == PATH else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.endpoint = f"http://127.0.0.1:{server.server_port}{PATH}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()
