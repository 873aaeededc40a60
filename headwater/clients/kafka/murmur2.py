"""Kafka's own partitioner, so that we know where a key belongs without asking a producer."""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """Return the 32-bit hash that `org.apache.kafka.common.utils.Utils.murmur2` returns, as an unsigned number."""
    length = len(data)
    whole = length & ~3
    hashed = (_SEED ^ length) & _MASK
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        hashed = (hashed * _M & _MASK) ^ word
    if whole != length:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return hashed ^ hashed >> 15


@lru_cache(maxsize=4096)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that a key belongs to: the one Java's default partitioner and `murmur2_random` choose."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
