"""Admission's reader on a real broker: told apart from one that reads nothing although records wait."""

import asyncio

import pytest
from confluent_kafka import Consumer, Message

from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.transactions import TransactionalProducer
from headwater.errors import FatalError
from schemas.codec import encode
from schemas.ids import document_key
from schemas.topics import Topic
from streams.admit import assignment
from streams.admit.assignment import Intake
from streams.admit.standstill import LEAST_READS
from streams.admit.topics import admission_topics
from tests.support.admission import Installation
from tests.support.heads import put

pytestmark = pytest.mark.real

WAIT_S = 0.1


class HardOfHearing(Consumer):
    """A consumer that keeps its partitions and hands out nothing more from a certain moment on."""

    deaf = False

    def poll(self, timeout: float = -1.0) -> Message | None:
        """Serve the group as ever."""
        message = super().poll(timeout)
        return None if HardOfHearing.deaf else message


async def opened(own: Installation) -> Intake:
    """The group's only reader: it looks for the ends as often as it may."""
    return Intake(own.settings, await admission_topics(own.settings, own.admin), look_s=0.0)


def read(intake: Intake, *, records: int, empty: int = 0) -> None:
    """Read that many records, then that many times nothing."""
    while records > 0:
        records -= len(intake.read(WAIT_S))
    for _ in range(empty):
        assert intake.read(WAIT_S) == []


def send(own: Installation, *, committed: int, aborted: int = 0) -> None:
    """Write submissions in transactions, as another system may: the log ends with their marks."""
    producer = TransactionalProducer(
        own.settings.kafka, transactional_id=f"{own.settings.kafka.topic_prefix}another", client_id="another"
    )
    producer.open()
    for count, finish in ((committed, producer.commit_records), (aborted, producer.abort)):
        producer.begin()
        for _ in range(count):
            event = put(external_id="of-another-system.md")
            key = document_key(event.tenant_id, event.document_id)
            producer.produce(topic_of(own.settings, Topic.DOCUMENTS_SUBMITTED), key=key, value=encode(event))
        finish()


async def test_at_the_end_of_the_log_nothing_is_missed_behind_marks_of_transactions(own: Installation) -> None:
    intake = await opened(own)
    await asyncio.to_thread(send, own, committed=3, aborted=2)
    await asyncio.to_thread(read, intake, records=3, empty=4 * LEAST_READS)
    await asyncio.to_thread(intake.close)


async def test_a_reader_that_is_handed_nothing_says_where_records_wait(
    own: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assignment, "Consumer", HardOfHearing)
    monkeypatch.setattr(HardOfHearing, "deaf", False)
    intake = await opened(own)
    await asyncio.to_thread(send, own, committed=1)
    await asyncio.to_thread(read, intake, records=1)
    monkeypatch.setattr(HardOfHearing, "deaf", True)
    await asyncio.to_thread(send, own, committed=1)
    with pytest.raises(FatalError, match=r"documents\.submitted/\d+ and are not read"):
        await asyncio.to_thread(read, intake, records=1)
    await asyncio.to_thread(intake.close)
