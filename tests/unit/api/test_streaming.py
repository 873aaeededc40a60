"""A streamed answer is recorded however it ends: callers hang up at any word, and the last event is a good moment."""

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from query_api.retrieval.retriever import Degradation
from schemas.events.base import Event, Position
from schemas.events.queries import QueryExecuted, QueryOutcome
from tests.support.answering import AnsweringApi
from tests.support.asking import LEAVE, events


@dataclass(slots=True, kw_only=True)
class HangingUp:
    """The server's side of a connection whose caller closes it when they have seen `at`, as uvicorn tells of it."""

    at: str
    body: bytes
    seen: str = ""
    sent: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> MutableMapping[str, Any]:
        if not self.sent:
            self.sent = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.seen += message.get("body", b"").decode()
        if self.at in self.seen:
            self.gone.set()


async def hang_up(replica: AnsweringApi, headers: dict[str, str], *, at: str) -> HangingUp:
    body = json.dumps({"query": "annual leave?", "stream": True}).encode()
    caller = HangingUp(at=at, body=body)
    sent = {"content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},  # uvicorn's
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/query",
        "raw_path": b"/v1/query",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("192.0.2.7", 4711),
        "server": ("headwater.test", 80),
    }
    async with asyncio.timeout(20):
        await replica.api.app(scope, caller.receive, caller.send)
    return caller


@pytest.mark.parametrize(("at", "answered"), [("requested", False), ("event: answer", True)])
async def test_whoever_hangs_up_is_recorded_all_the_same(
    replica: AnsweringApi, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch, at: str, answered: bool
) -> None:
    document = await replica.publish("leave.md", LEAVE)
    stream, send = replica.generator.stream, replica.api.log.send

    async def slow(question: str, passages: Any) -> Any:
        async for delta in stream(question, passages):
            yield delta
            await asyncio.sleep(0.01)

    async def distant(event: Event) -> Position:
        await asyncio.sleep(0.05)  # a broker's answer takes longer than a caller's goodbye
        return await send(event)

    monkeypatch.setattr(replica.generator, "stream", slow)
    monkeypatch.setattr(replica.api.log, "send", distant)
    caller = await hang_up(replica, ada, at=at)
    assert ("event: answer" in caller.seen) is answered
    (event,) = replica.api.log.sent(QueryExecuted)
    assert isinstance(event, QueryExecuted)
    assert (event.question, event.answered) == ("annual leave?", answered)
    assert [passage.document_id for passage in event.passages] == [document]
    assert event.degraded == (() if answered else (Degradation.NO_ANSWER,))
    assert event.outcome is (QueryOutcome.COMPLETED if answered else QueryOutcome.BROKEN_OFF)


async def test_a_stream_that_breaks_leaves_a_record(
    replica: AnsweringApi, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await replica.publish("leave.md", LEAVE)
    stream = replica.generator.stream

    async def breaking(question: str, passages: Any) -> Any:
        async for delta in stream(question, passages):
            yield delta
            replica.generator.away = True
            replica.generator.check()

    monkeypatch.setattr(replica.generator, "stream", breaking)
    response = await replica.api.client.post("/v1/query", json={"query": "leave?", "stream": True}, headers=ada)
    assert response.text.count("event: delta") == 1
    assert "event: error" in response.text
    (event,) = replica.api.log.sent(QueryExecuted)
    assert isinstance(event, QueryExecuted)
    assert (event.answered, event.degraded) == (False, (Degradation.NO_ANSWER,))
    assert (event.outcome, event.problem) == (QueryOutcome.FAILED, "dependency_unavailable")


async def test_a_generator_that_is_away_is_not_asked_for_every_stream(
    replica: AnsweringApi, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await replica.publish("leave.md", LEAVE)
    asked: list[str] = []

    async def away(question: str, passages: Any) -> Any:
        asked.append(question)
        replica.generator.check()
        yield

    monkeypatch.setattr(replica.generator, "stream", away)
    replica.generator.away = True
    for question in ("leave?", "which leave?", "annual leave?", "what leave?"):
        *_, (name, whole) = await events(replica, ada, query=question)
        assert (name, whole["meta"]["degraded"]) == ("answer", ["extractive_answer"])
    assert asked == ["leave?", "which leave?"]
