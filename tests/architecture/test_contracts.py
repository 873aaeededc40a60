"""Class, schema, golden example and bytes say the same; each topic has all of them."""

import shutil
from pathlib import Path

import fastavro
import pytest

from schemas.catalogue import load_catalogue
from schemas.codec import decode, encode, schema_id_of
from schemas.errors import ContractError, UndecodableError
from schemas.events import EVENT_TYPES
from schemas.examples import EXAMPLES_FOLDER, Example, freeze, load_examples
from schemas.gate import check
from schemas.registry import ManifestIds, load_manifest
from schemas.snapshot import at_revision, default_base, working_tree
from schemas.topics import Topic

EXAMPLES = {example.name: example for example in load_examples()}
IDS = ManifestIds(load_manifest())


def disagreement(example: Example) -> str | None:
    """Say how an example's two forms differ, or None."""
    if example.binary is None:
        return "has no bytes: run `headwater schemas freeze-examples`"
    try:
        event: object = decode(example.binary, example.event_type)
    except UndecodableError as error:
        return str(error)
    if event != example.event:
        return "its bytes are another event"
    current, _ = IDS.current(example.event_type.__name__)
    if schema_id_of(example.binary) == current and encode(event) != example.binary:
        return "it encodes to other bytes now: a change that is not in the schema's version"
    return None


def test_the_gate_opens() -> None:
    base = default_base()
    report = check(working_tree(), at_revision(base) if base else None)
    assert report.problems == ()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_is_its_bytes(name: str) -> None:
    assert disagreement(EXAMPLES[name]) is None


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_event_has_an_example_of_its_current_schema(event_type: type) -> None:
    current, _ = IDS.current(event_type.__name__)
    ids = [schema_id_of(each.binary) for each in EXAMPLES.values() if each.event_type is event_type and each.binary]
    assert current in ids


def test_each_topic_has_file_owner_schema_and_example() -> None:
    catalogue = load_catalogue()
    assert set(catalogue) == set(Topic)
    for entry in catalogue.values():
        IDS.current(entry.event)
        assert any(example.event_type.__name__ == entry.event for example in EXAMPLES.values()), entry.topic


def test_each_event_has_a_topic() -> None:
    assert {entry.event for entry in load_catalogue().values()} == {kind.__name__ for kind in EVENT_TYPES}


@pytest.mark.parametrize("line", load_manifest(), ids=lambda line: line.file)
def test_each_schema_is_avro(line: object) -> None:
    fastavro.parse_schema(IDS.schema(line.id))  # type: ignore[attr-defined] # a Registration; pytest hands out objects


# Each check above rejects a bad file:


def test_an_example_with_other_bytes_is_noticed() -> None:
    accepted, refused = EXAMPLES["audit_recorded/accepted"], EXAMPLES["audit_recorded/refused"]
    mixed = Example(name="mixed", event_type=accepted.event_type, event=accepted.event, binary=refused.binary)
    assert disagreement(mixed) == "its bytes are another event"


def test_an_example_with_damaged_bytes_is_noticed() -> None:
    accepted = EXAMPLES["audit_recorded/accepted"]
    assert accepted.binary is not None
    damaged = Example(name="damaged", event_type=accepted.event_type, event=accepted.event, binary=accepted.binary[:-1])
    assert disagreement(damaged) is not None


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("audit_recorded/bad.json", "{}", "audit_recorded/bad.json: AuditRecorded takes the fields"),
        ("audit_recorded/bad.json", "{", "audit_recorded/bad.json"),
        ("nothing_happened/bad.json", "{}", "there is no event nothing_happened"),
    ],
)
def test_a_bad_example_is_refused(tmp_path: Path, path: str, text: str, message: str) -> None:
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(text)
    with pytest.raises(ContractError, match=message):
        list(load_examples(tmp_path))


def test_an_example_without_bytes_is_noticed_and_frozen_once(tmp_path: Path) -> None:
    (tmp_path / "audit_recorded").mkdir()
    shutil.copy(EXAMPLES_FOLDER / "audit_recorded" / "accepted.json", tmp_path / "audit_recorded")
    assert disagreement(next(load_examples(tmp_path))) == "has no bytes: run `headwater schemas freeze-examples`"
    assert freeze(tmp_path) == ("audit_recorded/accepted",)
    assert disagreement(next(load_examples(tmp_path))) is None
    assert freeze(tmp_path) == ()
