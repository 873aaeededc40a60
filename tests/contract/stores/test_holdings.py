"""One suite for the Holdings port, on the fake, on Milvus and on Elasticsearch."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from headwater.access.clauses import ANYONE
from headwater.access.policies import MIXED, policy_of
from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.elasticsearch.holdings import DocumentHoldings, KeywordHoldings
from headwater.clients.elasticsearch.read_model import ElasticsearchDocuments
from headwater.clients.milvus import MilvusVectorIndex
from headwater.clients.milvus.holdings import VectorHoldings
from headwater.ports.consistency import Holding, Holdings, IdRange
from headwater.ports.rows import ChunkRow
from headwater.settings import Settings
from schemas.events.base import Position
from schemas.events.documents import Access, Clause
from schemas.ids import EVERYONE, DocumentId, Principal, Revision, TenantId
from tests.support.consistency import RowHoldings
from tests.support.events import changed
from tests.support.rows import ACME, RIVAL, chunk_row, rows_of, vectors_for
from tests.support.stores import FakeKeywordIndex

LOW, HIGH = DocumentId("1" * 32), DocumentId("e" * 32)
ALL = IdRange.whole()
PLAIN = policy_of([EVERYONE], [EVERYONE])
# Names that an expression, a JSON field or a URL could stumble over.
ODD = tuple(map(Principal, ('user:"quoted\\"', "group:wiki:a b%25", "user:日本", "user:o'neill] or 1 == 1")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A store that a test writes to one way and audits the other."""

    holdings: Holdings
    write: Callable[[Sequence[ChunkRow]], Awaitable[None]]

    async def all(self, ids: IdRange = ALL) -> list[tuple[TenantId, DocumentId, Revision, int]]:
        found = await self.holdings.holdings(ids)
        return sorted((each.tenant_id, each.document_id, each.revision, each.rows) for each in found)

    async def emptied(self) -> None:
        for each in await self.holdings.holdings(ALL):
            await self.holdings.remove(each.tenant_id, each.document_id, each.revision)


class HoldingsContract:
    """Subclasses provide the `held` fixture."""

    async def test_rows_are_counted_by_tenant_document_and_revision(self, held: Held) -> None:
        assert await held.all() == []
        await held.write(rows_of(LOW, revision=7, chunks=3))
        await held.write(rows_of(LOW, revision=9, chunks=2))
        await held.write(rows_of(HIGH, revision=7, chunks=1, tenant=RIVAL))
        assert await held.all() == [(ACME, LOW, 7, 3), (ACME, LOW, 9, 2), (RIVAL, HIGH, 7, 1)]

    async def test_ranges_divide_what_is_held(self, held: Held) -> None:
        await held.write([*rows_of(LOW, revision=7, chunks=3), *rows_of(HIGH, revision=7, chunks=2)])
        parts = [await held.all(part) for part in ALL.parts(7)]
        assert [found for found in parts if found] == [[(ACME, LOW, 7, 3)], [(ACME, HIGH, 7, 2)]]

    async def test_an_id_that_no_document_can_have_is_seen(self, held: Held) -> None:
        strange = DocumentId("zz top")
        await held.write(rows_of(strange, revision=7, chunks=1))
        assert await held.all(ALL.parts(4)[-1]) == [(ACME, strange, 7, 1)]

    @pytest.mark.parametrize(
        "readers", [(), (EVERYONE,), (ANYONE,), ODD, tuple(Principal(f"user:{n}") for n in range(256))]
    )
    @pytest.mark.parametrize("rows", [2, 230])
    async def test_a_policy_is_that_of_the_rows(self, held: Held, readers: tuple[Principal, ...], rows: int) -> None:
        written = [
            chunk_row(document=LOW, ordinal=n, total=rows, readers=readers, readers_second=(EVERYONE,))
            for n in range(rows)
        ]
        await held.write(written)
        assert await self._only(held) == _of(LOW, rows=rows, policy=policy_of(readers, [EVERYONE]))

    @pytest.mark.parametrize("odd_one", [0, 1, 229])
    @pytest.mark.parametrize("rows", [3, 230])
    async def test_rows_that_disagree_are_mixed(self, held: Held, rows: int, odd_one: int) -> None:
        def readers(ordinal: int) -> tuple[Principal, ...]:
            return (Principal("user:eve"),) if ordinal == min(odd_one, rows - 1) else (EVERYONE,)

        await held.write([chunk_row(document=LOW, ordinal=n, total=rows, readers=readers(n)) for n in range(rows)])
        assert await self._only(held) == _of(LOW, rows=rows, policy=MIXED)

    async def test_a_policy_is_found_without_a_first_row(self, held: Held) -> None:
        await held.write(rows_of(LOW, revision=7, chunks=3)[1:])
        assert await self._only(held) == _of(LOW, rows=2, policy=PLAIN)

    async def test_one_document_among_many_of_the_same_readers_stands_out(self, held: Held) -> None:
        many = [DocumentId(f"{n:032x}") for n in range(1, 61)]
        rows = [row for document in many[:-1] for row in rows_of(document, revision=7, chunks=4)]
        wrong = [chunk_row(document=many[-1], ordinal=n, readers=(Principal("user:eve"),)) for n in range(4)]
        await held.write([*rows, *wrong])
        found = {each.document_id: each.policy for each in await held.holdings.holdings(ALL)}
        assert found.pop(many[-1]) == policy_of(["user:eve"], ["user:eve"])
        assert set(found.values()) == {PLAIN}

    async def test_removing_takes_one_revision_of_one_document(self, held: Held) -> None:
        for revision in (7, 8, 9):
            await held.write(rows_of(LOW, revision=revision, chunks=2))
        await held.write(rows_of(HIGH, revision=8, chunks=2))
        assert await held.holdings.remove(ACME, LOW, Revision(8)) == 2
        assert await held.holdings.remove(ACME, LOW, Revision(8)) == 0
        assert await held.holdings.remove(RIVAL, HIGH, Revision(8)) == 0
        assert await held.all() == [(ACME, LOW, 7, 2), (ACME, LOW, 9, 2), (ACME, HIGH, 8, 2)]

    async def _only(self, held: Held) -> Holding:
        [found] = await held.holdings.holdings(ALL)
        return found


