"""A record in the wrong partition would break the order of its key: it is refused, never processed."""

from headwater.clients.kafka.errors import WrongPartitionError
from headwater.clients.kafka.murmur2 import partition_of


def check_partition(key: bytes | None, partition: int, count: int) -> None:
    """Raise WrongPartitionError unless the key belongs to this one of `count` partitions."""
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
