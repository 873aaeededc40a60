"""The Faust agent without a broker: what reaches the dispatcher."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.settings import KafkaSettings, Settings
from schemas.codec import encode
from schemas.events.base import Lane
from schemas.events.documents import DocumentChanged
from schemas.topics import Topic
from streams.harness.app import build_app, register_agent
from streams.harness.delivery import Delivery
from streams.prepare.agent import PREPARE
from tests.support.events import changed
from tests.support.waiting import reached

# A test context tells no topics apart: one topic.
SPEC = replace(PREPARE, topics={Topic.DOCUMENTS_CHANGED: DocumentChanged})


class Keeper:
    """Nobody rebalances here."""

    async def release(self) -> None: ...

    def resume(self) -> None: ...

    def fail(self, error: Exception) -> None:
        raise error


class CollectingDispatcher:
    """Keeps what it is offered."""

    def __init__(self) -> None:
        self.offered: list[Delivery] = []

    async def offer(self, delivery: Delivery) -> None:
        self.offered.append(delivery)


@asynccontextmanager
async def running_agent(folder: Path) -> AsyncIterator[tuple[Any, list[Delivery]]]:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))  # never dialled
    dispatcher = CollectingDispatcher()
    app = build_app(SPEC, settings, keeper=Keeper(), datadir=folder)
    consumer: Any = app.consumer
    agent = register_agent(app, SPEC, settings, dispatcher)  # type: ignore[arg-type]  # what the agent uses of it
    try:
        async with agent.test_context() as tested:
            yield tested, dispatcher.offered
    finally:
        consumer._thread.thread_loop.close()  # made for a thread that never starts


async def test_a_record_is_decoded_once_and_handed_on_with_its_bytes(tmp_path: Path) -> None:
    event = changed(lane=Lane.BACKFILL)
    async with running_agent(tmp_path) as (agent, offered):
        await agent.put(encode(event), key=b"acme/doc", partition=3, headers=[("traceparent", b"00-a")], wait=False)
        await reached(lambda: len(offered) == 1)
    (delivery,) = offered
    assert delivery.event == event
    assert (delivery.topic, delivery.origin.partition, delivery.origin.offset) == (Topic.DOCUMENTS_CHANGED, 3, 0)
    assert (delivery.key, delivery.value, delivery.lane) == (b"acme/doc", encode(event), Lane.BACKFILL)
    assert delivery.headers == (("traceparent", b"00-a"),)
    assert delivery.broken is None


async def test_bytes_that_are_no_event_are_handed_on_as_broken(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as (agent, offered):
        await agent.put(b"no event", key=b"acme/doc", wait=False)
        await reached(lambda: len(offered) == 1)
    (delivery,) = offered
    assert delivery.event is None
    assert "framing" in str(delivery.broken)
    assert delivery.lane is Lane.LIVE, "it is parked at once: it must not wait behind a backlog"


async def test_events_of_one_document_are_of_one_order(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as (agent, offered):
        for key in (b"acme/a", b"acme/b", b"acme/a"):
            await agent.put(encode(changed()), key=key, wait=False)
        await reached(lambda: len(offered) == 3)
    assert offered[0].order == offered[2].order != offered[1].order


def test_an_app_that_would_commit_what_is_not_settled_is_refused(tmp_path: Path) -> None:
    from streams.harness.app import _guarded

    with pytest.raises(TypeError, match="build_app"):
        _guarded(object())
