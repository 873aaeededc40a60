"""No text and no secret leaves through logs or spans."""

import asyncio
import gc
import json
import logging
import subprocess
import sys

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headwater.errors import PoisonError
from headwater.settings import TelemetrySettings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.tracing import extract_context, inject_headers, span

CANARY = "canary-9f2c"


def test_unknown_fields_are_dropped_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    structlog.get_logger("x").info("document_seen", revision=7, text=CANARY)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "document_seen"
    assert (line["revision"], line["dropped"], line["process"]) == (7, ["text"], "test")
    assert CANARY not in json.dumps(line)


def test_a_logger_that_was_used_follows_what_is_configured_next(capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger("x")
    configure_logging(TelemetrySettings(), process="test")
    structlog.configure(processors=[structlog.dev.ConsoleRenderer(colors=False)])
    log.info("first")
    configure_logging(TelemetrySettings(), process="test")
    log.info("second", revision=7)
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["event"], line["revision"]) == ("second", 7)


def test_a_foreign_exceptions_message_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("vendor").exception("call_failed")
    line = json.loads(capsys.readouterr().err)
    assert line["exception"].startswith("ValueError at ")
    assert CANARY not in json.dumps(line)


@pytest.mark.parametrize(
    ("template", "arguments", "written"),
    [
        ("crashed: %r", (ValueError(CANARY),), "crashed: 'ValueError'"),
        ("crashed: %(error)s", ({"error": ValueError(CANARY)},), "crashed: ValueError"),
        (ValueError(CANARY), (), "ValueError"),
        (f"never retrieved\nfuture: <Task exception=ValueError('{CANARY}')>", (), "never retrieved"),
        ("%d of %s", ("a lot", ValueError(CANARY)), "%d of %s"),
        ("slept for %.1f s", (2.5,), "slept for 2.5 s"),
        ("crashed: %s", (PoisonError("title: too long; shorten it"),), "crashed: title: too long; shorten it"),
    ],
)
def test_a_library_may_not_quote_an_exception_in_its_message(
    capsys: pytest.CaptureFixture[str], template: object, arguments: tuple[object, ...], written: str
) -> None:
    configure_logging(TelemetrySettings(), process="test")
    logging.getLogger("vendor").error(template, *arguments)
    assert json.loads(capsys.readouterr().err)["event"] == written


def test_what_nobody_awaited_is_told_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")

    async def failing() -> None:
        raise ValueError(CANARY)

    async def forgetting() -> None:
        task = asyncio.create_task(failing())
        await asyncio.wait({task})
        del task
        gc.collect()

    asyncio.run(forgetting())
    told = capsys.readouterr().err
    assert json.loads(told)["event"] == "Task exception was never retrieved"
    assert CANARY not in told


def test_what_ends_a_process_is_a_line_like_the_others() -> None:
    program = (
        "from headwater.settings import TelemetrySettings; from headwater.telemetry.logging import configure_logging\n"
        f"configure_logging(TelemetrySettings(), process='test'); raise ValueError('{CANARY}')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    line = json.loads(ended.stderr)
    assert (ended.returncode, line["event"], line["process"]) == (1, "process_failed", "test")
    assert line["exception"].startswith("ValueError at ")
    assert CANARY not in ended.stderr


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
