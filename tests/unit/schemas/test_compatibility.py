"""The gate's judgement, change by change, and that fastavro agrees with it."""

import copy
import io
import json
from typing import Any

import fastavro
import pytest

from schemas.compatibility import Verdict, changes_between, refusals, roll_out_order

INSTANT = {"type": "record", "name": "Instant", "namespace": "rag", "fields": [{"name": "at", "type": "long"}]}
BASE: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "namespace": "rag",
    "doc": "A thing.",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "size", "type": "long", "default": 0},
        {"name": "mode", "type": {"type": "string", "allowed": ["full", "some"]}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "at", "type": INSTANT},
        {"name": "times", "type": {"type": "array", "items": "rag.Instant"}, "default": []},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
    ],
}
VALUE = {"id": "a", "size": 3, "mode": "full", "note": "n", "at": {"at": 5}, "times": [{"at": 6}], "counts": {"x": 1}}


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in schema["fields"] if each["name"] == name)
    return found


def changed(edit: Any) -> dict[str, Any]:
    schema = copy.deepcopy(BASE)
    edit(schema)
    return schema


def add(definition: dict[str, Any]) -> Any:
    return lambda schema: schema["fields"].append(definition)


def remove(name: str) -> Any:
    return lambda schema: schema["fields"].remove(field(schema, name))


def put(name: str, **parts: Any) -> Any:
    return lambda schema: field(schema, name).update(parts)


NEW = Verdict.BREAKS_NEW_READERS
OLD = Verdict.BREAKS_OLD_READERS
ACCEPTED = [
    (add({"name": "x", "type": "long", "default": 1}), "Thing.x: added, with the default 1", Verdict.FULL),
    (remove("size"), "Thing.size: removed; readers of today see 0", Verdict.FULL),
    (
        put("mode", type={"type": "string", "allowed": ["full", "some", "none"]}),
        "Thing.mode: new values none",
        Verdict.NEW_VALUE,
    ),
    (put("mode", type="string"), "Thing.mode: any text is allowed now", Verdict.NEW_VALUE),
]
REFUSED = [
    (add({"name": "x", "type": "long"}), "Thing.x: added without a default", {NEW}),
    (remove("id"), "Thing.id: removed, and it had no default", {OLD}),
    (put("id", type="bytes"), "Thing.id: the type changed from string to bytes", {NEW, OLD}),
    (put("size", type="int"), "Thing.size: the type changed from long to int", {NEW, OLD}),
    (put("size", default=9), "Thing.size: the default changed from 0 to 9", {NEW, OLD}),
    (put("mode", type={"type": "string", "allowed": ["full"]}), "Thing.mode: the values some are gone", {NEW}),
    (put("id", type={"type": "string", "allowed": ["a"]}), "Thing.id: any text was allowed", {NEW}),
    (put("note", type=["null", "string", "long"]), "Thing.note: long is allowed now", {OLD}),
    (put("note", type="string"), "Thing.note: null is no longer allowed", {NEW}),
    (put("id", type=["null", "string"]), "Thing.id: null is allowed now", {OLD}),
    (put("counts", type={"type": "map", "values": "string"}), "Thing.counts{}: the type changed", {NEW, OLD}),
    (put("times", type={"type": "array", "items": "long"}), "Thing.times[]: the type changed", {NEW, OLD}),
    (
        lambda schema: schema.update(json.loads(json.dumps(schema).replace("Instant", "Moment"))),
        ("Thing.at: the type changed from record Instant to record Moment", "Thing.times[]: the type changed"),
        {NEW, OLD},
    ),
    (
        put("size", type={"type": "long", "logicalType": "timestamp-micros"}),
        "Thing.size: the type changed from long to long timestamp-micros",
        {NEW, OLD},
    ),
    (
        lambda schema: field(schema, "at")["type"]["fields"].append({"name": "zone", "type": "string"}),
        "Thing.at.zone: added without a default",
        {NEW},
    ),
]


@pytest.mark.parametrize(("edit", "message", "verdict"), ACCEPTED)
def test_full_changes_are_named_and_pass(edit: Any, message: str, verdict: Verdict) -> None:
    changes = changes_between(BASE, changed(edit))
    assert [str(each) for each in changes] == [message]
    assert changes[0].verdict is verdict
    assert refusals(changes) == ()


@pytest.mark.parametrize(("edit", "message", "verdicts"), REFUSED)
def test_other_changes_are_named_and_refused(edit: Any, message: str | tuple[str, ...], verdicts: set[Verdict]) -> None:
    refused = refusals(changes_between(BASE, changed(edit)))
    assert all(str(each).startswith(message) for each in refused), refused
    assert {each.verdict for each in refused} == verdicts


def test_nothing_changed_is_no_change() -> None:
    assert changes_between(BASE, copy.deepcopy(BASE)) == ()
    assert changes_between(BASE, {**copy.deepcopy(BASE), "doc": "Told otherwise."}) == ()


@pytest.mark.parametrize("edit", [edit for edit, _, _ in ACCEPTED])
def test_what_passes_is_read_both_ways_by_fastavro(edit: Any) -> None:
    other = changed(edit)
    assert _read(_write(BASE, VALUE), BASE, other)["id"] == "a"
    assert _read(_write(other, {**VALUE, "x": 4}), other, BASE)["id"] == "a"


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        ({NEW, OLD}, "no order works"),
        ({NEW}, "producers first"),
        ({OLD}, "consumers first, and none of the old ones left"),
        ({Verdict.NEW_VALUE, Verdict.FULL}, "consumers first: those of today refuse"),
        ({Verdict.FULL}, "consumers first: they learn the schema's id"),
    ],
)
def test_the_roll_out_order_is_told(verdicts: set[Verdict], says: str) -> None:
    edits = [(edit, {verdict}) for edit, _, verdict in ACCEPTED] + [(edit, found) for edit, _, found in REFUSED]
    changes = tuple(
        change for edit, found in edits if found <= verdicts for change in changes_between(BASE, changed(edit))
    )
    assert {each.verdict for each in changes} == verdicts
    assert roll_out_order(changes).startswith(says)


def _write(schema: dict[str, Any], value: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    return buffer.getvalue()


def _read(data: bytes, written: dict[str, Any], own: dict[str, Any]) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(data), written, own)
