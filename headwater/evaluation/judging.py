"""Running judged queries through the API and measuring what comes back."""

import html
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from headwater.evaluation.collection import Collection, CollectionDocument, Judgements
from headwater.evaluation.knowledge_base import Api, EvaluationError, Upload

MODES: Final = ("vector", "keyword", "hybrid")
PASSAGES: Final = 100  # the API's limit; where documents are long, the best 100 passages are of fewer documents

# Query -> document -> score: of its best passage.
Run: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One mode on one collection. Measures are means over the judged queries; latencies are the caller's."""

    mode: str
    ndcg_at_10: float
    recall_at_100: float
    mrr_at_10: float
    latency_p50_ms: float
    latency_p95_ms: float


def uploads(collection: Collection) -> Iterator[Upload]:
    """Yield the corpus as pages of HTML: title and text arrive exactly, whatever characters they hold."""
    for document in collection.documents():
        yield Upload(
            external_id=document.id,
            title=document.title.strip() or document.id,
            text=_page(document),
            media_type="text/html",
        )


def measure(
    api: Api, collection: Collection, *, knowledge_base: str, mode: str, clock: Callable[[], float] = time.perf_counter
) -> Measured:
    """Ask every judged query in one mode and measure. The first query is asked twice: connections are not judged.

    Raises EvaluationError where a response was degraded: that would measure an outage.
    """
    search(api, next(iter(collection.queries.values())), knowledge_base=knowledge_base, mode=mode)
    run: dict[str, Mapping[str, float]] = {}
    latencies: list[float] = []
    for query, text in collection.queries.items():
        began = clock()
        hits = search(api, text, knowledge_base=knowledge_base, mode=mode)
        latencies.append((clock() - began) * 1000)
        run[query] = best_passages(hits)
    ndcg, recall, mrr = measures(collection.judgements, run)
    return Measured(
        mode=mode,
        ndcg_at_10=ndcg,
        recall_at_100=recall,
        mrr_at_10=mrr,
        latency_p50_ms=float(np.quantile(latencies, 0.5)),
        latency_p95_ms=float(np.quantile(latencies, 0.95)),
    )


def search(api: Api, text: str, *, knowledge_base: str, mode: str, explain: bool = False) -> list[Mapping[str, Any]]:
    """Return the best passages of one knowledge base."""
    body = {
        "query": text,
        "knowledge_bases": [knowledge_base],
        "mode": mode,
        "top_k": PASSAGES,
        "explain": explain,
    }
    found = api.call("POST", "/search", json=body)
    if found["meta"]["degraded"]:
        raise EvaluationError(f"a search was degraded ({', '.join(found['meta']['degraded'])}); see `headwater status`")
    hits: list[Mapping[str, Any]] = found["hits"]
    return hits


def best_passages(hits: Iterable[Mapping[str, Any]]) -> Mapping[str, float]:
    """Collapse passages to documents, each with the score of its best one."""
    scores: dict[str, float] = {}
    for hit in hits:
        document = hit["external_id"]
        scores[document] = max(hit["score"], scores.get(document, hit["score"]))
    return scores


def measures(judgements: Judgements, run: Run) -> tuple[float, float, float]:
    """Return nDCG@10, Recall@100 and MRR@10. A judged query without results counts 0."""
    from ir_measures import RR, R, calc_aggregate, nDCG

    wanted = (nDCG @ 10, R @ 100, RR @ 10)
    found = calc_aggregate(
        wanted,
        {query: dict(grades) for query, grades in judgements.items()},
        {query: dict(scores) for query, scores in run.items()},
    )
    ndcg, recall, mrr = (float(found[measure]) for measure in wanted)
    return ndcg, recall, mrr


def _page(document: CollectionDocument) -> str:
    title = html.escape(document.title.strip())
    body = html.escape(document.text.strip() or document.title.strip())
    return f"<!doctype html>\n<html><head><title>{title}</title></head>\n<body><p>{body}</p></body></html>\n"
