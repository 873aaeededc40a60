"""One admission worker and one follower on the real broker: what reaches the log, what is refused, what is parked."""

import time
from collections.abc import Iterator

import pytest

from headwater.heads.view import LmdbHeads
from schemas.events.base import Lane
from schemas.events.directory import DirectoryKind, Group, KnowledgeBase, User
from schemas.events.documents import DocumentOp
from schemas.ids import KnowledgeBaseId, Principal, document_key
from schemas.topics import Topic
from tests.support.admission import DEADLINE_S, Installation
from tests.support.heads import ACME, command, delete, patch, put, state

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture
def heads(running: Installation) -> Iterator[LmdbHeads]:
    view = running.heads()
    yield view
    view.close()


async def test_submissions_become_the_log(running: Installation) -> None:
    one, two = "flow/leave.md", "flow/travel.md"
    await running.settled(
        *await running.submit(put(external_id=one, source_version=1), put(external_id=two, lane=Lane.BACKFILL))
    )
    await running.settled(*await running.submit(put(external_id=one, source_version=1), delete(two)))
    await running.settled(*await running.submit(put(state("Older"), one, source_version=0)))

    log = {(each.external_id, each.op): each for each in await running.changes(one, two)}

    assert log.keys() == {(one, DocumentOp.UPSERTED), (two, DocumentOp.UPSERTED), (two, DocumentOp.DELETED)}
    assert log[two, DocumentOp.UPSERTED].lane is Lane.BACKFILL
    assert await running.audit(one, two) == [
        ("documents.delete", "accepted"),
        ("documents.put", "accepted"),
        ("documents.put", "accepted"),
        ("documents.put", "superseded"),
        ("documents.put", "unchanged"),
    ]


async def test_concurrent_patches_all_count(running: Installation) -> None:
    name = "patched.md"
    await running.settled(*await running.submit(put(external_id=name)))
    edits = [patch({"attributes": {f"a{number}": number}}, name) for number in range(30)]
    await running.settled(*await running.submit(*edits))

    log = await running.changes(name)

    assert log[-1].attributes == {f"a{number}": number for number in range(30)}
    revisions = [each.revision for each in log]
    assert revisions == sorted(set(revisions))


async def test_what_cannot_be_read_is_parked_and_the_rest_goes_on(running: Installation) -> None:
    name = "parked.md"
    good = put(external_id=name)
    key = document_key(ACME, good.document_id)
    other = document_key(ACME, put(external_id="other.md").document_id)
    right = (await running.submit(good))[0].partition
    send = running.producer.send
    wanted = {
        await send(Topic.DOCUMENTS_SUBMITTED, b"nonsense", key=key): "UndecodableError",
        await send(Topic.DOCUMENTS_SUBMITTED, None, key=key): "EmptyRecordError",
        await send(Topic.DOCUMENTS_SUBMITTED, good, key=key, partition=1 - right): "WrongPartitionError",
        await send(Topic.DOCUMENTS_SUBMITTED, good, key=other): "ForeignKeyError",
        await send(Topic.DIRECTORY_SUBMITTED, b"nonsense", key=b"x"): "UndecodableError",
    }
    await running.settled(*wanted)
    await running.settled(*await running.submit(put(state("Afterwards"), name)))

    assert {each.origin: each.error for each in await running.letters()} == wanted
    assert [each.title for each in await running.changes(name)] == ["Leave", "Afterwards"]


async def test_a_deleted_knowledge_base_takes_its_documents_along(running: Installation) -> None:
    doomed = KnowledgeBaseId("doomed")
    await running.settled(
        *await running.direct(command(DirectoryKind.KNOWLEDGE_BASE, doomed, KnowledgeBase(name="Doomed")))
    )
    names = [f"doomed/{number}.md" for number in range(20)]
    in_it = state(knowledge_base=doomed)
    await running.settled(*await running.submit(put(external_id="spared.md"), *(put(in_it, name) for name in names)))
    await running.direct(command(DirectoryKind.KNOWLEDGE_BASE, doomed, None))

    end = time.monotonic() + DEADLINE_S
    deleted: list[str] = []
    while len(deleted) < len(names):
        assert time.monotonic() < end, running.logs()
        deleted = [each.external_id for each in await running.changes() if each.op is DocumentOp.DELETED]
        deleted = [name for name in deleted if name in names]

    assert sorted(deleted) == sorted(names)
    assert [each.op for each in await running.changes("spared.md")] == [DocumentOp.UPSERTED]
    await running.settled(*await running.submit(put(in_it, "late.md")))
    assert await running.audit("late.md") == [("documents.put", "refused")]


async def test_a_token_ends_whatever_became_of_its_submission(running: Installation, heads: LmdbHeads) -> None:
    name = "token.md"
    document = put(external_id=name).document_id
    await running.applied(heads, *await running.submit(put(external_id=name, source_version=5)))
    first = heads.head(ACME, document)
    assert first is not None
    await running.applied(heads, *await running.submit(put(external_id=name, source_version=5)))  # unchanged
    await running.applied(heads, *await running.submit(put(state("Old"), name, source_version=4)))  # refused
    assert heads.head(ACME, document) == first
    await running.applied(heads, *await running.submit(delete(name)))
    gone = heads.head(ACME, document)
    assert gone is not None
    assert gone.op is DocumentOp.DELETED


async def test_a_membership_is_applied_with_its_token(running: Installation, heads: LmdbHeads) -> None:
    staff = Group(name="Staff", members=(Principal("user:ann"),))
    positions = await running.direct(
        command(DirectoryKind.USER, "ann", User(name="Ann")), command(DirectoryKind.GROUP, "files:staff", staff)
    )
    await running.applied(heads, *positions)
    assert "group:files:staff" in heads.principals(ACME, "ann")
    await running.applied(heads, *await running.direct(command(DirectoryKind.GROUP, "files:staff", None)))
    assert "group:files:staff" not in heads.principals(ACME, "ann")
