"""Settings in librdkafka's words. Every producer and consumer of ours begins here."""

import logging
from typing import Any, Literal, TypeAlias

from headwater.settings import KafkaSettings, Settings
from headwater.telemetry.repeats import LIBRDKAFKA
from schemas.ids import GenerationName
from schemas.topics import Topic, topic_name

Config: TypeAlias = dict[str, Any]

_RECONNECT_MAX_MS = 1_000  # a broker that comes back is noticed within a second
_FETCH_BYTES_PER_CONSUMER_KB = 16 * 1024  # prefetched and not yet taken; the consumer's whole buffer
_FETCH_BYTES_PER_PARTITION = 4 * 1024 * 1024
_RECORD_BYTES = 2 * 1024 * 1024  # the largest any topic takes (rag.events.parked); the broker judges the others
_MISSING_TOPIC_MS = 5_000  # how long a topic may be unknown before a send fails; the default hides a mistake for 30 s
_PRODUCER_BUFFER_KB = 64 * 1024


def topic_of(settings: Settings, topic: Topic, *, generation: GenerationName | None = None) -> str:
    """Return a topic's name on this installation's broker; of the settings' generation unless told otherwise."""
    return topic_name(topic, generation=generation or settings.generation, prefix=settings.kafka.topic_prefix)


def group_of(settings: Settings, stage: str, *, generation: GenerationName | None = None) -> str:
    """Return a stage's consumer group: `headwater-<stage>`, with `-<generation>` where the stage belongs to one."""
    suffix = f"-{generation}" if generation else ""
    return f"{settings.kafka.topic_prefix}headwater-{stage}{suffix}"


def client_config(settings: KafkaSettings, *, client_id: str) -> Config:
    """Return what every client needs: addresses, security, timeouts."""
    timeout_ms = int(settings.request_timeout_s * 1000)
    config: Config = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": client_id,
        "security.protocol": settings.security_protocol,
        "socket.timeout.ms": timeout_ms,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": _RECONNECT_MAX_MS,
        "logger": logging.getLogger(LIBRDKAFKA),  # it would write its own format to standard error
    }
    optional = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password.get_secret_value() if settings.sasl_password else None,
        "ssl.ca.location": str(settings.ssl_ca_file) if settings.ssl_ca_file else None,
    }
    return config | {name: value for name, value in optional.items() if value is not None}


def producer_config(settings: KafkaSettings, *, client_id: str, transactional_id: str | None = None) -> Config:
    """Return a producer's configuration: idempotent, confirmed by all replicas, Java's partitioner, no lingering.

    librdkafka's own partitioner is another one: the same key would lie in two partitions.
    """
    config = client_config(settings, client_id=client_id) | {
        "partitioner": "murmur2_random",
        "enable.idempotence": True,  # its retries are the one exception to ours: only it can repeat without doubling
        "acks": "all",
        "linger.ms": 0,
        "delivery.timeout.ms": int(settings.request_timeout_s * 1000),
        "queue.buffering.max.kbytes": _PRODUCER_BUFFER_KB,
        # Faust's aiokafka reads gzip without another library; lz4, snappy and zstd need one, or a stage cannot read on.
        "compression.type": settings.compression,
        "compression.level": 1,
        "message.max.bytes": _RECORD_BYTES,
        "topic.metadata.propagation.max.ms": _MISSING_TOPIC_MS,
    }
    if transactional_id is not None:
        transaction_ms = settings.transaction_timeout_s * 1000
        config["transactional.id"] = transactional_id
        config["transaction.timeout.ms"] = transaction_ms
        for name in ("delivery.timeout.ms", "socket.timeout.ms"):  # librdkafka refuses any above the transaction's
            config[name] = min(config[name], transaction_ms)
    return config


def consumer_config(
    settings: KafkaSettings,
    *,
    client_id: str,
    group: str,
    on_expired: Literal["earliest", "latest", "error"] = "earliest",
) -> Config:
    """Return a consumer's configuration: committed records only, offsets committed by hand, ends of partitions told.

    `on_expired` says where to begin without a committed offset, and when it is gone; `error` raises OffsetExpiredError.
    """
    return client_config(settings, client_id=client_id) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": on_expired,
        "partition.assignment.strategy": "range",  # a worker owns the same partitions of topics with equal counts
        "session.timeout.ms": settings.session_timeout_s * 1000,
        "heartbeat.interval.ms": settings.session_timeout_s * 1000 // 4,
        "allow.auto.create.topics": False,
        "queued.max.messages.kbytes": _FETCH_BYTES_PER_CONSUMER_KB,
        "fetch.message.max.bytes": _FETCH_BYTES_PER_PARTITION,
        "fetch.queue.backoff.ms": 10,  # the default of a second is how long a drained buffer would stay empty
        "fetch.error.backoff.ms": 100,
    }
