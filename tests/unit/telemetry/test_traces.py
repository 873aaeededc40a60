"""One trace from a source to a store, one from a request to its models."""

import asyncio
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from headwater.retry import RetryPolicy
from headwater.telemetry.management import Health
from headwater.telemetry.tracing import Headers, inject_headers, span
from streams.harness.attempts import AttemptJournal
from streams.harness.breaker import Breaker, BreakerPolicy
from streams.harness.delivery import Delivery, Outcome
from streams.harness.settle import Settler
from streams.harness.stage import Failure
from tests.support.answering import answering_api
from tests.support.events import GENERATION, changed
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.telemetry import watching


class PassingOn:
    """A stage that would write to the next topic: keeps the headers that such a record gets."""

    def __init__(self) -> None:
        self.sent: list[Headers] = []

    async def handle(self, event: Any, delivery: Delivery) -> Outcome:
        self.sent.append(inject_headers())
        return Outcome.DONE

    async def give_up(self, event: Any, delivery: Delivery, failure: Failure) -> None:
        raise AssertionError


def trace_of(one: ReadableSpan) -> int:
    assert one.context is not None
    return int(one.context.trace_id)


def id_of(one: ReadableSpan) -> int:
    assert one.context is not None
    return int(one.context.span_id)


def parent_of(one: ReadableSpan) -> int | None:
    return one.parent.span_id if one.parent else None


def settler(stage: PassingOn, journal: AttemptJournal, name: str) -> Settler:
    return Settler(
        name=name,
        stage=stage,
        publisher=FakePublisher(),
        journal=journal,
        breaker=Breaker(BreakerPolicy()),
        health=Health(),
        retry=RetryPolicy(attempts=1, first_delay_s=0.001, budget_s=1.0),
        generation=GENERATION,
        keyed=frozenset(),
        released=asyncio.Event,
        progressed=lambda: None,
    )


async def test_a_trace_runs_from_the_source_through_the_stages(tmp_path: Path) -> None:
    records = FakeDelivery()
    with watching() as watch:
        with span("submit"):
            headers = inject_headers()
        for name in ("prepare", "embed"):
            stage = PassingOn()
            await settler(stage, AttemptJournal.open(tmp_path), name).settle(records.make(changed(), headers=headers))
            [headers] = stage.sent
    spans = watch.spans()
    assert len({trace_of(spans[name]) for name in ("submit", "prepare", "embed")}) == 1
    assert parent_of(spans["prepare"]) == id_of(spans["submit"])
    assert parent_of(spans["embed"]) == id_of(spans["prepare"])


async def test_a_record_without_a_trace_begins_one_of_its_own(tmp_path: Path) -> None:
    records, stage = FakeDelivery(), PassingOn()
    with watching() as watch, span("another record's work"):
        await settler(stage, AttemptJournal.open(tmp_path), "prepare").settle(records.make(changed()))
    assert parent_of(watch.spans()["prepare"]) is None


async def test_a_trace_runs_from_the_request_to_its_models() -> None:
    async with answering_api() as replica:
        await replica.publish("leave.md", "Annual leave is requested early")
        key = await replica.api.key("ada")
        with watching() as watch:
            response = await replica.api.client.post("/v1/query", json={"query": "annual leave"}, headers=key)
            await replica.api.client.get("/v1/documents/" + "0" * 32, headers=key)
            hidden = watch.spans()["request"]
    assert response.status_code == 200
    assert hidden.attributes is not None
    assert dict(hidden.attributes) == {"method": "GET", "route": "/documents/{document_id}", "status": 404}
    finished = watch.exporter.get_finished_spans()
    [asked] = [one for one in finished if one.attributes and one.attributes.get("route") == "/query"]
    below = {one.name for one in finished if trace_of(one) == trace_of(asked)}
    assert below >= {"retrieve_embed", "retrieve_vectors", "retrieve_keywords", "rerank", "generate"}
