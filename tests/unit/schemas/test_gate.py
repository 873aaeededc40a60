"""The gate opens for the tree as it is, and for each rule there is a tree it refuses."""

import dataclasses
import json
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ContractError
from schemas.events import EVENT_TYPES, AuditRecorded
from schemas.gate import Report, check
from schemas.registry import SCHEMAS_FOLDER, Registration, fingerprint, parse_manifest
from schemas.snapshot import Snapshot, at_revision, default_base, working_tree
from schemas.versions import plan_version, render_manifest, render_schema, write_version

TREE = working_tree()
LINES = parse_manifest(TREE.manifest)


def first_schema(event: str) -> dict[str, Any]:
    line = next(each for each in LINES if each.event == event)
    schema: dict[str, Any] = json.loads(TREE.schemas[line.file])
    return schema


def with_version(event: str, edit: Any) -> Snapshot:
    """The tree with one more version of an event."""
    schema = first_schema(event)
    edit(schema)
    content = render_schema(schema)
    version = sum(each.event == event for each in LINES) + 1
    file = f"{event}.v{version}.avsc"
    line = Registration(id=len(LINES) + 1, event=event, version=version, file=file, sha256=fingerprint(content))
    return dataclasses.replace(TREE, manifest=render_manifest((*LINES, line)), schemas={**TREE.schemas, file: content})


def problems(tree: Snapshot, base: Snapshot | None = None) -> str:
    return "\n".join(check(tree, base).problems)


def test_it_opens_on_first_introduction() -> None:
    assert check(TREE, None).problems == ()


def test_it_opens_when_nothing_changed() -> None:
    assert check(TREE, TREE) == Report(problems=(), steps=())


def test_a_full_version_is_described_with_its_order() -> None:
    tree = with_version("AuditRecorded", lambda schema: schema["fields"].append(_session("")))
    report = check(tree, TREE, event_types=())
    assert report.problems == ()
    assert [str(change) for step in report.steps for change in step.changes] == [
        "AuditRecorded.session: added, with the default ''"
    ]
    assert report.steps[0].to_version == report.steps[0].from_version + 1
    assert report.steps[0].order.startswith("consumers first")


def test_a_version_that_is_not_full_is_refused_with_its_order() -> None:
    tree = with_version("AuditRecorded", lambda schema: schema["fields"].append({"name": "session", "type": "string"}))
    said = problems(tree, TREE)
    assert "AuditRecorded version 2 is not FULL with version 1: AuditRecorded.session: added without a default" in said
    assert "AuditRecorded: roll-out would be producers first" in said


def test_an_edited_schema_is_refused() -> None:
    file = LINES[0].file
    tree = dataclasses.replace(TREE, schemas={**TREE.schemas, file: TREE.schemas[file] + b"\n"})
    assert f"schemas/avro/{file} was edited after it was registered" in problems(tree)


def test_a_missing_schema_is_refused() -> None:
    rest = {name: content for name, content in TREE.schemas.items() if name != LINES[0].file}
    assert "but missing: restore it" in problems(dataclasses.replace(TREE, schemas=rest))


def test_a_schema_outside_the_manifest_is_refused() -> None:
    tree = dataclasses.replace(TREE, schemas={**TREE.schemas, "stray.v1.avsc": b"{}"})
    assert "schemas/avro/stray.v1.avsc is not in schemas/manifest.json" in problems(tree)


@pytest.mark.parametrize("content", [b"{}", b"{", b"[]", b'{"type": "record", "name": "X", "fields": [{"name": "y"}]}'])
def test_what_is_no_schema_is_refused(content: bytes) -> None:
    line = dataclasses.replace(LINES[0], sha256=fingerprint(content))
    manifest = render_manifest((line, *LINES[1:]))
    tree = dataclasses.replace(TREE, manifest=manifest, schemas={**TREE.schemas, line.file: content})
    assert f"schemas/avro/{line.file} is no Avro schema" in problems(tree)


def test_a_removed_id_is_refused() -> None:
    gone = LINES[-1]
    rest = {name: content for name, content in TREE.schemas.items() if name != gone.file}
    tree = dataclasses.replace(TREE, manifest=render_manifest(LINES[:-1]), schemas=rest)
    assert f"id {gone.id} ({gone.event}) was removed" in problems(tree, TREE)


