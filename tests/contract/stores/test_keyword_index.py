"""One suite for the KeywordIndex port, on the fake and on Elasticsearch."""

from collections.abc import AsyncIterator, Sequence

import pytest

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.ports.rows import ChunkRow, KeywordIndex, Scope, StoreHit
from headwater.settings import Settings
from tests.contract.stores.chunk_index import ChunkIndexContract, emptied
from tests.contract.stores.values import HOSTILE
from tests.support.rows import chunk_row, scope_of
from tests.support.stores import FakeKeywordIndex


class KeywordProbe:
    """Asks for a word that every test's rows hold."""

    def __init__(self, index: KeywordIndex) -> None:
        self.index = index

    async def write(self, rows: Sequence[ChunkRow]) -> None:
        await self.index.upsert(rows)

    async def find(self, scope: Scope, *, limit: int = 100) -> Sequence[StoreHit]:
        return await self.index.search(scope, "ferries", limit=limit)


class KeywordIndexContract(ChunkIndexContract):
    """Subclasses provide the `index` fixture."""

    @pytest.fixture
    def probe(self, index: KeywordIndex) -> KeywordProbe:
        return KeywordProbe(index)

    async def test_words_are_found_in_text_title_and_section(self, index: KeywordIndex) -> None:
        await index.upsert([chunk_row(ordinal=0), chunk_row(ordinal=1, text="A list of bicycles", title="Inventory")])
        for query, found in (("bicycles", {1}), ("inventory", {1}), ("sea", {0, 1}), ("submarine", set())):
            assert {hit.row.ordinal for hit in await index.search(scope_of(), query, limit=10)} == found

    async def test_more_words_score_higher(self, index: KeywordIndex) -> None:
        await index.upsert(
            [chunk_row(ordinal=0, text="ferries and trains"), chunk_row(ordinal=1, text="buses and trains")]
        )
        hits = await index.search(scope_of(), "ferries trains", limit=10)
        assert [hit.row.ordinal for hit in hits] == [0, 1]
        assert hits[0].score > hits[1].score

    @pytest.mark.parametrize("hostile", HOSTILE)
    async def test_a_query_is_words_and_never_a_language(self, index: KeywordIndex, hostile: str) -> None:
        await index.upsert([chunk_row(text="plain words of a passage", title="Plain")])
        assert list(await index.search(scope_of(), hostile, limit=10)) == []

    async def test_the_longest_question_is_answered(self, index: KeywordIndex) -> None:
        await index.upsert([chunk_row()])
        question = "".join(chr(0x4E00 + n) for n in range(3_900)) + " ferries"
        assert len(await index.search(scope_of(), question, limit=10)) == 1


class TestFakeKeywordIndex(KeywordIndexContract):
    @pytest.fixture
    def index(self) -> KeywordIndex:
        return FakeKeywordIndex()


@pytest.mark.real
class TestElasticsearchKeywordIndex(KeywordIndexContract):
    @pytest.fixture
    async def index(self, stores: Settings) -> AsyncIterator[KeywordIndex]:
        async with ElasticsearchKeywordIndex.open(stores.elasticsearch, stores.generation) as index:
            await emptied(index)
            yield index

    async def test_words_are_found_in_their_other_forms(self, index: KeywordIndex) -> None:
        await index.upsert([chunk_row(text="The ferry carries two bicycles", title="Crossing")])
        assert len(await index.search(scope_of(), "bicycle carrying", limit=10)) == 1
