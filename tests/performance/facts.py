"""When documents became searchable, read from the log: who asks the API takes time from what is being timed."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

from headwater.clients.kafka.config import topic_of
from headwater.errors import FatalError
from headwater.evaluation.knowledge_base import Report
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events import DocumentIngested
from schemas.topics import Topic
from tests.performance.bench import PATIENCE_S

# A look a second at the broker, whatever has come meanwhile: each of these costs it nothing that could be seen.
_LOOK_MS: Final = 1_000
_LOOK_BYTES: Final = 1024 * 1024
_TIMEOUT_S: Final = 10.0
_MOST_FACTS: Final = 500  # of one look

Read = Callable[[], Sequence[bytes]]  # what has come since the last call; waits a while for the first


@contextmanager
def facts_from_now(settings: Settings) -> Iterator[Read]:
    """Read the public facts that are announced from here on."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": f"bench-{uuid4().hex}",
            "enable.auto.commit": False,
            "fetch.min.bytes": _LOOK_BYTES,
            "fetch.wait.max.ms": _LOOK_MS,
        }
    )
    topic = topic_of(settings, Topic.DOCUMENTS_INGESTED)

    def read() -> Sequence[bytes]:
        messages = consumer.consume(_MOST_FACTS, _LOOK_MS / 1_000)
        if broken := next((error for each in messages if (error := each.error())), None):
            raise FatalError(f"{topic} cannot be read: {broken}")
        return [each.value() or b"" for each in messages]

    try:
        partitions = [
            TopicPartition(topic, each) for each in consumer.list_topics(topic, _TIMEOUT_S).topics[topic].partitions
        ]
        for each in partitions:
            _, each.offset = consumer.get_watermark_offsets(each, _TIMEOUT_S)
        consumer.assign(partitions)
        yield read
    finally:
        consumer.close()


def last_searchable_at(read: Read, base: str, expected: Collection[str], report: Report) -> datetime:
    """Wait for the facts of all these external ids of a knowledge base; return when the last was in both stores.

    The time is the stages' own, whenever the fact is read. Raises FatalError when no further one comes.
    """
    found: dict[str, datetime] = {}
    moved_at = time.monotonic()
    while found.keys() < set(expected):
        facts = [fact for value in read() if (fact := decode(value, DocumentIngested)).knowledge_base == base]
        if facts:
            moved_at = time.monotonic()
            found |= {
                each.external_id: max(each.searchable_by_words_at, each.searchable_by_meaning_at) for each in facts
            }
            report(f"{len(found)} of {len(expected)} documents searchable")
        elif time.monotonic() - moved_at > PATIENCE_S:
            raise FatalError(
                f"{len(found)} of {len(expected)} documents are searchable, none followed for {PATIENCE_S:.0f} s: "
                "`headwater status` and `headwater parked list` show why"
            )
    return max(found.values())
