"""Events survive the journey through bytes; bytes that are no event are refused with a reason."""

import copy
import dataclasses
import io
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import Codec, decode, encode, peek, process_codec, schema_id_of
from schemas.conversion import AVRO, READABLE
from schemas.errors import UndecodableError, UnencodableError, UnknownSchemaError
from schemas.events import EVENT_TYPES, AuditRecorded, DocumentChanged, SyncRequested
from schemas.events.documents import AttributeValue
from schemas.examples import load_examples
from schemas.registry import ManifestIds, load_manifest
from tests.unit.schemas.strategies import events

ANY_EVENT = st.one_of(*(events(kind) for kind in EVENT_TYPES))
EXAMPLES = {example.name: example for example in load_examples()}
UPSERTED: DocumentChanged = EXAMPLES["document_changed/upserted"].event
ACCEPTED: AuditRecorded = EXAMPLES["audit_recorded/accepted"].event


class OneWriter:
    """Ids in which one event is written with another schema than the reader's own."""

    WRITTEN = 900

    def __init__(self, event: str, written: dict[str, Any]) -> None:
        self._manifest = ManifestIds(load_manifest())
        self._event = event
        self._written = written

    def current(self, event: str) -> tuple[int, dict[str, Any]]:
        return self._manifest.current(event)

    def schema(self, schema_id: int) -> dict[str, Any]:
        return self._written if schema_id == self.WRITTEN else self._manifest.schema(schema_id)


class Newer(OneWriter):
    """Ids of a newer build: it writes the changed schema."""

    def current(self, event: str) -> tuple[int, dict[str, Any]]:
        return (self.WRITTEN, self._written) if event == self._event else super().current(event)


def schema_of(event: type) -> dict[str, Any]:
    return copy.deepcopy(ManifestIds(load_manifest()).current(event.__name__)[1])


@given(ANY_EVENT)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_every_event_survives_bytes(event: Any) -> None:
    assert decode(encode(event), type(event)) == event


@given(ANY_EVENT)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_every_event_survives_its_readable_form(event: Any) -> None:
    assert READABLE.load(READABLE.dump(event), type(event)) == event


def test_times_come_back_aware_in_utc() -> None:
    assert decode(encode(UPSERTED), DocumentChanged).occurred_at.tzinfo is UTC


def test_attributes_keep_their_types() -> None:
    attributes: dict[str, AttributeValue] = {
        "flag": True,
        "one": 1,
        "point": 1.0,
        "text": "1",
        "list": (True, 1, 1.0, "1"),
    }
    event = dataclasses.replace(UPSERTED, attributes=attributes)
    read = decode(encode(event), DocumentChanged).attributes
    assert {name: type(value) for name, value in read.items()} == {k: type(v) for k, v in attributes.items()}
    assert [type(each) for each in read["list"]] == [bool, int, float, str]  # type: ignore[union-attr] # a tuple, as written


def test_framing_is_confluents() -> None:
    data = encode(ACCEPTED)
    assert data[0] == 0
    assert struct.unpack(">I", data[1:5]) == (process_codec()._ids.current("AuditRecorded")[0],)


