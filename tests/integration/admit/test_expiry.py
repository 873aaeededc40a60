"""Retention takes submissions that admission has not read: none of them is passed over without a word."""

import asyncio
import signal

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.codec import decode
from schemas.events.base import Lane, Position
from schemas.events.parked import EventParked
from schemas.events.queries import AuditRecorded
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.heads import put, state

pytestmark = pytest.mark.real

FATAL = 1  # how a process ends that says one sentence


async def remove_before(own: Installation, position: Position) -> None:
    """Remove what lies before a record, as retention does; how `delete_records` looks to readers is the same."""
    admin = AdminClient({"bootstrap.servers": own.settings.kafka.bootstrap_servers})
    wanted = [TopicPartition(position.topic, position.partition, position.offset)]
    for removed in admin.delete_records(wanted).values():
        await asyncio.to_thread(removed.result, 20)


async def one_partition(own: Installation, *, lane: Lane = Lane.LIVE, count: int = 6) -> list[Position]:
    """Submit versions of one document, so that they lie one behind the other."""
    return [(await own.submit(put(state(f"Draft {number}"), lane=lane)))[0] for number in range(count)]


async def expired(own: Installation) -> list[EventParked]:
    return [each for each in await own.letters() if each.error == "SubmissionsExpiredError"]


@pytest.mark.parametrize("lane", Lane)
async def test_what_expired_while_nobody_read_is_a_letter_and_the_rest_is_admitted(
    own: Installation, lane: Lane
) -> None:
    first = await own.admission()
    await own.settle_in()
    await own.settled(*await one_partition(own, lane=lane, count=1))
    assert first.stop() == 0
    positions = await one_partition(own, lane=lane)
    await remove_before(own, positions[4])

    second = await own.admission()
    await own.settled(*positions)

    assert [each.title for each in await own.changes()] == ["Draft 0", "Draft 4", "Draft 5"]
    [letter] = await expired(own)
    assert letter.origin == positions[0]
    assert f"offsets {positions[0].offset} to {positions[3].offset} (at most 4 submissions)" in letter.reason
    [event] = [
        each
        for record in await own.records(Topic.AUDIT_RECORDED)
        if (each := decode(record.value or b"", AuditRecorded)).action == "submissions.expire"
    ]
    assert event.resource == f"{positions[0].topic}/{positions[0].partition}"

    assert second.stop() == 0  # and who comes after has nothing to tell
    await own.admission()
    await own.settled(*await own.submit(put(state("Afterwards"))))
    assert len(await expired(own)) == 1


async def test_what_expired_under_a_worker_that_reads_is_told_by_its_successor(own: Installation) -> None:
    worker = await own.admission()
    await own.settle_in()
    await own.settled(*await one_partition(own, count=1))
    worker.process.send_signal(signal.SIGSTOP)
    # Its last request waits in the broker and is answered with the first of them, or a few: many are to be left.
    positions = await one_partition(own, count=20)
    await remove_before(own, positions[-1])
    worker.process.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(worker.process.wait, 30) == FATAL, worker.log
    assert "were removed before admission had read them" in worker.log

    await own.admission()
    await own.settled(*positions)

    titles = [each.title for each in await own.changes()]
    [letter] = await expired(own)
    lost = range(letter.origin.offset, positions[-1].offset)
    told = [f"Draft {number}" for number, each in enumerate(positions) if each.offset not in lost]
    assert titles == [*dict.fromkeys(["Draft 0", *told])]
    assert lost