def _of(document: DocumentId, *, rows: int, policy: bytes) -> Holding:
    return Holding(tenant_id=ACME, document_id=document, revision=Revision(7), rows=rows, policy=policy)  # type: ignore[arg-type] # a policy is bytes


class TestFakeHoldings(HoldingsContract):
    @pytest.fixture
    def held(self) -> Held:
        index = FakeKeywordIndex()
        return Held(holdings=RowHoldings(index.rows), write=index.upsert)


@pytest.mark.real
class TestElasticsearchHoldings(HoldingsContract):
    @pytest.fixture
    async def held(self, stores: Settings) -> AsyncIterator[Held]:
        async with (
            ElasticsearchKeywordIndex.open(stores.elasticsearch, stores.generation) as index,
            KeywordHoldings.open(stores.elasticsearch, stores.generation) as holdings,
        ):
            held = Held(holdings=holdings, write=index.upsert)
            await held.emptied()
            yield held


@pytest.mark.real
class TestMilvusHoldings(HoldingsContract):
    @pytest.fixture
    async def held(self, stores: Settings) -> AsyncIterator[Held]:
        async with (
            MilvusVectorIndex.open(stores.milvus, stores.generation) as index,
            VectorHoldings.open(stores.milvus, stores.generation) as holdings,
        ):

            async def write(rows: Sequence[ChunkRow]) -> None:
                await index.upsert(rows, vectors_for(len(rows)))

            held = Held(holdings=holdings, write=write)
            await held.emptied()
            yield held


@pytest.mark.real
async def test_the_read_model_holds_one_record_a_document(stores: Settings) -> None:
    state = changed(access=Access(clauses=(Clause(principals=ODD),)))
    newer = changed(access=Access(clauses=(Clause(principals=(EVERYONE,)),)), revision=9)
    position = Position(topic="log", partition=0, offset=0)
    async with (
        ElasticsearchDocuments.open(stores.elasticsearch) as documents,
        DocumentHoldings.open(stores.elasticsearch) as holdings,
    ):
        await documents.record_states([(state, position)])
        [found] = await holdings.holdings(ALL)
        assert (found.document_id, found.revision, found.rows) == (state.document_id, 7, 1)
        assert found.policy == policy_of(ODD, ODD)
        await documents.record_states([(newer, position)])
        assert await holdings.remove(ACME, state.document_id, Revision(7)) == 0
        assert await holdings.remove(RIVAL, state.document_id, Revision(9)) == 0
        assert await holdings.remove(ACME, state.document_id, Revision(9)) == 1
        assert await holdings.holdings(ALL) == []
