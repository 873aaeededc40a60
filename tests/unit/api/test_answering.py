"""/search, /query and /feedback on fakes: the gate, degradation, the cache, the events."""

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock

import pytest

from headwater.errors import FatalError
from headwater.generations.records import first_generation
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, KnowledgeBase, QueryTextPolicy, RetrievalProfile, Tenant
from schemas.events.queries import FeedbackReceived, QueryExecuted, QueryKind
from schemas.ids import SYSTEM_TENANT, GenerationName, KnowledgeBaseId, TenantId
from tests.support.answering import ALL_STAFF, AnsweringApi, answering_api, for_only

LEAVE = "Annual leave is requested in the roster system three weeks before it begins"
EPOCH = datetime.fromtimestamp(0, tz=UTC)
PAY = "Salary bands are reviewed every January with the works council"


@pytest.fixture
async def replica() -> AsyncIterator[AnsweringApi]:
    async with answering_api() as running:
        yield running


@pytest.fixture
async def ada(replica: AnsweringApi) -> dict[str, str]:
    return await replica.api.key("ada", scopes=("read",))


async def post(replica: AnsweringApi, path: str, headers: dict[str, str], **body: Any) -> Any:
    response = await replica.api.client.post(f"/v1{path}", json=body, headers=headers)
    assert response.status_code in {200, 202}, response.text
    return response.json()


async def texts(replica: AnsweringApi, headers: dict[str, str], query: str = "leave", **body: Any) -> list[str]:
    found = await post(replica, "/search", headers, query=query, **body)
    return [hit["text"] for hit in found["hits"]]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
async def test_a_passage_is_found_and_can_be_cited(replica: AnsweringApi, ada: dict[str, str], mode: str) -> None:
    document = await replica.publish("leave.md", LEAVE, "Something else")
    found = await post(replica, "/search", ada, query="annual leave", mode=mode, explain=True, top_k=1)
    (hit,) = found["hits"]
    assert (hit["document_id"], hit["revision"], hit["text"]) == (document, 1, LEAVE)
    assert (hit["previous"], hit["next"]) == (None, f"{document}#1#1")
    assert [hit["highlight"]["text"][low:high] for low, high in hit["highlight"]["spans"]] == ["Annual", "leave"]
    assert hit["explain"]["keyword" if mode == "keyword" else "vector"]["rank"] == 1
    assert found["meta"]["degraded"] == []
    assert found["meta"]["generation"] == "g1"


