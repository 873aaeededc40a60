"""The hash and the partition are Java's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.clients.kafka.errors import WrongPartitionError
from headwater.clients.kafka.murmur2 import murmur2, partition_of
from headwater.clients.kafka.partitions import check_partition
from headwater.errors import PoisonError

# From org.apache.kafka.common.utils.UtilsTest#testMurmur2.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "expected"), JAVA.items())
def test_it_hashes_as_java_does(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected % 2**32


@given(st.binary(max_size=80), st.integers(1, 100))
def test_a_partition_exists(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(st.binary(max_size=80), st.integers(0, 11))
def test_only_the_keys_own_partition_is_accepted(key: bytes, partition: int) -> None:
    if partition == partition_of(key, 12):
        check_partition(key, partition, 12)
        return
    with pytest.raises(WrongPartitionError, match="partitioner=murmur2_random") as refused:
        check_partition(key, partition, 12)
    assert isinstance(refused.value, PoisonError)


def test_a_record_without_a_key_is_refused() -> None:
    with pytest.raises(WrongPartitionError, match="a record without a key lies in partition 3"):
        check_partition(None, 3, 12)
