"""No text and no secret leaves through logs or spans."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headwater.errors import PoisonError
from headwater.settings import TelemetrySettings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.tracing import extract_context, inject_headers, span

CANARY = "canary-9f2c"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_unknown_fields_are_dropped_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    structlog.get_logger("x").info("document_seen", revision=7, text=CANARY)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "document_seen"
    assert (line["revision"], line["dropped"], line["process"]) == (7, ["text"], "test")
    assert CANARY not in json.dumps(line)


def test_a_foreign_exceptions_message_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("vendor").exception("call_failed")
    line = json.loads(capsys.readouterr().err)
    assert line["exception"].startswith("ValueError at ")
    assert CANARY not in json.dumps(line)


def test_our_own_message_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    try:
        raise PoisonError("title: too long; shorten it")
    except PoisonError:
        structlog.get_logger("x").warning("refused", exc_info=True)
    assert "PoisonError: title: too long; shorten it at " in json.loads(capsys.readouterr().err)["exception"]


def test_a_span_takes_only_allowlisted_attributes() -> None:
    with pytest.raises(ValueError, match="question"), span("search", question=CANARY):
        pass


def test_trace_context_crosses_headers_and_errors_keep_their_text() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("source") as source:
        headers = inject_headers()
    with (
        pytest.raises(ValueError, match=CANARY),
        tracer.start_as_current_span("store", context=extract_context(headers), record_exception=False) as store,
    ):
        raise ValueError(CANARY)
    assert store.get_span_context().trace_id == source.get_span_context().trace_id
    assert len(exporter.get_finished_spans()) == 2
