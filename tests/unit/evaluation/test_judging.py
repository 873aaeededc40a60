from itertools import count
from pathlib import Path

import pytest

from headwater.evaluation.collection import Collection
from headwater.evaluation.judging import best_passages, measure, measures, uploads
from headwater.evaluation.knowledge_base import EvaluationError, temporary_knowledge_base
from tests.unit.evaluation.fake_api import FakeApi


def test_text_arrives_exactly_and_metadata_not_at_all(beir: Path) -> None:
    pages = {upload.external_id: upload for upload in uploads(Collection.read(beir))}
    assert "<title>Wings</title>" in pages["1"].text
    assert "<p>lift of a wing &amp; its &lt;drag&gt;</p>" in pages["1"].text
    assert "<p>Nothing but a title</p>" in pages["3"].text
    assert pages["2"].title == "2"  # the API wants one
    assert not any("SECRET" in upload.text for upload in pages.values())


def test_a_document_scores_as_its_best_passage() -> None:
    hits = [{"external_id": name, "score": score} for name, score in (("x", -0.2), ("y", 0.5), ("x", -0.1))]
    assert best_passages(hits) == {"x": -0.1, "y": 0.5}


def test_measures_are_the_textbooks() -> None:
    judgements = {"a": {"1": 1}, "b": {"2": 1}}
    found = {"a": {"9": 2.0, "1": 1.0}, "b": {"2": 1.0}}
    ndcg, recall, mrr = measures(judgements, found)
    assert ndcg == pytest.approx((0.6309 + 1) / 2, abs=1e-4)
    assert (recall, mrr) == (1.0, 0.75)


def test_a_query_without_results_counts_zero(beir: Path) -> None:
    api, collection = FakeApi(delay=0), Collection.read(beir)
    with temporary_knowledge_base(api, purpose="test") as base:
        base.put(uploads(collection))
        ticks = count()
        found = measure(api, collection, knowledge_base=base.name, mode="keyword", clock=lambda: float(next(ticks)))
    assert (found.ndcg_at_10, found.recall_at_100, found.mrr_at_10) == (0.5, 0.5, 0.5)
    assert (found.latency_p50_ms, found.latency_p95_ms) == (1000, 1000)
    assert [search["query"] for search in api.searches] == ["wing lift", "wing lift", "rocket"]
    assert {(search["mode"], *search["knowledge_bases"]) for search in api.searches} == {("keyword", base.name)}


def test_a_degraded_stack_is_not_measured(beir: Path) -> None:
    api = FakeApi(degraded=("keywords_only",))
    with pytest.raises(EvaluationError, match="degraded"):
        measure(api, Collection.read(beir), knowledge_base="any", mode="hybrid")
