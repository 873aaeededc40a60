"""When an ingest is over: by the facts about its own knowledge base, at the stages' own times."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headwater.errors import FatalError
from schemas.codec import encode
from schemas.events import DocumentIngested
from schemas.ids import KnowledgeBaseId
from tests.performance import facts
from tests.performance.facts import last_searchable_at
from tests.support.golden import golden

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def fact(name: str, *, words_s: float, meaning_s: float, base: str = "ours") -> bytes:
    return encode(
        replace(
            golden(DocumentIngested, "with_stage_times"),
            external_id=name,
            knowledge_base=KnowledgeBaseId(base),
            searchable_by_words_at=BEGAN + timedelta(seconds=words_s),
            searchable_by_meaning_at=BEGAN + timedelta(seconds=meaning_s),
        )
    )


def until(*looks: Sequence[bytes]) -> float:
    """Return the seconds until the two documents of a base were in both stores, seen in these looks at the log."""
    left: Iterator[Sequence[bytes]] = iter(looks)
    ended = last_searchable_at(lambda: next(left), "ours", {"a", "b"}, lambda _: None)
    return (ended - BEGAN).total_seconds()


def test_the_end_is_the_slower_stores_time_of_the_slowest_document() -> None:
    assert until([fact("a", words_s=1, meaning_s=9)], [], [fact("b", words_s=3, meaning_s=2)]) == 9


def test_others_documents_do_not_count() -> None:
    stranger = fact("b", words_s=50, meaning_s=50, base="theirs")
    assert until([fact("a", words_s=1, meaning_s=2), stranger], [fact("b", words_s=1, meaning_s=4)]) == 4


def test_an_ingest_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "PATIENCE_S", -1.0)
    with pytest.raises(FatalError, match="1 of 2 documents"):
        until([fact("a", words_s=1, meaning_s=2)], [])