def test_a_time_without_a_zone_is_refused_by_name() -> None:
    event = dataclasses.replace(ACCEPTED, occurred_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test
    with pytest.raises(UnencodableError, match=r"AuditRecorded\.occurred_at: .* no time zone"):
        encode(event)


@pytest.mark.parametrize("value", [None, 7, b"bytes"])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(UnencodableError, match="AuditRecorded cannot be encoded"):
        encode(dataclasses.replace(ACCEPTED, action=value))  # type: ignore[arg-type] # the mistake under test


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(UnencodableError, match="DocumentChanged cannot be encoded"):
        encode(dataclasses.replace(UPSERTED, attributes={"big": 2**63}))


def test_an_attribute_of_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(UnencodableError, match=r"DocumentChanged\.attributes: an attribute is text"):
        encode(dataclasses.replace(UPSERTED, attributes={"x": b"raw"}))  # type: ignore[dict-item] # the mistake under test


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(UnencodableError, match="str is no event"):
        encode("text")


@pytest.mark.parametrize("data", [b"", b"\x00\x00", b"{}", b"\x01\x00\x00\x00\x01rest", b"hello world"])
def test_bytes_without_framing_are_refused(data: bytes) -> None:
    with pytest.raises(UndecodableError, match="no Confluent framing"):
        decode(data, AuditRecorded)


def test_an_unregistered_id_is_told_apart() -> None:
    with pytest.raises(UnknownSchemaError, match="schema id 4000000 is not in"):
        decode(b"\x00" + struct.pack(">I", 4_000_000) + b"rest", AuditRecorded)


def test_another_event_is_refused() -> None:
    with pytest.raises(UndecodableError, match=r"hold a AuditRecorded .* wanted is DocumentChanged"):
        decode(encode(ACCEPTED), DocumentChanged)


def test_left_over_bytes_are_refused() -> None:
    with pytest.raises(UndecodableError, match="1 bytes are left over"):
        decode(encode(ACCEPTED) + b"\x00", AuditRecorded)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_cut_event_is_refused_wherever_it_is_cut(name: str) -> None:
    example = EXAMPLES[name]
    data = encode(example.event)
    for length in range(len(data)):
        with pytest.raises(UndecodableError):
            decode(data[:length], example.event_type)


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
@settings(max_examples=300)
def test_damaged_bytes_never_raise_anything_else(name: str, data: st.DataObject) -> None:
    example = EXAMPLES[name]
    damaged = bytearray(encode(example.event))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(5, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(UndecodableError):
        decode(bytes(damaged), example.event_type)


def test_a_reader_skips_fields_it_does_not_know() -> None:
    written = schema_of(SyncRequested)
    written["fields"].append({"name": "priority", "type": "long", "default": 7})
    newer = Codec(Newer("SyncRequested", written))
    event = EXAMPLES["sync_requested/full"].event
    data = newer.encode(event)
    assert schema_id_of(data) == OneWriter.WRITTEN
    assert len(data) == len(encode(event)) + 1
    assert Codec(OneWriter("SyncRequested", written)).decode(data, SyncRequested) == event


def test_a_reader_fills_in_what_the_writer_did_not_know() -> None:
    record = EXAMPLES["directory_changed/retrieval_profile"].event
    written = schema_of(type(record))
    fields = _find_record(written, "RetrievalProfile")["fields"]
    fields[:] = [field for field in fields if field["name"] != "context_passages"]
    older = Codec(Newer("DirectoryChanged", written))
    read = Codec(OneWriter("DirectoryChanged", written)).decode(older.encode(record), type(record))
    assert read == record
    assert read.record.context_passages == 8


def test_a_value_of_a_newer_producer_is_refused_by_name() -> None:
    event = EXAMPLES["sync_requested/full"].event
    data = encode(dataclasses.replace(event, mode="instant"))
    with pytest.raises(UndecodableError, match=r"SyncRequested\.mode: 'instant' is none of full, incremental"):
        decode(data, SyncRequested)


def test_a_directory_record_of_an_unknown_kind_is_refused() -> None:
    record = EXAMPLES["directory_changed/user"].event
    written = schema_of(type(record))
    kinds = _find_record(written, "DirectoryRecord")["fields"]
    next(field for field in kinds if field["name"] == "user")["name"] = "robot"
    plain = AVRO.dump(record)
    name, one_of = plain["record"]
    plain["record"] = (name, {"robot": one_of["user"]})
    buffer = io.BytesIO()
    buffer.write(struct.pack(">bI", 0, OneWriter.WRITTEN))
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(written), plain)
    with pytest.raises(UndecodableError, match="exactly one of tenant, user"):
        Codec(OneWriter("DirectoryChanged", written)).decode(buffer.getvalue(), type(record))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_peek_says_whom_an_event_is_about(name: str) -> None:
    event: Any = EXAMPLES[name].event
    peeked = peek(encode(event))
    assert peeked is not None
    assert peeked.tenant_id == event.tenant_id
    assert peeked.document_id == getattr(event, "document_id", None)
    assert peeked.event_type is type(event)


def test_peek_says_nothing_of_garbage() -> None:
    assert peek(b"garbage") is None
    assert peek(encode(ACCEPTED)[:-1]) is None


def _find_record(schema: Any, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for each in part:
                walk(each)
        elif isinstance(part, dict):
            if part.get("name") == name and "fields" in part:
                found.append(part)
            for each in part.values():
                walk(each)

    walk(schema)
    return found[0]
