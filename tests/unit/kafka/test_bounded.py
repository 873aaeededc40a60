"""A call of librdkafka that does not return does not hold the process."""

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from headwater.clients.kafka import transactions
from headwater.clients.kafka.bounded import Producer, require_return
from headwater.errors import FatalError


def test_a_call_that_does_not_return_is_given_up() -> None:
    for_good = threading.Event()
    with pytest.raises(FatalError, match="start again"):
        require_return(for_good.wait, within_s=0.01)
    for_good.set()


def test_a_call_that_returns_returns() -> None:
    made: list[int] = []
    require_return(lambda: made.append(1), within_s=30.0)
    assert made == [1]


def test_what_a_call_raises_is_raised() -> None:
    failure = KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True))

    def fail() -> None:
        raise failure

    with pytest.raises(KafkaException) as raised:
        require_return(fail, within_s=30.0)
    assert raised.value is failure


@pytest.mark.parametrize("timeout", [-1.0, 1.0])
def test_librdkafka_is_asked(timeout: float) -> None:
    """A producer without transactions is refused by librdkafka itself, whichever way it is asked."""
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    with pytest.raises((KafkaException, TypeError)):
        producer.send_offsets_to_transaction([], None, timeout)


def test_transactions_are_made_by_it() -> None:
    assert vars(transactions)["Producer"] is Producer
