"""How much the vectors weigh: chosen on one half of the judged queries, reported on the other."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from headwater.evaluation.collection import Collection
from headwater.evaluation.judging import best_passages, measures, search, uploads
from headwater.evaluation.knowledge_base import Api
from query_api.retrieval.fusion import fuse
from query_api.retrieval.profiles import MEASURED
from schemas.events.directory import FusionMethod
from tests.performance.bench import Bench
from tests.performance.figures import Figure

COLLECTIONS: Final = ("cranfield", "cisi")
WEIGHTS: Final = tuple(round(float(weight), 2) for weight in np.arange(0.0, 1.01, 0.05))

# Passages of one leg with the store's scores, best first.
Leg: TypeAlias = list[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """What both legs found for one query, and whose passages those are."""

    vector: Leg
    keyword: Leg
    documents: Mapping[str, str]  # passage -> document

    def fused(self, weight: float, method: FusionMethod = FusionMethod.WEIGHTED_MIN_MAX) -> Mapping[str, float]:
        """Return documents as the API would rank them with this weight."""
        scores = fuse(self.vector, self.keyword, method=method, vector_weight=weight)
        return best_passages(
            {"external_id": self.documents[passage], "score": score} for passage, score in scores.items()
        )

    def alone(self, leg: Leg) -> Mapping[str, float]:
        """Return documents as one leg ranks them."""
        return best_passages({"external_id": self.documents[passage], "score": score} for passage, score in leg)


def measure_fusion(bench: Bench) -> list[Figure]:
    """Ask both legs, fuse with every weight, choose on the first half, report the second."""
    figures = []
    for name in COLLECTIONS:
        collection = Collection.read(bench.data / name)
        with bench.filled(f"fusion-{name}", uploads(collection)) as base:
            figures += judge_weights(collection, ask_legs(bench.api, collection, knowledge_base=base.name))
    return figures


def ask_legs(api: Api, collection: Collection, *, knowledge_base: str) -> Mapping[str, Legs]:
    """Ask every judged query of each leg on its own, at the depth that hybrid search asks them."""
    found = {}
    for query, text in collection.queries.items():
        documents: dict[str, str] = {}
        legs: dict[str, Leg] = {}
        for mode in ("vector", "keyword"):
            hits = search(api, text, knowledge_base=knowledge_base, mode=mode, explain=True)
            documents |= {hit["id"]: hit["external_id"] for hit in hits}
            legs[mode] = [(hit["id"], hit["explain"][mode]["score"]) for hit in hits]
        found[query] = Legs(vector=legs["vector"], keyword=legs["keyword"], documents=documents)
    return found


def judge_weights(collection: Collection, legs: Mapping[str, Legs]) -> list[Figure]:
    """Return nDCG@10 of each leg and of the fusion, on queries that no weight was chosen by."""
    tuning = [query for query in legs if zlib.crc32(query.encode()) % 2]
    held_out = [query for query in legs if query not in set(tuning)]
    weight = MEASURED.vector_weight
    by_weight = {
        each: _ndcg(collection, tuning, {query: legs[query].fused(each) for query in tuning}) for each in WEIGHTS
    }
    best = max(by_weight, key=lambda each: by_weight[each])
    runs = {
        "vectors": {query: legs[query].alone(legs[query].vector) for query in held_out},
        "keywords": {query: legs[query].alone(legs[query].keyword) for query in held_out},
        f"fused, best weight {best:g}": {query: legs[query].fused(best) for query in held_out},
        "reciprocal rank": {query: legs[query].fused(0.5, FusionMethod.RECIPROCAL_RANK) for query in held_out},
    }
    judged = {name: _ndcg(collection, held_out, run) for name, run in runs.items()}
    fused = _ndcg(collection, held_out, {query: legs[query].fused(weight) for query in held_out})
    stem = f"{collection.name}, nDCG@10 of {len(held_out)} held-out queries"
    return [
        *(
            Figure(name=f"{collection.name}, tuning half, weight {each:g}", value=by_weight[each], unit="")
            for each in WEIGHTS
        ),
        *(Figure(name=f"{stem}: {name}", value=value, unit="") for name, value in judged.items()),
        Figure(
            name=f"{stem}: fused, the default weight {weight:g}",
            value=fused,
            unit="",
            goal=max(judged["vectors"], judged["keywords"]),
            bound="at least",
        ),
    ]


def _ndcg(collection: Collection, queries: list[str], run: Mapping[str, Mapping[str, float]]) -> float:
    return measures({query: collection.judgements[query] for query in queries}, run)[0]
