"""How often a store is asked for what bulk work and edits want to know of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from headwater.rows import rows
from schemas.events import ChunkBatch
from schemas.events.base import Lane
from schemas.ids import DocumentId, Revision, TenantId
from streams.indexing.looks import Looks
from tests.support.events import prepared
from tests.support.stores import FakeKeywordIndex


class AskedIndex(FakeKeywordIndex):
    """Remembers how many documents each question was about."""

    def __init__(self) -> None:
        super().__init__()
        self.alone, self.together = 0, list[int]()

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        self.alone += 1
        return (await super().revisions(tenant, document)).get(revision, 0)

    async def revisions(self, tenant: TenantId, document: DocumentId) -> Mapping[Revision, int]:
        self.alone += 1
        return await super().revisions(tenant, document)

    async def revisions_of(
        self, documents: Sequence[tuple[TenantId, DocumentId]]
    ) -> Mapping[DocumentId, Mapping[Revision, int]]:
        self.together.append(len(documents))
        return {document: await super(AskedIndex, self).revisions(tenant, document) for tenant, document in documents}


def batch(number: int, *, lane: Lane = Lane.BACKFILL, total: int = 2) -> ChunkBatch:
    made = prepared(chunks=2)
    return replace(made, document_id=DocumentId(f"document-{number}"), lane=lane, total=total)


async def newest(looks: Looks, event: ChunkBatch) -> int | None:
    return await looks.newest(event)


async def count(looks: Looks, event: ChunkBatch) -> int | None:
    return await looks.count(event)


LOOKS = pytest.mark.parametrize("look", [newest, count])
Look = Callable[[Looks, ChunkBatch], Awaitable[int | None]]


@LOOKS
async def test_a_crowd_of_bulk_work_asks_once_and_each_gets_its_own(look: Look) -> None:
    index = AskedIndex()
    looks = Looks(index)
    crowd = [batch(number) for number in range(6)]
    for each in crowd[::2]:
        await index.upsert(rows(each))
    found = await asyncio.gather(*(look(looks, each) for each in crowd))
    alone = [await look(looks, replace(each, lane=Lane.LIVE)) for each in crowd]
    assert found == alone
    assert len(set(found)) == 2, "some have rows, some have none"
    assert index.together == [6]


@LOOKS
@pytest.mark.parametrize("special", [batch(0, lane=Lane.LIVE), batch(0, total=5_000)], ids=["an edit", "a large one"])
async def test_edits_and_large_documents_ask_for_themselves(look: Look, special: ChunkBatch) -> None:
    index = AskedIndex()
    looks = Looks(index)
    await asyncio.gather(look(looks, special), *(look(looks, batch(number)) for number in (1, 2)))
    assert (index.alone, index.together) == (1, [2])


async def test_a_question_is_about_a_bounded_number_of_rows() -> None:
    index = AskedIndex()
    looks = Looks(index)
    await asyncio.gather(*(looks.count(batch(number, total=2_000)) for number in range(4)))
    assert index.together == [2, 2]


async def test_those_who_wait_are_let_go_of_when_the_stage_ends() -> None:
    looks = Looks(AskedIndex())
    waiting = asyncio.create_task(looks.newest(batch(0)))
    await asyncio.sleep(0)
    await looks.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
