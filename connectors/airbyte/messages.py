"""The messages of the Airbyte protocol that a reader of documents needs, one JSON object a line. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, TypeAlias

from headwater.errors import PoisonError


class MessageError(PoisonError):
    """A line that was meant as a message and is none. What it held is not known."""


class Blame(IntEnum):
    """Whose a failure is, the most telling last."""

    READER = 0
    SOURCE = 1
    SETTINGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One item of a stream, as it was when the reader saw it."""

    stream: str
    data: Mapping[str, Any]
    emitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the reader resumes: of one stream, or (`stream` None) of all that it reads."""

    stream: str | None
    message: Mapping[str, Any]  # what it gets back


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamComplete:
    """All of a stream was said."""

    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why it ends, for an operator."""

    blame: Blame
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether its configuration works. `text`: what is wrong with it."""

    succeeded: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The streams that there are."""

    streams: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An error in its log: the reason of an end without another one."""

    text: str


Message: TypeAlias = Record | State | StreamComplete | Failure | Checked | Catalog | Complaint

_BLAMES: Final = {"config_error": Blame.SETTINGS, "transient_error": Blame.SOURCE}


def message_of(line: bytes) -> Message | None:
    """Read a line; None for what is of no concern, also for text that is no message. Raise MessageError."""
    if not line.lstrip().startswith(b"{"):
        return None  # the protocol takes other lines for logs
    try:
        said = json.loads(line)
        form = _FORMS.get(said.get("type"))
        return None if form is None else form(said)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MessageError(f"not a message of the Airbyte protocol ({type(error).__name__})") from error


def _record(message: Mapping[str, Any]) -> Record:
    said = message["record"]
    return Record(
        stream=str(said["stream"]),
        data=dict(said["data"]),
        emitted_at=datetime.fromtimestamp(float(said["emitted_at"]) / 1000, tz=UTC),
    )


def _state(message: Mapping[str, Any]) -> State:
    """Read a state; counts that it carries are of no use to a later run."""
    said = {name: value for name, value in message["state"].items() if not name.endswith("Stats")}
    if said.get("type") == "STREAM":
        return State(stream=str(said["stream"]["stream_descriptor"]["name"]), message=said)
    return State(stream=None, message=said)


def _trace(message: Mapping[str, Any]) -> Message | None:
    said = message["trace"]
    if said["type"] == "ERROR":
        error = said["error"]
        return Failure(blame=_BLAMES.get(error.get("failure_type", ""), Blame.READER), text=str(error["message"]))
    if said["type"] == "STREAM_STATUS" and said["stream_status"]["status"] == "COMPLETE":
        return StreamComplete(stream=str(said["stream_status"]["stream_descriptor"]["name"]))
    return None


def _log(message: Mapping[str, Any]) -> Complaint | None:
    said = message["log"]
    return Complaint(text=str(said["message"])) if said["level"] in {"ERROR", "FATAL"} else None


def _catalog(message: Mapping[str, Any]) -> Catalog:
    return Catalog(streams=tuple(dict(each) for each in message["catalog"]["streams"]))


def _checked(message: Mapping[str, Any]) -> Checked:
    said = message["connectionStatus"]
    return Checked(succeeded=said["status"] == "SUCCEEDED", text=str(said.get("message") or ""))


_FORMS: Final[Mapping[str, Callable[[Mapping[str, Any]], Message | None]]] = {
    "RECORD": _record,
    "STATE": _state,
    "TRACE": _trace,
    "LOG": _log,
    "CATALOG": _catalog,
    "CONNECTION_STATUS": _checked,
}
