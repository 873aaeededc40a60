"""Logs are events with fields: one JSON object a line, allowlisted names, messages of foreign exceptions left out."""

import logging
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import structlog
from opentelemetry import trace

from headwater.errors import HeadwaterError
from headwater.settings import TelemetrySettings
from headwater.telemetry.attributes import ALLOWED
from headwater.telemetry.repeats import Repeats

# These log ordinary errors as tracebacks, with the text of what they were working on.
_NOISY = ("pymilvus", "elastic_transport", "aiokafka", "faust", "mode", "httpx", "httpcore", "uvicorn.access")
# Of a collector that is away one line a batch is enough; and what cannot be read as a header is quoted in a warning.
_QUIET = ("opentelemetry.exporter", "opentelemetry.util.re")


def configure_logging(settings: TelemetrySettings, *, process: str) -> None:
    """Send all logs of this process to stderr in one form. Called once, by a process's main function."""
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _safe_exception,
        _keep_allowed,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(Repeats())
    handler.addFilter(_without_words_of_errors)
    # A line that cannot be written would be reported with the traceback of what was being logged, text included.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in (*_NOISY, *_QUIET):
        logging.getLogger(name).setLevel(logging.ERROR)
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.contextvars.bind_contextvars(process=process)
    sys.excepthook = _log_uncaught


def _without_words_of_errors(record: logging.LogRecord) -> bool:
    """Take the texts of exceptions out of libraries' messages: arguments, or what follows the first line (asyncio)."""
    if isinstance(record.msg, dict):  # structlog's: named fields, each looked at by the processors
        return True
    given = record.args
    record.args = (
        {name: _named(value) for name, value in given.items()}
        if isinstance(given, Mapping)
        else tuple(map(_named, given or ()))
    )
    record.msg = _named(record.msg)
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # a library's own mistake: its template says at least where
        message = str(record.msg)
    record.msg, record.args = message.partition("\n")[0], None
    return True


def _named(value: object) -> object:
    foreign = isinstance(value, BaseException) and not isinstance(value, HeadwaterError)
    return type(value).__qualname__ if foreign else value


def _log_uncaught(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    """Say why a process ends in the form of all its other lines; a traceback would quote what was worked on."""
    structlog.get_logger("headwater").critical("process_failed", exc_info=error)


def _add_trace(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _safe_exception(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace `exc_info` by class names and frames: a foreign message may quote the text that was worked on."""
    info = event.pop("exc_info", None)
    if info:
        error = info if isinstance(info, BaseException) else (info if isinstance(info, tuple) else sys.exc_info())[1]
        if error is not None:
            event["exception"] = _describe(error)
    return event


def _describe(error: BaseException) -> str:
    message = f": {error}" if isinstance(error, HeadwaterError) else ""
    return f"{type(error).__qualname__}{message} at {_frames(error.__traceback__)}"


def _frames(tb: TracebackType | None) -> str:
    return " < ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno}" for f in reversed(traceback.extract_tb(tb)[-6:]))


def _keep_allowed(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    unknown = [name for name in event if name not in ALLOWED and not name.startswith("_")]
    for name in unknown:
        del event[name]
    if unknown:
        event["dropped"] = sorted(unknown)
    return event
