"""What a document is, of a record: the fields that the source's settings name. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from connectors.airbyte.messages import Record
from headwater.errors import PoisonError
from headwater.sources.airbyte import StreamSettings
from schemas.events.documents import AttributeValue

MAX_ID_CHARS: Final = 1_024  # of an external id: as many as the API takes


class RecordError(PoisonError):
    """A record that is no document as the settings stand. The text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A record's document, less its access."""

    title: str
    url: str | None
    media_type: str
    attributes: Mapping[str, AttributeValue]
    text: bytes
    occurred_at: datetime

    @property
    def token(self) -> str:
        """Return what tells this document from another state of it."""
        told = [self.title, self.url, self.media_type, sorted((k, repr(v)) for k, v in self.attributes.items())]
        return hashlib.sha256(json.dumps(told).encode() + b"\0" + self.text).hexdigest()[:16]


def stream_prefix(stream: str) -> str:
    """Return what the external ids of a stream's documents begin with."""
    return f"{quote(stream, safe=' ')}/"


def external_id_of(record: Record, wanted: StreamSettings) -> str:
    """Return the id of a record's document. Raise RecordError where it has none."""
    parts = [_scalar(record, path) for path in wanted.id]
    if any(not part for part in parts):
        raise RecordError(f"{record.stream}: a record without {' and '.join(wanted.id)}, its id")
    key = parts[0] if len(parts) == 1 else "/".join(quote(part, safe=" ") for part in parts)
    if len(key) > MAX_ID_CHARS or not key.isprintable():
        raise RecordError(f"{record.stream}: an id of {len(key)} characters, at most {MAX_ID_CHARS}, all printable")
    return stream_prefix(record.stream) + key


def is_deleted(record: Record, wanted: StreamSettings) -> bool:
    """Say whether the record tells that its document is gone."""
    return bool(wanted.deleted and _found(record.data, wanted.deleted))


def mapped(record: Record, wanted: StreamSettings, *, name: str) -> Mapped:
    """Return the document of a record, `name` being its id. Raise RecordError naming the field."""
    texts = [text for path in wanted.text if (text := _scalar(record, path))]
    if not texts:
        raise RecordError(f"{record.stream}: no text in {', '.join(wanted.text)}")
    title = _scalar(record, wanted.title) if wanted.title else ""
    title = "".join(each if each.isprintable() else " " for each in title).strip()
    values = {attribute: _attribute(record, path) for attribute, path in wanted.attributes.items()}
    return Mapped(
        title=title or name,
        url=(_scalar(record, wanted.url) or None) if wanted.url else None,
        media_type=wanted.media_type,
        attributes={attribute: value for attribute, value in values.items() if value is not None},
        text="\n\n".join(texts).encode(),
        occurred_at=_time(record, wanted.updated) if wanted.updated else record.emitted_at,
    )


def _found(data: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


def _scalar(record: Record, path: str) -> str:
    """Return a field as text; empty where it is missing."""
    value = _found(record.data, path)
    match value:
        case None:
            return ""
        case str():
            return _text(record, path, value)
        case bool() | int() | float():
            return json.dumps(value)
        case _:
            raise RecordError(
                f"{record.stream}: {path} is no text but a {type(value).__name__}; name a field inside it"
            )


def _text(record: Record, path: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:  # JSON can say it, UTF-8 cannot
        raise RecordError(f"{record.stream}: {path} holds half of a surrogate pair, which is no text") from error
    return value


def _attribute(record: Record, path: str) -> AttributeValue | None:
    value = _found(record.data, path)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not all(isinstance(each, str | int | float) for each in value):
            raise RecordError(f"{record.stream}: {path} is a list of more than texts, numbers and flags")
        return tuple(_text(record, path, each) if isinstance(each, str) else each for each in value)
    if isinstance(value, str):
        return _text(record, path, value)
    if value is None or isinstance(value, int | float):
        return value
    raise RecordError(f"{record.stream}: {path} is a table; name a field inside it")


def _time(record: Record, path: str) -> datetime:
    value = _found(record.data, path)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, tz=UTC)
        if isinstance(value, str) and value:
            at = datetime.fromisoformat(value)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise RecordError(f"{record.stream}: {path} is no time: ISO 8601, or seconds since 1970") from error
    return record.emitted_at
