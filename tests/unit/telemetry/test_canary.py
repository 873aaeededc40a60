"""A canary is planted wherever text and secrets come in; logs, spans and metrics are searched for it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter

from headwater.errors import PoisonError
from headwater.retry import RetryPolicy
from headwater.rows import rows
from headwater.telemetry.management import Health
from headwater.telemetry.tracing import span
from query_api.documents.addresses import encode_external_id
from schemas.events import ChunkBatch
from schemas.events.base import Store
from streams.harness.attempts import AttemptJournal
from streams.harness.breaker import Breaker, BreakerPolicy
from streams.harness.settle import Settler
from streams.indexing.looks import Looks
from streams.indexing.stage import IndexStage
from tests.support.answering import AnsweringApi, answering_api
from tests.support.events import GENERATION, chunk, prepared
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.stores import FakeKeywordIndex
from tests.support.telemetry import watching

CANARY: Final = "canary7c1e"


@pytest.fixture
async def replica() -> AsyncIterator[AnsweringApi]:
    async with answering_api() as running:
        yield running


async def _ask_everything(replica: AnsweringApi, headers: Mapping[str, str]) -> list[int]:
    """Send the canary to every kind of endpoint, well-formed and not. Returns the statuses."""
    client, question = replica.api.client, f"What is {CANARY}?"
    asked = {"query": question, "knowledge_bases": ["handbook"]}
    document = f"/v1/documents/wiki/{encode_external_id(CANARY)}"
    access = {"clauses": [{"principals": ["everyone", f"user:{CANARY}"]}]}
    put = {"title": CANARY, "text": CANARY, "access": access, "attributes": {"note": CANARY}}
    answered = await client.post("/v1/query", json=asked, headers=headers)
    feedback = {"query_id": answered.json()["meta"]["query_id"], "rating": 1, "type": "incorrect", "comment": CANARY}
    replies = [
        answered,
        await client.post("/v1/query", json=asked | {"stream": True}, headers=headers),
        await client.post("/v1/search", json=asked | {"explain": True}, headers=headers),
        await client.post("/v1/search", json=asked | {"mode": CANARY}, headers=headers),
        await client.post("/v1/search", json=asked | {"after": CANARY}, headers=headers),
        await client.post("/v1/search", json=asked | {"filters": {"field": CANARY, "equals": CANARY}}, headers=headers),
        await client.post("/v1/search", content=f'{{"query": "{CANARY}', headers=headers),
        await client.post("/v1/feedback", json=feedback, headers=headers),
        await client.put(document, json=put, headers=headers),
        await client.put(document, json=put | {CANARY: CANARY}, headers=headers),
        await client.put(document, json=put, headers={**headers, "If-Match": CANARY}),
        await client.get(f"/v1/{CANARY}", params={"query": CANARY}, headers=headers),
        await client.post("/v1/search", json=asked, headers={"Authorization": f"Bearer hw_{CANARY}"}),
    ]
    return [reply.status_code for reply in replies]


async def test_the_api_tells_operators_nothing_of_what_it_is_asked(
    replica: AnsweringApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replica.publish(CANARY, f"The {CANARY} sings", "It does not")
    key = await replica.api.key("ada")

    async def broken(*_: Any, **__: Any) -> Any:
        raise ValueError(f"a bug that quotes {CANARY}")

    with watching() as watch:
        statuses = await _ask_everything(replica, {**key, "X-Canary": CANARY, "User-Agent": CANARY})
        assert set(statuses) >= {200, 202, 401, 404, 422}
        replica.vectors.away = True  # what is degraded is logged too
        replica.generator.away = replica.extractive.away = True
        await _ask_everything(replica, key)
        monkeypatch.setattr(replica.keywords, "search", broken)
        failed = await replica.api.client.post("/v1/search", json={"query": CANARY}, headers=key)
        assert failed.status_code == 500
        assert CANARY not in failed.text
        assert watch(CANARY, key["Authorization"].removeprefix("Bearer ")) == {}


def _settler(stage: IndexStage, journal: AttemptJournal) -> Settler:
    return Settler(
        name="index-keywords",
        stage=stage,
        publisher=stage.publisher,
        journal=journal,
        breaker=Breaker(BreakerPolicy()),
        health=Health(),
        retry=RetryPolicy(attempts=1, first_delay_s=0.001, budget_s=1.0),
        generation=GENERATION,
        keyed=frozenset(),
        released=asyncio.Event,
        progressed=lambda: None,
    )


@pytest.mark.parametrize("error", [None, ValueError(f"quotes {CANARY}"), PoisonError("text: too long; split it")])
async def test_a_stage_tells_operators_nothing_of_what_it_works_on(error: Exception | None, tmp_path: Path) -> None:
    index = FakeKeywordIndex()

    async def write(batch: ChunkBatch) -> None:
        if error is not None:
            raise error
        await index.upsert(rows(batch))

    batch = replace(
        prepared(chunks=1),
        title=CANARY,
        url=f"https://{CANARY}.example",
        attributes={"note": CANARY},
        content_title=CANARY,
        chunks=(chunk(0, f"the {CANARY} sings"),),
    )
    stage = IndexStage(
        store=Store.KEYWORDS,
        name="index-keywords",
        index=index,
        looks=Looks(index),
        write=write,
        publisher=FakePublisher(),
        generation=GENERATION,
    )
    records = FakeDelivery()
    delivery = records.make(batch, headers=(("x-secret", CANARY.encode()),), value=CANARY.encode())
    with watching() as watch:
        await _settler(stage, AttemptJournal.open(tmp_path)).settle(delivery)
        structlog.get_logger("test").info("settled")  # a good end says nothing by itself
        assert watch(CANARY) == {}
    assert records.settled == [0]


def test_a_broken_stream_of_logs_quotes_nothing() -> None:
    with watching() as watch, span("work"):
        [handler] = logging.getLogger().handlers
        assert isinstance(handler, logging.StreamHandler)
        log = structlog.get_logger("test")
        log.info("started")
        whole = handler.setStream(closed := StringIO())
        closed.close()
        try:
            raise ValueError(f"quotes {CANARY}")
        except ValueError:
            log.exception("failed")
        handler.setStream(whole)
    assert watch(CANARY) == {}


def test_the_search_finds_a_leak() -> None:
    registry = CollectorRegistry()
    with watching() as watch:
        structlog.get_logger("test").info("seen", reason=f"{CANARY}-log")
        with span("leak", reason=f"{CANARY}-span"):
            pass
        Counter("leaks", "Leaks.", ["reason"], registry=registry).labels(reason=f"{CANARY}-metric").inc()
        assert set(watch(CANARY, registry=registry)) == {"logs", "spans", "metrics"}