def test_a_reused_id_is_refused() -> None:
    swapped = (dataclasses.replace(LINES[1], id=1), dataclasses.replace(LINES[0], id=2), *LINES[2:])
    said = problems(dataclasses.replace(TREE, manifest=render_manifest(swapped)), TREE)
    assert f"id 1 ({LINES[0].event} version 1) changed: restore it" in said


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"id": 99}, "has id 99; ids count up"),
        ({"version": 3}, "is version 3 of"),
        ({"sha": "x"}, "is a list of"),
    ],
)
def test_a_manifest_out_of_order_is_refused(edit: dict[str, object], message: str) -> None:
    lines = [asdict(each) for each in LINES]
    lines[4] |= edit
    assert message in problems(dataclasses.replace(TREE, manifest=json.dumps(lines)))


def test_a_class_that_differs_from_its_schema_is_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Changed(AuditRecorded):
        session: str = ""

    Changed.__name__ = "AuditRecorded"
    said = "\n".join(check(TREE, None, event_types=[Changed]).problems)
    assert "AuditRecorded differs from its schema (AuditRecorded.session: added" in said


def test_a_class_without_a_schema_is_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Novel:
        name: str

    assert "Novel has no schema: run `headwater schemas add Novel`" in check(TREE, None, event_types=[Novel]).problems


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key: tenant/actor", "key: tenant", "rag.audit.recorded: key changed from 'tenant/actor' to 'tenant'"),
        ("partitions: configured", "partitions: one", "rag.audit.recorded: partitions changed"),
    ],
)
def test_a_topic_does_not_change_in_place(old: str, new: str, message: str) -> None:
    name = "audit.recorded.yaml"
    edited = dataclasses.replace(TREE, catalogue={**TREE.catalogue, name: TREE.catalogue[name].replace(old, new)})
    assert message in problems(edited, TREE)


def test_a_removed_topic_is_refused() -> None:
    rest = {name: text for name, text in TREE.catalogue.items() if name != "audit.recorded.yaml"}
    assert "schemas/catalogue/audit.recorded.yaml was removed" in problems(
        dataclasses.replace(TREE, catalogue=rest), TREE
    )


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A git checkout whose main branch has these contracts."""
    folder = tmp_path / "schemas"
    for name in ("avro", "catalogue"):
        shutil.copytree(SCHEMAS_FOLDER / name, folder / name)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "nothing yet")
    shutil.copy(SCHEMAS_FOLDER / "manifest.json", folder)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "contracts")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(("git", "-C", str(folder), *identity, *arguments), check=True, capture_output=True)


def test_a_branch_follows_where_it_left_main(contracts: Path) -> None:
    git(contracts, "checkout", "-q", "-b", "change")
    (contracts / "avro" / LINES[0].file).write_text("{}")
    git(contracts, "commit", "-q", "-a", "-m", "edit")
    base = default_base(folder=contracts)
    assert base is not None
    assert at_revision(base, folder=contracts) == TREE
    report = check(working_tree(contracts), at_revision(base, folder=contracts))
    assert [problem.split(" was ")[0] for problem in report.problems] == [f"schemas/avro/{LINES[0].file}"]


def test_main_follows_its_previous_commit(contracts: Path) -> None:
    base = default_base(folder=contracts)
    assert base is not None
    assert at_revision(base, folder=contracts) is None


def test_an_unknown_base_is_refused(contracts: Path) -> None:
    with pytest.raises(ContractError, match="--base nowhere: git knows no such revision"):
        at_revision("nowhere", folder=contracts)


def test_outside_git_there_is_no_base(tmp_path: Path) -> None:
    assert default_base(folder=tmp_path) is None


def test_a_version_is_added_once_and_only_when_full(contracts: Path) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Changed(AuditRecorded):
        session: str = ""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Broken(AuditRecorded):
        session: str

    Changed.__name__ = Broken.__name__ = "AuditRecorded"
    with pytest.raises(ContractError, match=r"AuditRecorded\.session: added without a default"):
        plan_version(Broken, folder=contracts)
    planned = plan_version(Changed, folder=contracts)
    assert planned is not None
    registration, changes = planned
    write_version(Changed, registration, folder=contracts)
    assert [str(each) for each in changes] == ["AuditRecorded.session: added, with the default ''"]
    assert plan_version(Changed, folder=contracts) is None
    others = [kind for kind in EVENT_TYPES if kind is not AuditRecorded]
    report = check(working_tree(contracts), at_revision("HEAD", folder=contracts), event_types=[Changed, *others])
    assert report.problems == ()
    assert [step.event for step in report.steps] == ["AuditRecorded"]


def _session(default: str) -> dict[str, Any]:
    return {"name": "session", "type": "string", "default": default}
