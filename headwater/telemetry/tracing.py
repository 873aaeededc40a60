"""Traces from source to store and from request to model; the context crosses Kafka in record headers (W3C)."""

import atexit
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer, Span, StatusCode, Tracer

from headwater.settings import TelemetrySettings
from headwater.telemetry.attributes import ALLOWED

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
AttributeScalar: TypeAlias = str | int | float | bool
SCOPE: Final = "headwater"
# A collector that hangs would hold up a stop for half a minute; a supervisor kills what takes longer than its grace.
LAST_SPANS_S: Final = 2.0


class OwnTracers(TracerProvider):
    """Traces what `span` names, and nothing of vendors: their instrumentation knows no allowlist.

    Elasticsearch's client, to name one, traces itself wherever OpenTelemetry is installed: with addresses, paths, and
    the texts of its errors, which quote documents and queries.
    """

    def get_tracer(self, instrumenting_module_name: str, *args: Any, **options: Any) -> Tracer:
        """Return a tracer, one that does nothing for anybody but us: the current span stays ours inside its spans."""
        if instrumenting_module_name != SCOPE:
            return NoOpTracer()
        return super().get_tracer(instrumenting_module_name, *args, **options)


def configure_tracing(settings: TelemetrySettings, *, process: str) -> None:
    """Install the tracer of this process; without an endpoint spans exist but go nowhere. Called once, by a main.

    Spans wait in a queue of bounded length and are sent by a thread of its own: a collector that is away or slow costs
    spans, never work. When the process ends it waits at most LAST_SPANS_S for the last of them.
    """
    provider = open_tracers(settings, process=process)
    atexit.register(_end, provider)
    trace.set_tracer_provider(provider)


def open_tracers(settings: TelemetrySettings, *, process: str) -> OwnTracers:
    """Return tracers whose spans go where the settings say, under this process's name. Whoever asks shuts them down."""
    resource = Resource.create({"service.name": settings.service_name, "service.instance.id": process})
    provider = OwnTracers(resource=resource, shutdown_on_exit=False)
    if settings.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        headers = {name: secret.get_secret_value() for name, secret in settings.otlp_headers.items()}
        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint, headers=headers)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _end(provider: OwnTracers) -> None:
    ending = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    ending.start()
    ending.join(LAST_SPANS_S)


@contextmanager
def span(name: str, *, headers: Headers | None = None, **attributes: AttributeScalar) -> Iterator[Span]:
    """Trace a piece of work, as a child of `headers` where given. Only allowlisted attributes may be named.

    An exception is recorded by its class alone: its message may quote what was worked on.
    """
    unknown = attributes.keys() - ALLOWED
    if unknown:
        raise ValueError(f"span attributes {sorted(unknown)} are not in headwater/telemetry/attributes.py")
    context = extract_context(headers) if headers is not None else None
    tracer = trace.get_tracer(SCOPE)
    with tracer.start_as_current_span(
        name, context=context, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(StatusCode.ERROR, type(error).__qualname__)
            raise


def inject_headers() -> Headers:
    """Return the current trace context as Kafka headers; empty outside a span."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return tuple((name, value.encode()) for name, value in carrier.items())


def extract_context(headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes]) -> Context:
    """Return the trace context that Kafka headers carry."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    carrier = {name: value.decode("ascii", "replace") for name, value in pairs if name in {"traceparent", "tracestate"}}
    return propagate.extract(carrier)


def current_trace_id() -> str | None:
    """Return the id of the current trace in hex, None outside a span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
