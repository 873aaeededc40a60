"""Killed, frozen and doubled workers: the log holds each admitted submission once, in order."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from headwater.clients.kafka.errors import FencedError
from headwater.clients.kafka.transactions import TransactionAbortedError
from schemas.events.base import Position
from schemas.events.documents import DocumentChanged
from schemas.ids import DocumentId
from schemas.topics import Topic
from streams.admit.assignment import Intake
from streams.admit.backlog import Place
from streams.admit.topics import admission_topics
from streams.admit.transaction import TransactionalWriter
from tests.support.admission import Installation, until
from tests.support.heads import patch, put, state
from tests.support.proxy import Proxy

pytestmark = pytest.mark.real

# Dies when everything is appended and nothing is committed.
DIES_BEFORE_COMMIT = """
import os, signal
from headwater.settings import Settings
from streams.admit.agent import run
from streams.admit.transaction import TransactionalWriter

def die(self, positions, group):
    if self._producer.flush(10) == 0:
        os.kill(os.getpid(), signal.SIGKILL)

TransactionalWriter.commit = die
run(Settings())
"""

CONNECTIONS = 40  # ended or refused: more than a worker has, so it has tried to open others
PATIENCE_S = 30


def assert_once_and_in_order(log: list[DocumentChanged]) -> None:
    submitted = [each.submitted for each in log]
    assert len(submitted) == len(set(submitted))
    by_document: dict[DocumentId, list[int]] = {}
    for each in log:
        by_document.setdefault(each.document_id, []).append(each.revision)
    for revisions in by_document.values():
        assert revisions == sorted(set(revisions))


@pytest.mark.parametrize("successor", [0, 1])
async def test_killed_between_append_and_commit(own: Installation, successor: int) -> None:
    """In the same slot the successor ends the open transaction at once, in another its timeout does."""
    first = await own.admission()
    await own.settle_in()
    assert first.stop() == 0
    victim = own.start(("-c", DIES_BEFORE_COMMIT))
    positions = await own.submit(put(), put(external_id="travel.md"))
    assert await asyncio.to_thread(victim.process.wait, 30) == -signal.SIGKILL

    await own.admission(successor)
    await own.settled(*positions)

    log = await own.changes()
    assert sorted(each.external_id for each in log) == ["leave.md", "travel.md"]


async def test_frozen_replaced_and_continued(own: Installation) -> None:
    zombie = await own.admission(0)
    await own.settle_in()
    await own.settled(*await own.submit(put()))
    zombie.process.send_signal(signal.SIGSTOP)
    waiting = await own.submit(*(put(state(f"While frozen {n}"), f"{n}.md") for n in range(10)))
    await own.admission(1)
    await own.settled(*waiting)
    zombie.process.send_signal(signal.SIGCONT)
    await own.settled(*await own.submit(*(put(state(f"Afterwards {n}"), f"{n}.md") for n in range(10))))

    log = await own.changes()
    assert len(log) == 21
    assert_once_and_in_order(log)


async def test_killed_again_and_again(own: Installation) -> None:
    await own.admission()
    await own.settle_in()
    positions = []
    for attempt in range(3):
        positions += await own.submit(
            *(put(state(f"{attempt}.{n}"), f"{n % 40}.md", source_version=attempt * 1000 + n) for n in range(200))
        )
        own.children[-1].kill()
        await own.admission()
    await own.settled(*positions)

    log = await own.changes()
    assert_once_and_in_order(log)
    newest = {each.external_id: each.title for each in log}
    assert newest == {f"{n % 40}.md": f"2.{n}" for n in range(160, 200)}


async def lost_membership(own: Installation) -> tuple[Any, Position]:
    """Join the group, read a submission, leave: what a worker holds that was frozen for too long."""
    [position] = await own.submit(put())
    intake = Intake(own.settings, await admission_topics(own.settings, own.admin))

    def read() -> None:
        while not intake.read(1.0):
            pass

    await asyncio.to_thread(read)
    membership = intake.membership
    await asyncio.to_thread(intake.close)
    return membership, position


async def test_positions_of_a_worker_that_lost_its_partitions_are_refused(own: Installation) -> None:
    membership, position = await lost_membership(own)
    writer = TransactionalWriter(own.settings)
    await asyncio.to_thread(writer.open)
    writer.begin()
    writer.produce(changed_topic(own), key=b"k", value=b"a zombie's", partition=0)
    with pytest.raises(TransactionAbortedError):
        await asyncio.to_thread(writer.commit, {(position.topic, position.partition): Place(offset=1)}, membership)
    await asyncio.to_thread(writer.abort)
    assert await own.changes() == []


async def test_the_same_slot_twice_fences_the_first(own: Installation) -> None:
    membership, position = await lost_membership(own)
    first, second = TransactionalWriter(own.settings), TransactionalWriter(own.settings)
    await asyncio.to_thread(first.open)
    first.begin()
    first.produce(changed_topic(own), key=b"k", value=b"a zombie's", partition=0)
    await asyncio.to_thread(second.open)
    with pytest.raises(FencedError, match="HEADWATER_STAGES__SLOT"):
        await asyncio.to_thread(first.commit, {(position.topic, position.partition): Place(offset=1)}, membership)
    assert await own.changes() == []


def changed_topic(own: Installation) -> str:
    return f"{own.settings.kafka.topic_prefix}{Topic.DOCUMENTS_CHANGED}"


@pytest.mark.parametrize("folder_lost", [False, True])
async def test_heads_are_restored_after_a_restart(own: Installation, folder_lost: bool) -> None:
    first = await own.admission()
    await own.settle_in()
    await own.settled(*await own.submit(put(state(attributes={"a": 1}), source_version=5)))
    assert first.stop() == 0
    if folder_lost:
        shutil.rmtree(Path(own.settings.heads.folder) / "admit-0")
    await own.admission()
    await own.settled(*await own.submit(patch({"attributes": {"b": 2}}), put(state("Old"), source_version=4)))

    log = await own.changes()
    assert [each.attributes for each in log] == [{"a": 1}, {"a": 1, "b": 2}]


async def test_admission_starts_again_where_its_connections_were_cut(own: Installation) -> None:
    """It would wait for the group's coordinator for good: librdkafka forgot it when it lost all brokers."""
    broker = int(own.settings.kafka.bootstrap_servers.rpartition(":")[2])
    with Proxy(target=broker, broker=True).relaying() as proxy:
        behind = f"127.0.0.1:{proxy.port}"
        first = await own.admission(HEADWATER_KAFKA__BOOTSTRAP_SERVERS=behind)
        await own.settle_in()
        await own.settled(*await own.submit(put()))
        with proxy.cut():
            await until(lambda: proxy.ended > CONNECTIONS)
        waiting = await own.submit(put(external_id="travel.md"))
        assert await asyncio.to_thread(first.process.wait, PATIENCE_S) == 1
        assert "Kafka was away; start again" in first.log
        second = await own.admission(HEADWATER_KAFKA__BOOTSTRAP_SERVERS=behind)
        await own.settled(*waiting)
        assert await asyncio.to_thread(second.stop) == 0
    log = await own.changes()
    assert_once_and_in_order(log)
    assert sorted(each.external_id for each in log) == ["leave.md", "travel.md"]


async def test_admission_survives_a_broker_that_is_away(own: Installation) -> None:
    child = own.start(
        ("-m", "streams", "admit"),
        HEADWATER_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:9",
        HEADWATER_KAFKA__REQUEST_TIMEOUT_S="1",
    )
    await until(lambda: "admission_waiting" in child.log)
    assert child.process.poll() is None
    assert not child.is_ready()
    os.kill(child.process.pid, signal.SIGTERM)
    assert await asyncio.to_thread(child.process.wait, 30) == 0
