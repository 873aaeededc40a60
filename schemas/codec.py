"""Events to bytes and back: Avro behind Confluent's five bytes of framing, so that any Kafka tool can read them.

Reading always goes from the writer's schema, named by the framing, to the reader's own: fields that the writer did not
know get their default, fields that the reader does not know are skipped.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import fastavro

from schemas.conversion import AVRO
from schemas.errors import ContractError, UndecodableError, UnencodableError
from schemas.events import EVENT_TYPES
from schemas.ids import DocumentId, Revision, TenantId
from schemas.registry import ManifestIds, SchemaIds, load_manifest

E = TypeVar("E")

MAGIC = 0
_FRAME = struct.Struct(">bI")
_TYPES: dict[str, type] = {kind.__name__: kind for kind in EVENT_TYPES}
# What fastavro raises for a value that does not fit, and for bytes that do not.
_WRITE_ERRORS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, IndexError)
_READ_ERRORS = (*_WRITE_ERRORS, EOFError, MemoryError, struct.error, fastavro.read.SchemaResolutionError)


@dataclass(frozen=True, slots=True)
class _Writer:
    frame: bytes
    schema: Any  # as fastavro has parsed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Peeked:
    """Which document an event is about, as far as its type says."""

    event_type: type
    tenant_id: TenantId | None
    document_id: DocumentId | None
    revision: Revision | None


class Codec:
    """Encodes and decodes with the ids of one registry. Schemas are parsed once an id and kept."""

    def __init__(self, ids: SchemaIds) -> None:
        self._ids = ids
        self._writers: dict[str, _Writer] = {}
        self._schemas: dict[int, tuple[str, Any]] = {}
        self._readers: dict[tuple[int, str], Any] = {}

    def encode(self, event: object) -> bytes:
        """Return framing and Avro body. Raises UnencodableError naming the event and what does not fit."""
        name = type(event).__name__
        writer = self._writers.get(name) or self._writer(name)
        buffer = io.BytesIO()
        buffer.write(writer.frame)
        try:
            fastavro.schemaless_writer(buffer, writer.schema, AVRO.dump(event))
        except _WRITE_ERRORS as error:
            raise UnencodableError(f"{name} cannot be encoded: {error}") from error
        return buffer.getvalue()

    def decode(self, data: bytes, event_type: type[E]) -> E:
        """Return the event. Raises UndecodableError (UnknownSchemaError for an id nobody registered)."""
        schema_id = schema_id_of(data)
        name, writer_schema = self._schemas.get(schema_id) or self._schema(schema_id)
        if name != event_type.__name__:
            raise UndecodableError(f"the bytes hold a {name} (schema id {schema_id}), wanted is {event_type.__name__}")
        reader_schema = self._readers.get((schema_id, name)) or self._reader(schema_id, name)
        buffer = io.BytesIO(data)
        buffer.seek(_FRAME.size)
        try:
            plain = fastavro.schemaless_reader(buffer, writer_schema, reader_schema)
            event: E = AVRO.load(cast("dict[str, Any]", plain), event_type)
        except _READ_ERRORS as error:
            raise UndecodableError(f"the bytes are no {name} of schema id {schema_id}: {error}") from error
        if buffer.tell() != len(data):
            raise UndecodableError(f"{len(data) - buffer.tell()} bytes are left over behind the {name}")
        return event

    def event_type(self, data: bytes) -> type:
        """Return the class that these bytes are an event of. Raises UndecodableError."""
        name, _ = self._schema(schema_id_of(data))
        event_type = _TYPES.get(name)
        if event_type is None:
            raise UndecodableError(f"the bytes hold a {name}, which is no event of this build")
        return event_type

    def decode_any(self, data: bytes) -> Any:
        """Return the event, whichever it is. Raises UndecodableError."""
        return self.decode(data, self.event_type(data))

    def peek(self, data: bytes) -> Peeked | None:
        """Return what the bytes are about, or None where they cannot be decoded. Never raises ContractError."""
        try:
            event = self.decode_any(data)
        except ContractError:
            return None
        return Peeked(
            event_type=type(event),
            tenant_id=getattr(event, "tenant_id", None),
            document_id=getattr(event, "document_id", None),
            revision=getattr(event, "revision", None),
        )

    def _writer(self, name: str) -> _Writer:
        if name not in _TYPES:
            raise UnencodableError(f"{name} is no event: schemas.events.EVENT_TYPES lists them")
        schema_id, schema = self._ids.current(name)
        writer = _Writer(_FRAME.pack(MAGIC, schema_id), fastavro.parse_schema(schema))
        self._writers[name] = writer
        return writer

    def _schema(self, schema_id: int) -> tuple[str, Any]:
        known = self._schemas.get(schema_id)
        if known is None:
            schema = self._ids.schema(schema_id)
            known = self._schemas[schema_id] = (schema["name"], fastavro.parse_schema(schema))
        return known

    def _reader(self, schema_id: int, name: str) -> Any:
        _, own = self._ids.current(name)
        _, writer_schema = self._schema(schema_id)
        parsed = fastavro.parse_schema(own)
        # The very same object tells fastavro that there is nothing to resolve: three times as fast.
        reader = writer_schema if parsed == writer_schema else parsed
        self._readers[schema_id, name] = reader
        return reader


def schema_id_of(data: bytes) -> int:
    """Return the schema id in the framing. Raises UndecodableError when there is none."""
    if len(data) < _FRAME.size or data[0] != MAGIC:
        raise UndecodableError(
            f"no Confluent framing (a zero byte and a 4-byte schema id) before {len(data)} bytes: "
            "was this written by a producer without the codec?"
        )
    _, schema_id = _FRAME.unpack_from(data)
    return cast("int", schema_id)


class _Process:
    """The codec that this process uses."""

    codec: Codec | None = None


def use_schema_ids(ids: SchemaIds) -> None:
    """Make `encode` and `decode` of this process take their ids from here. Called once, when a process starts."""
    _Process.codec = Codec(ids)


def process_codec() -> Codec:
    """Return this process's codec: the committed manifest's, unless `use_schema_ids` said otherwise."""
    if _Process.codec is None:
        _Process.codec = Codec(ManifestIds(load_manifest()))
    return _Process.codec


def encode(event: object) -> bytes:
    """Return the event as bytes for Kafka. Raises UnencodableError naming the event and what does not fit."""
    return process_codec().encode(event)


def decode(data: bytes, event_type: type[E]) -> E:
    """Return the event in these bytes. Raises UndecodableError: they can never be read."""
    return process_codec().decode(data, event_type)


def peek(data: bytes) -> Peeked | None:
    """Return which document these bytes are about, or None where they cannot be decoded."""
    return process_codec().peek(data)
