"""What vendors' libraries would trace of themselves goes nowhere: texts of errors, paths and addresses are in it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import elasticsearch._otel
import pytest
from elasticsearch import ApiError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headwater.clients.elasticsearch.connection import ElasticsearchRefusedError, open_client, translated
from headwater.settings import ElasticsearchSettings
from headwater.telemetry.tracing import OwnTracers, span

CANARY = "canary-5d0b"


class Refusing(BaseHTTPRequestHandler):
    """Elasticsearch as it refuses a query: with the query in its reason."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reason = f"failed to parse [{CANARY}]"
        cause = {"type": "parsing_exception", "reason": reason}
        body = json.dumps({"error": {**cause, "root_cause": [cause]}, "status": 400}).encode()
        self.send_response(400)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@contextmanager
def refusing() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def spans_of_a_refused_query(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the finished spans, by name, as they would be sent."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(elasticsearch._otel, "_tracer", provider.get_tracer("elasticsearch-api"))
    with refusing() as url:
        settings = ElasticsearchSettings(url=url)
        async with open_client(settings) as client:
            with pytest.raises(ElasticsearchRefusedError) as refused, span("asked"):
                async with translated(settings):
                    await client.search(index="pages", query={"match": {"text": CANARY}})
    assert isinstance(refused.value.__cause__, ApiError)
    return {finished.name: finished.to_json() for finished in exporter.get_finished_spans()}


async def test_a_refused_query_is_in_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = await spans_of_a_refused_query(OwnTracers(), monkeypatch)
    assert set(spans) == {"asked", "elasticsearch"}
    assert [name for name, text in spans.items() if CANARY in text] == []
    assert json.loads(spans["elasticsearch"])["parent_id"] == json.loads(spans["asked"])["context"]["span_id"]


async def test_the_client_would_quote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one above is there for."""
    spans = await spans_of_a_refused_query(TracerProvider(), monkeypatch)
    assert any(CANARY in text for text in spans.values())
