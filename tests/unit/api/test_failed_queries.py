"""A question that gets a problem for an answer is an event too: analytics sees what callers see."""

import asyncio
from typing import Any

import pytest

from headwater.settings import ApiSettings, Settings
from schemas.events.directory import DirectoryKind, QueryTextPolicy, Tenant
from schemas.events.queries import QueryExecuted, QueryKind, QueryOutcome
from schemas.ids import SYSTEM_TENANT
from tests.support.answering import AnsweringApi, answering_api
from tests.support.api import ACME
from tests.support.asking import LEAVE, events

QUESTION = {"query": "leave?", "knowledge_bases": ["handbook"], "mode": "keyword"}


def recorded(replica: AnsweringApi) -> list[QueryExecuted]:
    return [event for event in replica.api.log.sent(QueryExecuted) if isinstance(event, QueryExecuted)]


def stores_away(replica: AnsweringApi) -> None:
    replica.vectors.away = replica.keywords.away = True


def behind(replica: AnsweringApi) -> None:
    replica.api.heads.lag_s = 11


def not_applied(replica: AnsweringApi) -> None:
    replica.api.log.held = True


@pytest.mark.parametrize(("path", "kind"), [("/search", QueryKind.SEARCH), ("/query", QueryKind.ANSWER)])
@pytest.mark.parametrize(
    ("outage", "more", "problem", "question"),
    [
        (stores_away, {}, "dependency_unavailable", "leave?"),
        (behind, {}, "stale_replica", None),
        (not_applied, {"after": "eyJyYWcuZG9jdW1lbnRzLnN1Ym1pdHRlZCI6eyIwIjoxfX0"}, "not_applied_yet", "leave?"),
    ],
)
async def test_a_question_that_fails_is_recorded(
    replica: AnsweringApi,
    ada: dict[str, str],
    path: str,
    kind: QueryKind,
    outage: Any,
    more: dict[str, Any],
    problem: str,
    question: str | None,
) -> None:
    await replica.api.put(DirectoryKind.TENANT, ACME, Tenant(name="Acme"), tenant=SYSTEM_TENANT)
    outage(replica)
    response = await replica.api.client.post(f"/v1{path}", json={**QUESTION, **more}, headers=ada)
    assert (response.status_code, response.json()["code"]) == (503, problem)
    (event,) = recorded(replica)
    assert (event.outcome, event.problem) == (QueryOutcome.FAILED, problem)
    assert (event.kind, event.mode, event.knowledge_bases) == (kind, "keyword", ("handbook",))
    assert (event.user, event.tenant_id, event.generation) == ("user:ada", ACME, "g1")
    assert (event.question, event.passages, event.answered) == (question, (), False)
    assert event.query_id.startswith("q_")


async def test_a_question_that_runs_out_of_time_is_recorded() -> None:
    async with answering_api(Settings(api=ApiSettings(request_timeout_s=0.1))) as replica:
        ada = await replica.api.key("ada", scopes=("read",))

        async def hang(*_arguments: object, **_options: object) -> None:
            await asyncio.Event().wait()

        replica.keywords.search = hang  # type: ignore[assignment]  # a fake of a fake
        response = await replica.api.client.post("/v1/search", json=QUESTION, headers=ada)
        assert (response.status_code, response.json()["code"]) == (504, "timeout")
        (event,) = recorded(replica)
        assert (event.outcome, event.problem) == (QueryOutcome.FAILED, "timeout")


async def test_a_question_that_cannot_be_is_recorded_as_refused(replica: AnsweringApi, ada: dict[str, str]) -> None:
    response = await replica.api.client.post("/v1/search", json={**QUESTION, "profile": "none"}, headers=ada)
    assert response.status_code == 422
    (event,) = recorded(replica)
    assert (event.outcome, event.problem) == (QueryOutcome.REFUSED, "invalid_request")


async def test_a_bug_is_recorded(replica: AnsweringApi, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica.api.runtime.generations, "stores", None)
    response = await replica.api.client.post("/v1/search", json=QUESTION, headers=ada)
    assert response.status_code == 500
    (event,) = recorded(replica)
    assert (event.outcome, event.problem) == (QueryOutcome.FAILED, "internal_error")


@pytest.mark.parametrize(
    ("body", "scopes", "known", "status"),
    [
        ({"query": " "}, ("read",), True, 422),
        (QUESTION, ("write",), True, 403),
        (QUESTION, ("read",), False, 401),
        ({**QUESTION, "generation": "none"}, ("read", "system"), True, 422),
    ],
    ids=["no question", "in the audit trail", "nobody", "a comparison"],
)
async def test_what_is_no_question_of_anybody_is_not_recorded(
    replica: AnsweringApi, body: dict[str, Any], scopes: tuple[str, ...], known: bool, status: int
) -> None:
    headers = await replica.api.key("ada", scopes=scopes)
    response = await replica.api.client.post("/v1/search", json=body, headers=headers if known else {})
    assert response.status_code == status
    assert recorded(replica) == []


@pytest.mark.parametrize(("policy", "kept"), [(QueryTextPolicy.NONE, None), (QueryTextPolicy.HASHED, "sha256:")])
async def test_the_tenants_policy_holds_for_what_fails(
    replica: AnsweringApi, ada: dict[str, str], policy: QueryTextPolicy, kept: str | None
) -> None:
    await replica.api.put(DirectoryKind.TENANT, ACME, Tenant(name="Acme", query_text=policy), tenant=SYSTEM_TENANT)
    stores_away(replica)
    await replica.api.client.post("/v1/search", json=QUESTION, headers=ada)
    (event,) = recorded(replica)
    assert (event.question and event.question[:7]) == kept


async def test_a_stream_that_ends_before_its_first_word_is_recorded(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    stores_away(replica)
    ((name, problem),) = await events(replica, ada, query="leave?")
    assert (name, problem["code"]) == ("error", "dependency_unavailable")
    (event,) = recorded(replica)
    assert (event.outcome, event.problem) == (QueryOutcome.FAILED, "dependency_unavailable")


async def test_what_is_answered_is_recorded_once(replica: AnsweringApi, ada: dict[str, str]) -> None:
    await replica.publish("leave.md", LEAVE)
    await replica.api.client.post("/v1/search", json=QUESTION, headers=ada)
    (event,) = recorded(replica)
    assert (event.outcome, event.problem) == (QueryOutcome.COMPLETED, None)
