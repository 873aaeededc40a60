"""What a directory command becomes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.events.base import Position
from schemas.events.directory import (
    ApiKey,
    DirectoryChanged,
    DirectoryKind,
    DirectoryOp,
    DirectorySubmitted,
    Group,
    KnowledgeBase,
    Source,
    Tenant,
    User,
)
from schemas.ids import SYSTEM_TENANT, KnowledgeBaseId, Principal, Revision, TenantId
from streams.admit.directory_log import deletes_documents
from streams.admit.directory_step import decide_directory
from streams.admit.outcomes import AdmittedDirectory, Drop, Dropped, Refusal, Refused
from tests.support.heads import HANDBOOK, NOON, NOON_MS, command
from tests.unit.admit.test_decide import context

STAFF = Group(name="Staff", members=(Principal("user:ann"), Principal("group:files:board")))


def record(decision: object) -> DirectoryChanged:
    assert isinstance(decision, AdmittedDirectory), decision
    return decision.record


def refusal(decision: object) -> Refusal:
    assert isinstance(decision, Refused), decision
    return decision.reason


def test_a_record_is_put_and_numbered() -> None:
    changed = record(decide_directory(command(DirectoryKind.GROUP, "files:staff", STAFF), None, context(7)))
    assert changed.record == STAFF
    assert changed.revision == NOON_MS
    assert changed.submitted == Position(topic="rag.documents.submitted", partition=1, offset=7)


def test_the_same_record_changes_nothing() -> None:
    first = record(decide_directory(command(DirectoryKind.GROUP, "files:staff", STAFF), None, context()))
    again = decide_directory(command(DirectoryKind.GROUP, "files:staff", STAFF), first, context(1))
    assert again == Dropped(reason=Drop.UNCHANGED)


def test_a_command_read_twice_counts_once() -> None:
    put = command(DirectoryKind.GROUP, "files:staff", STAFF)
    first = record(decide_directory(put, None, context(3)))
    assert decide_directory(put, first, context(3)) == Dropped(reason=Drop.REPLAYED)


def test_a_topic_that_was_created_anew_is_no_replay() -> None:
    first = record(decide_directory(command(DirectoryKind.GROUP, "files:staff", STAFF), None, context(3)))
    later = command(DirectoryKind.GROUP, "files:staff", None, observed_at=NOON + timedelta(hours=1))
    assert record(decide_directory(later, first, context(0))).op is DirectoryOp.DELETE


def test_revisions_grow_across_a_deletion() -> None:
    first = record(decide_directory(command(DirectoryKind.GROUP, "files:staff", STAFF), None, context()))
    gone = record(decide_directory(command(DirectoryKind.GROUP, "files:staff", None), first, context(1)))
    back = record(decide_directory(command(DirectoryKind.GROUP, "files:staff", STAFF), gone, context(2)))
    assert (gone.op, gone.record) == (DirectoryOp.DELETE, None)
    assert [first.revision, gone.revision, back.revision] == [NOON_MS, NOON_MS + 1, NOON_MS + 2]


def test_a_life_of_a_record_is_told_from_the_next_one() -> None:
    wiki = Source(name="Wiki", kind="s3", knowledge_base=HANDBOOK)
    first = record(decide_directory(command(DirectoryKind.SOURCE, "wiki", wiki), None, context()))
    edited = command(DirectoryKind.SOURCE, "wiki", replace(wiki, paused=True))
    second = record(decide_directory(edited, first, context(1)))
    assert (first.created, second.created) == (first.revision, first.revision)
    removal = command(DirectoryKind.SOURCE, "wiki", None, with_documents=True)
    gone = record(decide_directory(removal, second, context(2)))
    assert deletes_documents(gone)
    assert not deletes_documents(replace(gone, with_documents=False))
    again = record(decide_directory(command(DirectoryKind.SOURCE, "wiki", wiki), gone, context(3)))
    assert (again.created, again.with_documents) == (again.revision, False)
    assert again.revision > first.revision
    of_before = record(decide_directory(edited, replace(first, created=None), context(1)))
    assert of_before.created is None


@pytest.mark.parametrize(
    "wrong",
    [
        command(
            DirectoryKind.SOURCE, "wiki", Source(name="W", kind="s3", knowledge_base=HANDBOOK), with_documents=True
        ),
        command(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, None, with_documents=True),
    ],
)
def test_only_a_source_is_deleted_with_its_documents(wrong: DirectorySubmitted) -> None:
    assert refusal(decide_directory(wrong, None, context())) is Refusal.INVALID


def test_what_is_not_there_needs_no_deletion() -> None:
    assert decide_directory(command(DirectoryKind.USER, "ann", None), None, context()) == Dropped(
        reason=Drop.GONE_ALREADY
    )


@pytest.mark.parametrize(("expected", "wins"), [(0, False), (NOON_MS, True), (NOON_MS - 1, False)])
def test_expected_revision(expected: int, wins: bool) -> None:
    first = record(decide_directory(command(DirectoryKind.USER, "ann", User(name="Ann")), None, context()))
    edit = command(DirectoryKind.USER, "ann", User(name="Anna"), expected_revision=Revision(expected))
    decision = decide_directory(edit, first, context(1))
    assert isinstance(decision, AdmittedDirectory) is wins


def test_groups_may_contain_each_other_and_who_does_not_exist() -> None:
    nested = Group(name="Board", members=(Principal("group:files:staff"), Principal("group:files:board")))
    record(decide_directory(command(DirectoryKind.GROUP, "files:board", nested), None, context()))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (command(DirectoryKind.GROUP, "staff", STAFF), Refusal.INVALID),
        (command(DirectoryKind.USER, "a/b", User(name="A")), Refusal.INVALID),
        (
            command(DirectoryKind.SOURCE, "with space", Source(name="A", kind="s3", knowledge_base=HANDBOOK)),
            Refusal.INVALID,
        ),
        (command(DirectoryKind.USER, "ann", Tenant(name="A")), Refusal.INVALID),
        (command(DirectoryKind.TENANT, "evil", Tenant(name="A")), Refusal.INVALID),
        (command(DirectoryKind.TENANT, "_system", Tenant(name="A"), tenant=SYSTEM_TENANT), Refusal.INVALID),
        (command(DirectoryKind.GROUP, "files:x", Group(name="X", members=(Principal("ann"),))), Refusal.INVALID),
        (command(DirectoryKind.USER, "ann", User(name="A"), tenant=TenantId("nobody")), Refusal.UNKNOWN_TENANT),
        (
            command(DirectoryKind.SOURCE, "wiki", Source(name="W", kind="s3", knowledge_base=KnowledgeBaseId("gone"))),
            Refusal.UNKNOWN_REFERENCE,
        ),
        (
            command(DirectoryKind.API_KEY, "k1", ApiKey(name="K", hash="h", user="gone", scopes=(), created_at=NOON)),
            Refusal.UNKNOWN_REFERENCE,
        ),
        (
            command(DirectoryKind.KNOWLEDGE_BASE, "kb", KnowledgeBase(name="K", retrieval_profile="gone")),
            Refusal.UNKNOWN_REFERENCE,
        ),
    ],
)
def test_what_is_wrong_is_refused(wrong: DirectorySubmitted, reason: Refusal) -> None:
    assert refusal(decide_directory(wrong, None, context())) is reason


def test_a_deletion_carries_no_record() -> None:
    fields: dict[str, Any] = {"op": DirectoryOp.DELETE}
    assert refusal(decide_directory(command(DirectoryKind.USER, "ann", User(name="A"), **fields), None, context()))