async def test_a_revocation_holds_before_any_store_is_written(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    assert await texts(replica, ada) == [LEAVE]
    replica.revoke(document)
    assert await texts(replica, ada) == []


async def test_a_deletion_holds_before_any_store_is_written(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    replica.delete(document)
    assert await texts(replica, ada) == []


async def test_a_deleted_knowledge_base_hides_its_documents(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    del replica.api.directory.entries[TenantId("acme"), DirectoryKind.KNOWLEDGE_BASE, "handbook"]
    assert await texts(replica, ada) == []


async def test_an_older_revision_is_not_shown_once_the_newer_is_complete(
    replica: AnsweringApi, ada: dict[str, str]
) -> None:
    await replica.publish("leave.md", LEAVE)
    await replica.publish("leave.md", "Leave is now requested by letter")
    assert await texts(replica, ada) == ["Leave is now requested by letter"]


async def test_the_newer_of_two_legs_revisions_wins(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    await replica.publish("leave.md", "Leave is now requested by letter", stores=[Store.KEYWORDS])
    assert await texts(replica, ada) == ["Leave is now requested by letter"]
    assert await texts(replica, ada, mode="vector") == [LEAVE]


async def test_refused_rows_cost_no_recall(replica: AnsweringApi, ada: dict[str, str]) -> None:
    """The stores' filters still let 150 rows through that are revoked by now: the query goes deeper."""
    for number in range(150):
        replica.revoke(await replica.publish(f"old-{number}.md", "leave leave leave"))
    await replica.publish("leave.md", LEAVE)
    assert await texts(replica, ada, top_k=1) == [LEAVE]


async def test_nothing_crosses_tenants(replica: AnsweringApi) -> None:
    rival = TenantId("rival")
    await replica.api.tenant(rival)
    await replica.publish("leave.md", LEAVE)
    stranger = await replica.api.key("ada", tenant=rival)
    assert await texts(replica, stranger) == []


async def test_a_question_goes_only_where_it_was_asked(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.api.put(DirectoryKind.KNOWLEDGE_BASE, "other", KnowledgeBase(name="Other"))
    await replica.publish("leave.md", LEAVE)
    await replica.publish("else.md", "leave elsewhere", knowledge_base=KnowledgeBaseId("other"))
    assert await texts(replica, ada, knowledge_bases=["other"]) == ["leave elsewhere"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": " "}, "query"),
        ({"query": "x", "top_k": 0}, "top_k"),
        ({"query": "x", "mode": "magic"}, "mode"),
        ({"query": "x", "tenant_id": "rival"}, "tenant_id"),
        ({"query": "x", "profile": "none"}, "profile"),
        ({"query": "x", "filters": {"field": "tenant_id", "equals": "rival"}}, "filters"),
        ({"query": "x", "after": "%%%"}, "after"),
    ],
)
async def test_bad_input_names_the_field(
    replica: AnsweringApi, ada: dict[str, str], body: dict[str, Any], field: str
) -> None:
    response = await replica.api.client.post("/v1/search", json=body, headers=ada)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["field"].startswith(field)
    assert response.json()["remedy"]


async def test_an_answer_names_what_it_rests_on(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    found = await post(replica, "/query", ada, query="How is annual leave requested?")
    assert found["answer"] == f"{LEAVE} [1]"
    (source,) = found["sources"]
    assert (source["number"], source["id"], source["revision"]) == (1, f"{document}#1#0", 1)
    assert found["meta"]["cache"] == "miss"
    assert found["meta"]["tokens"] == {"prompt": 10, "completion": 3}
    assert {"embed", "vectors", "keywords", "rerank", "generate", "total"} <= found["meta"]["timings_ms"].keys()


async def test_what_is_not_answered_is_said(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    found = await post(replica, "/query", ada, query="an unanswerable question about leave")
    assert (found["answer"], found["sources"]) == (None, [])
    assert [passage["text"] for passage in found["passages"]] == [LEAVE]


async def test_a_generator_never_sees_what_the_caller_may_not(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("pay.md", PAY, access=for_only("user:boss"))
    await replica.publish("leave.md", LEAVE)
    found = await post(replica, "/query", ada, query="salary bands reviewed and annual leave")
    assert replica.generator.seen == [LEAVE]
    assert PAY not in json.dumps(found)


async def test_the_same_context_is_not_generated_twice(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    bob = await replica.api.key("bob", scopes=("read",))
    first = await post(replica, "/query", ada, query="annual leave?")
    second = await post(replica, "/query", bob, query="annual  leave?")
    assert (second["meta"]["cache"], second["answer"]) == ("hit", first["answer"])
    assert second["meta"]["tokens"] == {"prompt": 0, "completion": 0}
    assert replica.generator.calls == 1


async def test_a_cached_answer_goes_with_its_context(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    await post(replica, "/query", ada, query="annual leave?")
    replica.revoke(document)
    found = await post(replica, "/query", ada, query="annual leave?")
    assert (found["answer"], found["passages"], found["meta"]["cache"]) == (None, [], "none")


async def test_an_edit_makes_a_new_answer(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    await post(replica, "/query", ada, query="annual leave?")
    await replica.publish("leave.md", "Annual leave is requested by letter")
    found = await post(replica, "/query", ada, query="annual leave?")
    assert (found["answer"], found["meta"]["cache"]) == ("Annual leave is requested by letter [1]", "miss")


async def test_what_is_revoked_while_it_is_generated_is_not_shown(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    generate = replica.generator.generate

    async def slowly(question: str, passages: Any) -> Any:
        answer = await generate(question, passages)
        replica.revoke(document)
        return answer

    replica.generator.generate = slowly  # type: ignore[method-assign]  # a revocation at the worst moment
    found = await post(replica, "/query", ada, query="annual leave?")
    assert (found["answer"], found["sources"], found["passages"]) == (None, [], [])


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


async def events(replica: AnsweringApi, headers: dict[str, str], **body: Any) -> list[tuple[str, Any]]:
    response = await replica.api.client.post("/v1/query", json={**body, "stream": True}, headers=headers)
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_a_streamed_answer_is_the_same_answer(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    *deltas, (last, whole) = await events(replica, ada, query="annual leave?")
    assert last == "answer"
    assert "".join(delta["text"] for _, delta in deltas).strip() == whole["answer"]
    assert len(deltas) > 3
    cached = await post(replica, "/query", ada, query="annual leave?")
    assert (cached["meta"]["cache"], cached["answer"]) == ("hit", whole["answer"])


async def test_a_stream_falls_back_before_the_first_word(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    replica.generator.away = True
    *_, (name, whole) = await events(replica, ada, query="annual leave?")
    assert (name, whole["meta"]["degraded"]) == ("answer", ["extractive_answer"])


async def test_a_stream_stops_at_a_revocation(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    stream = replica.generator.stream

    async def interrupted(question: str, passages: Any) -> Any:
        count = 0
        async for delta in stream(question, passages):
            count += 1
            if count == 3:
                replica.revoke(document)
            yield delta

    replica.generator.stream = interrupted  # type: ignore[method-assign]  # a revocation at the worst moment
    *deltas, (_, whole) = await events(replica, ada, query="annual leave?")
    assert len(deltas) == 2
    assert (whole["answer"], whole["sources"]) == (None, [])


async def test_every_query_is_recorded(replica: AnsweringApi, ada: dict[str, str]) -> None:
    document = await replica.publish("leave.md", LEAVE)
    found = await post(replica, "/query", ada, query="annual leave?")
    (event,) = replica.api.log.sent(QueryExecuted)
    assert isinstance(event, QueryExecuted)
    assert (event.query_id, event.kind, event.user) == (found["meta"]["query_id"], QueryKind.ANSWER, "user:ada")
    assert (event.question, event.answered, event.passages[0].document_id) == ("annual leave?", True, document)


@pytest.mark.parametrize("policy", [QueryTextPolicy.HASHED, QueryTextPolicy.NONE])
async def test_a_tenant_decides_what_is_kept_of_a_question(
    replica: AnsweringApi, ada: dict[str, str], policy: QueryTextPolicy
) -> None:
    await replica.api.put(DirectoryKind.TENANT, "acme", Tenant(name="acme", query_text=policy), tenant=SYSTEM_TENANT)
    await post(replica, "/search", ada, query="a delicate matter")
    (event,) = replica.api.log.sent(QueryExecuted)
    assert isinstance(event, QueryExecuted)
    assert "delicate" not in str(event.question)
    assert (event.question is None) == (policy is QueryTextPolicy.NONE)


async def test_an_absent_log_costs_the_record_not_the_answer(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    replica.api.log.away = True
    assert await texts(replica, ada) == [LEAVE]


async def test_feedback_is_for_ones_own_queries(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    query_id = (await post(replica, "/query", ada, query="annual leave?"))["meta"]["query_id"]
    body = {"query_id": query_id, "rating": 2, "type": "outdated", "comment": "by letter now"}
    accepted = await post(replica, "/feedback", ada, **body)
    (event,) = replica.api.log.sent(FeedbackReceived)
    assert isinstance(event, FeedbackReceived)
    assert (str(event.event_id), event.query_id, event.rating) == (accepted["event_id"], query_id, 2)
    bob = await replica.api.key("bob", scopes=("read",))
    response = await replica.api.client.post("/v1/feedback", json=body, headers=bob)
    assert response.status_code == 404


async def test_a_profile_of_the_directory_is_used(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.api.put(DirectoryKind.RETRIEVAL_PROFILE, "plain", RetrievalProfile(rerank=False, context_passages=1))
    await replica.publish("leave.md", LEAVE, "More about leave")
    found = await post(replica, "/query", ada, query="leave", profile="plain")
    assert "rerank" not in found["meta"]["timings_ms"]
    assert len(replica.generator.seen) == 1


async def test_readers_of_a_public_document_are_everyone_but_guests(replica: AnsweringApi) -> None:
    await replica.publish("leave.md", LEAVE, access=ALL_STAFF)
    guest = await replica.api.key("visitor", guest=True)
    assert await texts(replica, guest) == []


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


async def test_another_generation_is_asked_by_name_only_by_who_runs_the_platform(
    replica: AnsweringApi, ada: dict[str, str]
) -> None:
    await replica.publish("leave.md", LEAVE)
    body = {"query": "annual leave", "generation": "g1"}
    refused = await replica.api.client.post("/v1/search", json=body, headers=ada)
    assert refused.status_code == 403
    operator = await replica.api.key("operator", scopes=("read", "system"))
    before = len(replica.api.log.sent(QueryExecuted))
    found = await replica.api.client.post("/v1/search", json=body, headers=operator)
    assert [hit["text"] for hit in found.json()["hits"]] == [LEAVE]
    assert len(replica.api.log.sent(QueryExecuted)) == before, "a comparison is not recorded as a question"
    unknown = await replica.api.client.post("/v1/search", json={**body, "generation": "g7"}, headers=operator)
    assert (unknown.status_code, unknown.json()["field"]) == (422, "generation")
