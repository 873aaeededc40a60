"""What Kafka says, in Headwater's own words: wait, park, or exit."""

from confluent_kafka import KafkaError, KafkaException

from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError


class KafkaUnavailableError(RetryableError):
    """The broker did not answer, or is moving partitions: the same call may succeed later."""


class UnconfirmedError(KafkaUnavailableError):
    """The client says that the broker holds the record, but the broker never said so. Send it again: it may be lost.

    librdkafka concludes from the confirmation of a later record of the partition that the earlier ones are stored too.
    For the first records of a partition that is wrong: the broker takes any sequence number from a producer it does not
    know, so it may have refused the earlier ones (ADR 0205). Where they are stored, readers tolerate them twice.
    """


class KafkaRefusedError(FatalError):
    """The broker answers and says no: credentials, rights or settings are wrong."""


class TopicMissingError(FatalError):
    """A topic or partition does not exist. Topics are created by `headwater topics apply`, never by accident."""


class FencedError(FatalError):
    """Another process has taken over this one's transactions or partitions: exit and start again."""


class OffsetExpiredError(FatalError):
    """The position to read from is no longer in the topic: what was missed must be rebuilt, not skipped."""


class RecordRefusedError(PoisonError):
    """The broker will never take this record: it is too large or malformed."""


class WrongPartitionError(PoisonError):
    """A record lies in a partition that its key does not belong to: its producer used another partitioner."""


_MISSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's own codes have public meaning and underscored names
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - as above
        KafkaError.TOPIC_EXCEPTION,
    }
)
_FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - as above
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.PRODUCER_FENCED,
    }
)
_EXPIRED = frozenset(
    {
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - as above
    }
)
_RECORD_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
    }
)
_REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as above
        KafkaError._INVALID_ARG,  # noqa: SLF001 - as above
        KafkaError._SSL,  # noqa: SLF001 - as above
        KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - as above
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_REQUEST,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)


def translate(error: KafkaError | KafkaException, doing: str) -> HeadwaterError:
    """Return the error that says what to do next. `doing` completes "while ...": producing to rag.audit.recorded."""
    detail = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(detail, KafkaError):
        return KafkaUnavailableError(f"Kafka failed while {doing}: {detail}")
    code = detail.code()
    text = f"{detail.name()}: {detail.str()} while {doing}"
    kinds: tuple[tuple[frozenset[int], type[HeadwaterError], str], ...] = (
        (_MISSING, TopicMissingError, "run `headwater topics apply`"),
        (_FENCED, FencedError, "another process has taken over; this one must start again"),
        (_EXPIRED, OffsetExpiredError, "records were removed before they were read; rebuild what depends on them"),
        (_RECORD_REFUSED, RecordRefusedError, "the record breaks the broker's limits"),
        (_REFUSED, KafkaRefusedError, "correct HEADWATER_KAFKA__* or the broker's rights"),
    )
    for codes, kind, remedy in kinds:
        if code in codes:
            return kind(f"{text}; {remedy}")
    if detail.fatal():
        return KafkaRefusedError(f"{text}; this client cannot go on and must start again")
    return KafkaUnavailableError(text)
