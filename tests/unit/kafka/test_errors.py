"""Every error of the vendor becomes one that says what to do next."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from headwater.clients.kafka.errors import (
    FencedError,
    KafkaRefusedError,
    KafkaUnavailableError,
    OffsetExpiredError,
    RecordRefusedError,
    TopicMissingError,
    translate,
)
from headwater.errors import HeadwaterError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._ALL_BROKERS_DOWN, KafkaUnavailableError),
        (KafkaError._MSG_TIMED_OUT, KafkaUnavailableError),
        (KafkaError._TRANSPORT, KafkaUnavailableError),
        (KafkaError.NOT_ENOUGH_REPLICAS, KafkaUnavailableError),
        (KafkaError.REBALANCE_IN_PROGRESS, KafkaUnavailableError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicMissingError),
        (KafkaError._UNKNOWN_PARTITION, TopicMissingError),
        (KafkaError._FENCED, FencedError),
        (KafkaError.INVALID_PRODUCER_EPOCH, FencedError),
        (KafkaError.OFFSET_OUT_OF_RANGE, OffsetExpiredError),
        (KafkaError._AUTO_OFFSET_RESET, OffsetExpiredError),
        (KafkaError.MSG_SIZE_TOO_LARGE, RecordRefusedError),
        (KafkaError.SASL_AUTHENTICATION_FAILED, KafkaRefusedError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaRefusedError),
        (KafkaError._INVALID_ARG, KafkaRefusedError),
    ],
)
def test_an_error_says_what_to_do(code: int, kind: type[HeadwaterError]) -> None:
    for error in (KafkaError(code), KafkaException(KafkaError(code))):
        translated = translate(error, "reading rag.audit.recorded")
        assert type(translated) is kind
        assert "while reading rag.audit.recorded" in str(translated)


def test_a_client_that_cannot_go_on_is_fatal() -> None:
    assert type(translate(KafkaError(KafkaError._TRANSPORT, "broken", fatal=True), "producing")) is KafkaRefusedError


def test_what_the_vendor_does_not_explain_may_succeed_later() -> None:
    assert type(translate(KafkaException("odd"), "reading")) is KafkaUnavailableError
