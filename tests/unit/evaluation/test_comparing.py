"""Two generations asked the same questions, on an API that answers by a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from headwater.evaluation.comparing import Question, compare, replayed
from headwater.evaluation.knowledge_base import EvaluationError
from schemas.events.queries import QueryExecuted
from tests.support.golden import golden

LEAVE, PAY = (
    Question(text="leave", mode="hybrid", knowledge_bases=None, grades={"leave.md": 1}),
    Question(text="pay", mode="keyword", knowledge_bases=("staff",)),
)
FOUND: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("g1", "leave"): ("other.md", "leave.md"),
    ("g2", "leave"): ("leave.md", "third.md"),
    ("g1", "pay"): ("pay.md",),
    ("g2", "pay"): (),
}


@dataclass
class TableApi:
    """Answers from FOUND, best first."""

    degraded: tuple[str, ...] = ()
    asked: list[tuple[str, str]] = field(default_factory=list)

    def call(self, method: str, path: str, **options: Any) -> Any:
        assert (method, path) == ("POST", "/search")
        body = options["json"]
        self.asked.append((body["generation"], body["query"]))
        names = FOUND[body["generation"], body["query"]]
        hits = [{"external_id": name, "score": 1.0 / rank} for rank, name in enumerate(names, start=1)]
        return {"hits": hits, "meta": {"degraded": list(self.degraded)}}


def test_quality_overlap_and_latency_of_both_sides() -> None:
    api, ticks = TableApi(), count()
    found = compare(api, (LEAVE, PAY), ("g1", "g2"), clock=lambda: float(next(ticks)))
    first, second = found.sides
    assert (found.questions, found.judged) == (2, 1)
    assert found.overlap_at_10 == pytest.approx((1 / 3 + 0) / 2)
    assert first.ndcg_at_10 == pytest.approx(0.6309, abs=1e-3)
    assert second.ndcg_at_10 == pytest.approx(1.0)
    assert (first.empty, second.empty) == (0, 1)
    assert (first.latency_p50_ms, second.latency_p95_ms) == (1000.0, 1000.0)
    assert api.asked[2:] == [("g2", "leave"), ("g1", "leave"), ("g1", "pay"), ("g2", "pay")], "in turns"


def test_without_judgements_there_is_no_quality() -> None:
    assert [side.ndcg_at_10 for side in compare(TableApi(), (PAY,), ("g1", "g2")).sides] == [None, None]


def test_an_outage_is_not_compared() -> None:
    with pytest.raises(EvaluationError, match="degraded"):
        compare(TableApi(degraded=("vectors_only",)), (LEAVE,), ("g1", "g2"))
    with pytest.raises(EvaluationError, match="no question to replay"):
        compare(TableApi(), (), ("g1", "g2"))


def test_a_question_is_replayed_once_and_only_where_its_text_was_kept() -> None:
    asked = golden(QueryExecuted, "answered")
    hashed, unknown = replace(asked, question="sha256:00"), replace(asked, question=None)
    (question,) = replayed([asked, asked, hashed, unknown])
    assert (question.text, question.mode) == (asked.question, asked.mode)
