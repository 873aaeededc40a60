"""Everything that leaves a process for an operator's eyes, caught in memory."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest.mock import patch

import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from headwater.settings import TelemetrySettings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.tracing import OwnTracers


@dataclass(frozen=True, slots=True)
class Watch:
    """What was written and traced so far."""

    written: StringIO
    exporter: InMemorySpanExporter

    def spans(self) -> dict[str, ReadableSpan]:
        """Return the finished spans by name; of several with one name the last."""
        return {finished.name: finished for finished in self.exporter.get_finished_spans()}

    def __call__(self, *needles: str, registry: CollectorRegistry | None = None) -> dict[str, str]:
        """Return where any of the needles is, with all of the text; empty where none is."""
        spans = self.exporter.get_finished_spans()
        seen = {
            "logs": self.written.getvalue(),
            "spans": "\n".join(finished.to_json() for finished in spans),
            "metrics": generate_latest(registry or REGISTRY).decode(),
        }
        assert seen["logs"], "nothing was logged: the search proves nothing"
        assert spans, "nothing was traced: the search proves nothing"
        return {where: text for where, text in seen.items() if any(needle in text for needle in needles)}


@contextmanager
def watching() -> Iterator[Watch]:
    """Log and trace as a process does, at the most talkative level, into memory."""
    written, exporter, provider = StringIO(), InMemorySpanExporter(), OwnTracers()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with (
        redirect_stdout(written),
        redirect_stderr(written),
        patch.object(trace, "get_tracer", provider.get_tracer),  # the global one can be set only once a process
        undisturbed_logging(),
    ):
        configure_logging(TelemetrySettings(log_level="DEBUG"), process="test")
        yield Watch(written, exporter)


@contextmanager
def undisturbed_logging() -> Iterator[None]:
    """Put logging back as it was, however a test has it configured."""
    root, raises, hook = logging.getLogger(), logging.raiseExceptions, sys.excepthook
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.raiseExceptions, sys.excepthook = raises, hook
        root.handlers[:] = handlers
        root.setLevel(level)
