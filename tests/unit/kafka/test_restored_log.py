"""Writing a restored log and reading between positions, on the broker that librdkafka carries for tests."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, Message, Producer

from headwater.clients.kafka import bounded, transactions
from headwater.clients.kafka.restoring import KafkaTargetLog
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.ports.archive import RestoredRecord
from headwater.settings import KafkaSettings, Settings
from schemas.topics import Topic

LOG = Topic.DOCUMENTS_CHANGED
PARTITIONS = 4  # what the mock creates
ZERO = dict.fromkeys(range(PARTITIONS), 0)


@pytest.fixture
def settings() -> Iterator[Settings]:
    holder = Producer({"test.mock.num.brokers": 1, "log_level": 0})  # the broker lives as long as this client
    broker = next(iter(holder.list_topics(timeout=10).brokers.values()))
    kafka = KafkaSettings(bootstrap_servers=f"{broker.host}:{broker.port}", request_timeout_s=10)
    yield Settings(kafka=kafka)
    holder.flush(1)


def record(number: int) -> RestoredRecord:
    return RestoredRecord(
        key=f"acme/{number}".encode(),
        value=f"value {number}".encode(),
        headers=(("h", b"x"),),
        timestamp_ms=1_700_000_000_000 + number,
    )


class Doubtful(bounded.Producer):
    """librdkafka, but that it says of the first records only that they are stored, not where (ADR 0205)."""

    left: ClassVar[list[int]] = []

    def produce(self, *args: Any, **options: Any) -> None:
        told = options.pop("on_delivery")

        def unplaced(error: KafkaError | None, message: Message) -> None:
            told(error, Message(topic=message.topic(), partition=message.partition(), offset=-1001))

        doubted = bool(self.left and self.left.pop())
        super().produce(*args, **options | {"on_delivery": unplaced if doubted else told})


@pytest.mark.parametrize("unconfirmed", [0, 1, 20])
async def test_each_record_lies_where_the_restore_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, unconfirmed: int
) -> None:
    monkeypatch.setattr(transactions, "Producer", Doubtful)
    monkeypatch.setattr(Doubtful, "left", [1] * unconfirmed)
    target, source = KafkaTargetLog(settings), KafkaSourceLog(settings, settle_wait_s=0)
    written = {}
    for batch in ([record(number) for number in range(12)], [record(number) for number in range(5)]):
        for each, offset in zip(batch, await target.append(LOG, batch), strict=True):
            written[await target.partition_of(LOG, each.key), offset] = each
    assert len(written) == 17
    ends = {part: max((at + 1 for number, at in written if number == part), default=0) for part in range(PARTITIONS)}

    found = {(each.position.partition, each.position.offset): each async for each in source.records(LOG, ZERO, ends)}
    assert unconfirmed or found.keys() == written.keys()  # this broker shows what was undone, too
    for place, expected in written.items():
        read = found[place]
        assert (read.key, read.value) == (expected.key, expected.value)
        assert (read.headers, read.timestamp_ms) == (expected.headers, expected.timestamp_ms)

    earlier = {part: end - 1 for part, end in ends.items()}
    part_of_it = {(each.position.partition, each.position.offset) async for each in source.records(LOG, ZERO, earlier)}
    assert part_of_it == {(number, offset) for number, offset in found if offset < earlier[number]}


async def test_a_restore_ends_where_no_transaction_is_confirmed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "Producer", Doubtful)
    monkeypatch.setattr(Doubtful, "left", [1] * 100)
    with pytest.raises(transactions.TransactionAbortedError, match="never said where"):
        await KafkaTargetLog(settings).append(LOG, [record(number) for number in range(12)])
