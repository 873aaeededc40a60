"""How many partitions there are, and whether a key lies in its own."""

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from headwater.clients.kafka.errors import TopicMissingError, WrongPartitionError, translate
from headwater.clients.kafka.murmur2 import partition_of


def check_partition(key: bytes | None, partition: int, count: int) -> None:
    """Raise WrongPartitionError unless the key belongs to this one of `count` partitions.

    Elsewhere it would break the order of its key: such a record is refused, never processed.
    """
    if key is None:
        raise WrongPartitionError(
            f"a record without a key lies in partition {partition}: every record of ours has a key"
        )
    expected = partition_of(key, count)
    if partition != expected:
        raise WrongPartitionError(
            f"key {key!r} lies in partition {partition} and belongs to {expected} of {count}: its producer must set "
            "partitioner=murmur2_random"
        )


def count_partitions(client: AdminClient | Producer, topic: str, *, timeout_s: float) -> int:
    """Ask the broker how many partitions a topic has. Blocks. Raises TopicMissingError or another of ours."""
    doing = f"counting the partitions of {topic}"
    try:
        found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    except KafkaException as error:
        raise translate(error, doing) from error
    if found.error is not None:
        raise translate(found.error, doing)
    if not found.partitions:
        raise TopicMissingError(f"{topic} has no partitions; run `headwater topics apply`")
    return len(found.partitions)
