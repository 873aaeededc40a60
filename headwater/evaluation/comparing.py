"""The same questions asked of two generations: what differs, what it costs, and which is better where judged."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headwater.evaluation.collection import Collection
from headwater.evaluation.judging import best_passages, measures
from headwater.evaluation.knowledge_base import Api, EvaluationError
from schemas.events.queries import QueryExecuted

DEPTH: Final = 10
_PASSAGES: Final = 100  # the best passages of so many, collapsed to documents, leave ten where texts are long, too
_HASHED: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to replay; `grades` of documents by their external id, where somebody judged them."""

    text: str
    mode: str
    knowledge_bases: tuple[str, ...] | None
    grades: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One generation's answers. Latencies are the caller's."""

    generation: str
    ndcg_at_10: float | None  # over the judged questions; none: nothing was judged
    latency_p50_ms: float
    latency_p95_ms: float
    empty: int  # questions without a hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two generations side by side."""

    questions: int
    judged: int
    overlap_at_10: float  # mean share of documents that both have among their first ten; Jaccard's index
    sides: tuple[Side, Side]


def replayed(queries: Sequence[QueryExecuted]) -> list[Question]:
    """Return the distinct questions of recorded queries whose text was kept, in their order."""
    known: dict[tuple[str, str], Question] = {}
    for query in queries:
        if query.question and not query.question.startswith(_HASHED):
            known.setdefault(
                (query.question, query.mode),
                Question(
                    text=query.question, mode=query.mode, knowledge_bases=tuple(map(str, query.knowledge_bases)) or None
                ),
            )
    return list(known.values())


def judged(collection: Collection, *, knowledge_base: str) -> list[Question]:
    """Return a collection's questions with their judgements."""
    return [
        Question(text=text, mode="hybrid", knowledge_bases=(knowledge_base,), grades=collection.judgements[query])
        for query, text in collection.queries.items()
    ]


def compare(
    api: Api,
    questions: Sequence[Question],
    generations: tuple[str, str],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Ask each question of both, in turns, so that neither is always the first to warm a cache.

    Raises EvaluationError without questions, and where an answer was degraded: that would measure an outage.
    """
    if not questions:
        raise EvaluationError("there is no question to replay: ask some, or name a judged collection with --beir")
    found: tuple[list[Mapping[str, float]], list[Mapping[str, float]]] = ([], [])
    latencies: tuple[list[float], list[float]] = ([], [])
    for each in generations:
        _ask(api, questions[0], each)  # connections are not compared
    for number, question in enumerate(questions):
        for side in (0, 1) if number % 2 else (1, 0):
            began = clock()
            found[side].append(_ask(api, question, generations[side]))
            latencies[side].append((clock() - began) * 1000)
    overlaps = [_overlap(first, second) for first, second in zip(*found, strict=True)]
    return Comparison(
        questions=len(questions),
        judged=sum(question.grades is not None for question in questions),
        overlap_at_10=float(np.mean(overlaps)),
        sides=(
            _side(generations[0], questions, found[0], latencies[0]),
            _side(generations[1], questions, found[1], latencies[1]),
        ),
    )


def _ask(api: Api, question: Question, generation: str) -> Mapping[str, float]:
    body: dict[str, Any] = {
        "query": question.text,
        "mode": question.mode,
        "top_k": _PASSAGES,
        "generation": generation,
    }
    if question.knowledge_bases is not None:
        body["knowledge_bases"] = question.knowledge_bases
    answer = api.call("POST", "/search", json=body)
    if answer["meta"]["degraded"]:
        raise EvaluationError(
            f"a search was degraded ({', '.join(answer['meta']['degraded'])}); see `headwater status`"
        )
    return best_passages(answer["hits"])


def _side(
    generation: str,
    questions: Sequence[Question],
    found: Sequence[Mapping[str, float]],
    latencies: Sequence[float],
) -> Side:
    judgements = {str(n): each.grades for n, each in enumerate(questions) if each.grades is not None}
    run = {str(n): scores for n, scores in enumerate(found) if str(n) in judgements}
    return Side(
        generation=generation,
        ndcg_at_10=measures(judgements, run)[0] if judgements else None,
        latency_p50_ms=float(np.quantile(latencies, 0.5)),
        latency_p95_ms=float(np.quantile(latencies, 0.95)),
        empty=sum(not scores for scores in found),
    )


def _overlap(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return Jaccard's index of the first ten documents; 1 where both found nothing."""
    one, other = _first_ten(first), _first_ten(second)
    return len(one & other) / len(one | other) if one | other else 1.0


def _first_ten(scores: Mapping[str, float]) -> set[str]:
    return set(sorted(scores, key=lambda document: (-scores[document], document))[:DEPTH])
