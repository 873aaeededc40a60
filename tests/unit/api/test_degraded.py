"""/search and /query on fakes while a dependency is away, lost or behind: what is said, and what goes on."""

import dataclasses
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock

import pytest

from headwater.errors import FatalError
from headwater.generations.records import first_generation
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind
from schemas.ids import SYSTEM_TENANT, GenerationName
from tests.support.answering import AnsweringApi
from tests.support.asking import LEAVE, events, post, texts

EPOCH = datetime.fromtimestamp(0, tz=UTC)


@pytest.mark.parametrize(
    ("away", "degraded"),
    [
        (["reranker"], ["rerank_off"]),
        (["vectors"], ["keywords_only"]),
        (["embedder"], ["keywords_only"]),
        (["keywords"], ["vectors_only"]),
        (["generator"], ["extractive_answer"]),
        (["generator", "extractive"], ["passages_only"]),
        (["vectors", "reranker", "generator"], ["rerank_off", "keywords_only", "extractive_answer"]),
    ],
)
async def test_what_is_away_is_said_and_the_rest_goes_on(
    replica: AnsweringApi, ada: dict[str, str], away: list[str], degraded: list[str]
) -> None:
    await replica.publish("leave.md", LEAVE)
    for name in away:
        getattr(replica, name).away = True
    found = await post(replica, "/query", ada, query="How is annual leave requested?")
    assert found["meta"]["degraded"] == degraded
    shown = found["sources"] or found["passages"]
    assert len(shown) == 1


async def test_without_any_store_the_answer_is_503(replica: AnsweringApi, ada: dict[str, str]) -> None:
    replica.vectors.away = replica.keywords.away = True
    response = await replica.api.client.post("/v1/search", json={"query": "leave"}, headers=ada)
    assert (response.status_code, response.json()["code"]) == (503, "dependency_unavailable")


async def test_a_replica_behind_its_budget_answers_nothing(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    replica.api.heads.lag_s = 11.0
    response = await replica.api.client.post("/v1/search", json={"query": "leave"}, headers=ada)
    assert (response.status_code, response.json()["code"]) == (503, "stale_replica")


def lose_the_replica(replica: AnsweringApi, monkeypatch: pytest.MonkeyPatch, *, back_after: int | None = None) -> None:
    """Let the replica lose its folder while the vectors are asked; it is back after so many looks at its age."""
    search, as_of, looks = replica.vectors.search, replica.api.heads.as_of, 0

    async def losing(*asked: Any, **options: Any) -> Any:
        found = await search(*asked, **options)
        documents = dict(replica.api.heads.documents)
        replica.api.heads.documents.clear()

        def rebuilding() -> datetime:
            nonlocal looks
            looks += 1
            if looks != back_after:
                return EPOCH
            replica.api.heads.documents.update(documents)
            monkeypatch.setattr(replica.api.heads, "as_of", as_of)
            return EPOCH

        monkeypatch.setattr(replica.api.heads, "as_of", rebuilding)
        return found

    monkeypatch.setattr(replica.vectors, "search", losing)


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
@pytest.mark.parametrize("path", ["/search", "/query"])
@pytest.mark.parametrize("back_after", [None, 1], ids=["lost", "back before the last look"])
async def test_a_replica_that_is_lost_under_a_question_refuses_rather_than_find_nothing(
    replica: AnsweringApi,
    ada: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    mode: str,
    back_after: int | None,
) -> None:
    await replica.publish("leave.md", LEAVE)
    lose_the_replica(replica, monkeypatch, back_after=back_after)
    response = await replica.api.client.post(f"/v1{path}", json={"query": "annual leave", "mode": mode}, headers=ada)
    assert (response.status_code, response.json()["code"]) == (503, "stale_replica")


async def test_a_stream_whose_replica_falls_behind_ends_with_the_reason(
    replica: AnsweringApi, ada: dict[str, str]
) -> None:
    await replica.publish("leave.md", LEAVE)
    stream = replica.generator.stream

    async def outlasting(question: str, passages: Any) -> Any:
        async for delta in stream(question, passages):
            yield delta
            replica.api.heads.lag_s = 11.0

    replica.generator.stream = outlasting  # type: ignore[method-assign]  # its follower died after the first word
    (first, _), (last, problem) = await events(replica, ada, query="annual leave?")
    assert (first, last, problem["code"]) == ("delta", "error", "stale_replica")


async def test_an_absent_log_costs_the_record_not_the_answer(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    replica.api.log.away = True
    assert await texts(replica, ada) == [LEAVE]


@pytest.mark.parametrize(
    ("store", "degraded", "mode"),
    [(Store.KEYWORDS, "vectors_only", "keyword"), (Store.VECTORS, "keywords_only", "vector")],
)
async def test_a_store_that_is_being_rebuilt_is_not_asked_and_every_answer_says_so(
    replica: AnsweringApi, ada: dict[str, str], store: Store, degraded: str, mode: str
) -> None:
    await replica.publish("leave.md", LEAVE)
    marked = dataclasses.replace(first_generation(GenerationName("g1")), rebuilding=(store,))
    await replica.api.put(DirectoryKind.GENERATION, "g1", marked, tenant=SYSTEM_TENANT)
    found = await post(replica, "/search", ada, query="annual leave", explain=True)
    (hit,) = found["hits"]
    assert found["meta"]["degraded"] == [degraded]
    assert hit["explain"][mode] is None
    alone = await replica.api.client.post("/v1/search", json={"query": "leave", "mode": mode}, headers=ada)
    assert alone.status_code == 503, "nothing found would be taken for an answer"

    await replica.api.put(DirectoryKind.GENERATION, "g1", first_generation(GenerationName("g1")), tenant=SYSTEM_TENANT)
    assert (await post(replica, "/search", ada, query="annual leave"))["meta"]["degraded"] == []


async def test_an_index_that_is_gone_costs_its_leg_and_not_the_answer(
    replica: AnsweringApi, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await replica.publish("leave.md", LEAVE)
    monkeypatch.setattr(replica.keywords, "search", AsyncMock(side_effect=FatalError("the index does not exist")))
    found = await post(replica, "/search", ada, query="annual leave")
    assert ([hit["text"] for hit in found["hits"]], found["meta"]["degraded"]) == ([LEAVE], ["vectors_only"])
