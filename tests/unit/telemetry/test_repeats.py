"""Lines about lost connections to Kafka: few, and none of the others missing."""

import json
import logging
from typing import Any

import pytest
from confluent_kafka import Consumer

from headwater.clients.kafka.config import consumer_config
from headwater.settings import KafkaSettings, TelemetrySettings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.repeats import LIBRDKAFKA, QUIET_S, Repeats
from tests.support.waiting import reached


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def record(name: str, form: str, *parts: Any) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, form, parts, None)


def lost(client: str, text: str = "127.0.0.1:1: refused", facility: str = "FAIL") -> logging.LogRecord:
    return record(LIBRDKAFKA, "%s [%s] %s", facility, client, text)


def test_a_client_says_once_in_a_while_that_it_has_no_connection_and_how_often_it_did_not() -> None:
    clock = Clock()
    quiet = Repeats(monotonic=clock)
    assert [quiet.filter(lost("a#consumer-1", f"after {n} ms")) for n in range(4)] == [True, False, False, False]
    assert quiet.filter(lost("b#producer-1"))
    clock.at += QUIET_S
    again = lost("a#consumer-1")
    assert quiet.filter(again)
    assert again.getMessage() == "FAIL [a#consumer-1] 127.0.0.1:1: refused (3 like it left out)"
    clock.at += QUIET_S
    alone = lost("a#consumer-1")
    assert quiet.filter(alone)
    assert alone.getMessage() == "FAIL [a#consumer-1] 127.0.0.1:1: refused"


def test_what_aiokafka_repeats_word_for_word_is_said_once_in_a_while() -> None:
    clock = Clock()
    quiet = Repeats(monotonic=clock)

    def refused(node: int) -> logging.LogRecord:
        return record("aiokafka.client", "Unable connect to node with id %s: %s", node, "100% refused")

    assert [quiet.filter(refused(node)) for node in (1, 1, 2, 1)] == [True, False, True, False]
    clock.at += QUIET_S
    again = refused(1)
    assert quiet.filter(again)
    assert again.getMessage() == "Unable connect to node with id 1: 100% refused (2 like it left out)"


def test_no_count_is_lost_to_another_clients_line() -> None:
    clock = Clock()
    quiet = Repeats(monotonic=clock)
    assert [quiet.filter(lost(client)) for client in ("a#consumer-1", "b#consumer-1") * 2] == [True, True, False, False]
    clock.at += QUIET_S
    assert quiet.filter(lost("a#consumer-1"))
    clock.at += 0.02
    assert quiet.filter(second := lost("b#consumer-1"))
    assert second.getMessage().endswith("(1 like it left out)")


def test_what_is_over_is_forgotten() -> None:
    clock = Clock()
    quiet = Repeats(monotonic=clock)
    for client in range(9):
        assert quiet.filter(lost(f"{client}#consumer-1"))
        clock.at += 60.0
    assert len(quiet._said) == 1


def test_a_template_that_does_not_fit_raises_nothing_in_the_librarys_call(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    for _ in range(2):
        logging.getLogger("aiokafka.client").handle(record("aiokafka.client", "No node %d: %s", "one"))
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "No node %d: %s"


def test_the_texts_of_exceptions_stay_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    [handler] = logging.getLogger().handlers
    [quiet] = [each for each in handler.filters if isinstance(each, Repeats)]
    quiet._monotonic = clock = Clock()
    for _ in range(3):
        clock.at += 0.4 * QUIET_S
        logging.getLogger("aiokafka.client").error("No node %s: %s", 1, ValueError("canary"))
    clock.at += QUIET_S
    logging.getLogger("aiokafka.client").error("No node %s: %s", 1, ValueError("canary"))
    told = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert told == ["No node 1: ValueError", "No node 1: ValueError (2 like it left out)"]


@pytest.mark.parametrize(
    "other",
    [
        lost("a#producer-1", facility="GETPID"),
        record(LIBRDKAFKA, "FAIL without parts"),
        record("headwater.retry", "FAIL %s %s %s", "FAIL", "a#consumer-1", "text"),
    ],
)
def test_other_lines_are_all_logged(other: logging.LogRecord) -> None:
    quiet = Repeats()
    assert all(quiet.filter(other) for _ in range(3))


async def test_librdkafkas_own_lines_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(TelemetrySettings(), process="test")
    tried: list[str] = []

    def note(record: logging.LogRecord) -> bool:
        tried.append(record.getMessage())
        return True

    logging.getLogger(LIBRDKAFKA).addFilter(note)
    nowhere = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    consumer = Consumer(consumer_config(nowhere, client_id="lost", group="g"))

    def repeated() -> bool:
        consumer.poll(0.01)
        return sum("FAIL [lost#" in each for each in tried) > 3

    try:
        await reached(repeated, deadline_s=QUIET_S)
    finally:
        consumer.close()
        logging.getLogger(LIBRDKAFKA).removeFilter(note)
    assert capsys.readouterr().err.count("FAIL [lost#") == 1
