"""librdkafka's lines about lost connections: few, and none of the others missing."""

import logging

import pytest
from confluent_kafka import Consumer

from headwater.clients.kafka.config import consumer_config
from headwater.clients.kafka.log import QUIET_S, LostConnections
from headwater.settings import KafkaSettings
from tests.support.waiting import reached

FORM = "%s [%s] %s"  # confluent_kafka's


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def record(facility: str, client: str, text: str = "127.0.0.1:1: refused") -> logging.LogRecord:
    return logging.LogRecord("headwater.kafka", logging.ERROR, __file__, 1, FORM, (facility, client, text), None)


def test_a_client_says_once_in_a_while_that_it_has_no_connection_and_how_often_it_did_not() -> None:
    clock = Clock()
    quiet = LostConnections(monotonic=clock)
    assert [quiet.filter(record("FAIL", "a#consumer-1")) for _ in range(4)] == [True, False, False, False]
    assert quiet.filter(record("FAIL", "b#producer-1"))
    clock.at += QUIET_S
    again = record("FAIL", "a#consumer-1")
    assert quiet.filter(again)
    assert again.getMessage() == "FAIL [a#consumer-1] 127.0.0.1:1: refused (3 like it left out)"
    clock.at += QUIET_S
    alone = record("FAIL", "a#consumer-1")
    assert quiet.filter(alone)
    assert alone.getMessage() == "FAIL [a#consumer-1] 127.0.0.1:1: refused"


def test_other_lines_are_all_logged() -> None:
    quiet = LostConnections()
    assert all(quiet.filter(record("GETPID", "a#producer-1")) for _ in range(3))
    ours = logging.LogRecord("headwater.kafka", logging.INFO, __file__, 1, "FAIL without parts", (), None)
    assert all(quiet.filter(ours) for _ in range(3))


async def test_librdkafkas_own_lines_are_known(caplog: pytest.LogCaptureFixture) -> None:
    config = consumer_config(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="lost", group="g")
    consumer = Consumer(config)
    [quiet] = config["logger"].filters
    assert isinstance(quiet, LostConnections)

    def left_out() -> int:
        consumer.poll(0.01)
        return sum(said.left_out for client, said in quiet._said.items() if client.startswith("lost#"))

    with caplog.at_level(logging.DEBUG, logger=config["logger"].name):
        await reached(lambda: left_out() >= 3, deadline_s=QUIET_S)
    consumer.close()
    assert sum("FAIL [lost#" in each.getMessage() for each in caplog.records) == 1
