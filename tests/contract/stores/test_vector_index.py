"""One suite for the VectorIndex port, on the fake and on Milvus."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from headwater.clients.milvus import MilvusVectorIndex
from headwater.errors import PoisonError
from headwater.ports.rows import ChunkRow, Equals, Not, Scope, StoreHit, VectorIndex
from headwater.settings import Settings
from tests.contract.stores.chunk_index import ChunkIndexContract, emptied
from tests.support.rows import HANDBOOK, chunk_row, rows_of, scope_of, vectors_for
from tests.support.stores import FakeVectorIndex


class VectorProbe:
    """Writes with any vectors and asks for anything near."""

    def __init__(self, index: VectorIndex) -> None:
        self.index = index

    async def write(self, rows: Sequence[ChunkRow]) -> None:
        await self.index.upsert(rows, vectors_for(len(rows)))

    async def find(self, scope: Scope, *, limit: int = 100) -> Sequence[StoreHit]:
        return await self.index.search(scope, vectors_for(1)[0], limit=limit)


class VectorIndexContract(ChunkIndexContract):
    """Subclasses provide the `index` fixture."""

    @pytest.fixture
    def probe(self, index: VectorIndex) -> VectorProbe:
        return VectorProbe(index)

    async def test_the_nearest_come_first_with_their_cosine(self, index: VectorIndex) -> None:
        rows, vectors = rows_of(HANDBOOK, revision=7, chunks=20), vectors_for(20)
        await index.upsert(rows, vectors)
        hits = await index.search(scope_of(), vectors[4], limit=5)
        cosines = vectors @ vectors[4]
        nearest = np.argsort(-cosines)[:5]
        assert [hit.row.ordinal for hit in hits] == list(nearest)
        assert [hit.score for hit in hits] == pytest.approx(list(cosines[nearest]), abs=1e-5)

    async def test_rows_need_as_many_vectors(self, index: VectorIndex) -> None:
        with pytest.raises(PoisonError, match="vectors"):
            await index.upsert([chunk_row()], vectors_for(2))

    async def test_a_negation_is_no_loss_however_many_rows_it_refuses(self, index: VectorIndex) -> None:
        rows = [chunk_row(ordinal=n, attributes={"status": "draft" if n < 150 else "final"}) for n in range(155)]
        near, far = vectors_for(2)
        await index.upsert(rows, np.array([near] * 150 + [far] * 5))
        hits = await index.search(scope_of(where=Not(Equals("attributes.status", "draft"))), near, limit=5)
        assert {hit.row.ordinal for hit in hits} == set(range(150, 155))


class TestFakeVectorIndex(VectorIndexContract):
    @pytest.fixture
    def index(self) -> VectorIndex:
        return FakeVectorIndex()


@pytest.mark.real
class TestMilvusVectorIndex(VectorIndexContract):
    @pytest.fixture
    async def index(self, stores: Settings) -> AsyncIterator[VectorIndex]:
        async with MilvusVectorIndex.open(stores.milvus, stores.generation) as index:
            await emptied(index)
            yield index
