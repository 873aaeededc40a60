"""/search, /query and /feedback on fakes: the gate, the cache, the events."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, KnowledgeBase, QueryTextPolicy, RetrievalProfile, Tenant
from schemas.events.queries import FeedbackReceived, QueryExecuted, QueryKind
from schemas.ids import SYSTEM_TENANT, KnowledgeBaseId, TenantId
from tests.support.answering import ALL_STAFF, AnsweringApi, for_only
from tests.support.asking import LEAVE, PAY, events, post, texts


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


async def test_a_hit_and_a_source_say_where_in_the_document_they_stand(
    replica: AnsweringApi, ada: dict[str, str]
) -> None:
    document = await replica.publish("leave.md", "Something else", LEAVE)
    placed = f"{document}#1#1"
    for index in (replica.vectors, replica.keywords):
        index.rows[placed] = replace(index.rows[placed], page=3)
    where = {"section": ["Travel", "By sea"], "page": 3}
    hit = (await post(replica, "/search", ada, query="annual leave", top_k=1))["hits"][0]
    assert hit["id"] == placed
    assert hit.items() >= (where | {"start": 100, "end": 100 + len(LEAVE)}).items()
    assert (hit["previous"], hit["next"]) == (f"{document}#1#0", None)
    source = (await post(replica, "/query", ada, query="How is annual leave requested?"))["sources"][0]
    assert source.items() >= (where | {"id": placed, "document_id": document, "revision": 1}).items()
    assert source["snippet"] in LEAVE


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


NESTED = "filters.all_of[0].any_of[0].field"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": " "}, "query"),
        ({"query": "x", "top_k": 0}, "top_k"),
        ({"query": "x", "mode": "magic"}, "mode"),
        ({"query": "x", "tenant_id": "rival"}, "tenant_id"),
        ({"query": "x", "profile": "none"}, "profile"),
        ({"query": "x", "filters": {"field": "tenant_id", "equals": "rival"}}, "filters.field"),
        ({"query": "x", "filters": {"field": "source", "one_of": []}}, "filters.one_of"),
        ({"query": "x", "filters": {"field": "source", "equals": None}}, "filters.equals"),
        ({"query": "x", "filters": {"equals": "wiki"}}, "filters.field"),
        ({"query": "x", "filters": {"field": "source"}}, "filters"),
        ({"query": "x", "filters": {"all_of": [{"any_of": [{"field": "title", "equals": "x"}]}]}}, NESTED),
        ({"query": "x", "after": "%%%"}, "after"),
        ({"query": "x", "knowledge_bases": ["k" * 321]}, "knowledge_bases[0]"),
        ({"query": "x", "profile": "p" * 321}, "profile"),
    ],
)
async def test_bad_input_names_the_field(
    replica: AnsweringApi, ada: dict[str, str], body: dict[str, Any], field: str
) -> None:
    response = await replica.api.client.post("/v1/search", json=body, headers=ada)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["field"] == field
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


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": 4.5}, "rating"),
        ({"type": "rude"}, "type"),
        ({"comment": "x" * 4_001}, "comment"),
    ],
)
async def test_a_rating_out_of_range_names_the_field(
    replica: AnsweringApi, ada: dict[str, str], change: dict[str, Any], field: str
) -> None:
    body = {"query_id": "q", "rating": 5, "type": "helpful", **change}
    response = await replica.api.client.post("/v1/feedback", json=body, headers=ada)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert response.json()["remedy"]
    assert replica.api.log.sent(FeedbackReceived) == []


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
