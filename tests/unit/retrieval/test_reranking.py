from collections.abc import Sequence
from dataclasses import replace

from query_api.answers.context import rerank
from query_api.retrieval.breaker import Breakers
from query_api.retrieval.passages import Passage
from schemas.events.base import Store
from schemas.events.directory import RetrievalProfile
from tests.support.rows import chunk_row


class RecordingReranker:
    """Prefers what was last."""

    def __init__(self) -> None:
        self.passages: list[str] = []

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        self.passages = list(passages)
        return [number / 10 for number in range(len(passages))]


async def test_passages_are_read_with_their_headings_and_only_the_first_ones() -> None:
    rows = [
        replace(chunk_row(ordinal=number, title="Leave", text="Call in."), section=("Sick", str(number)))
        for number in range(3)
    ]
    passages = [Passage(row=row, store=Store.VECTORS, score=1.0, legs={}) for row in rows]
    reranker = RecordingReranker()
    found = await rerank(
        "q", passages, reranker=reranker, breakers=Breakers(), profile=RetrievalProfile(rerank_candidates=2)
    )
    assert reranker.passages == ["Leave > Sick > 0\nCall in.", "Leave > Sick > 1\nCall in."]
    assert [passage.row.ordinal for passage in found.passages] == [1, 0, 2]
