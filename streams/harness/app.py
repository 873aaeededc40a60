"""The Faust application of one stage: one agent that hands every record to the dispatcher."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import faust
from faust.types import EventT

from headwater.settings import Settings
from headwater.telemetry.tracing import Headers
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.base import Lane, Position
from schemas.topics import Topic, topic_name
from streams.harness.consumer import GuardedConsumer, GuardedTransport, PartitionKeeper
from streams.harness.delivery import Delivery, routing_key
from streams.harness.dispatcher import Dispatcher
from streams.harness.stage import StageSpec

# Faust's own buffer, in events: small, because the dispatcher reads ahead and bounds that by bytes.
_BUFFER_EVENTS = 64
# Longest time between two polls. Faust polls from a thread of its own, so it is not bound to the work's duration.
_POLL_INTERVAL_S = 1000.0
_REBALANCE_TIMEOUT_S = 60.0


class StageApp(faust.App):
    """A Faust app on the guarded transport."""

    def __init__(self, app_id: str, *, transport_options: Mapping[str, Any], **options: Any) -> None:
        super().__init__(app_id, **options)
        self._transport_options = dict(transport_options)

    def _new_transport(self) -> GuardedTransport:
        return GuardedTransport(self.conf.broker_consumer, self, **self._transport_options)


def build_app(spec: StageSpec, settings: Settings, *, keeper: PartitionKeeper, datadir: Path) -> StageApp:
    """Return the app without agents and without a connection; `datadir` exists."""
    kafka = settings.kafka
    return StageApp(
        spec.group(settings),
        transport_options={
            "kafka": kafka,
            "keeper": keeper,
            "dense_topics": frozenset(names_of(spec.dense, settings)),
        },
        broker=";".join(f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")),
        datadir=str(datadir),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=True,
        stream_buffer_maxsize=_BUFFER_EVENTS,
        broker_commit_interval=1.0,
        broker_session_timeout=float(kafka.session_timeout_s),
        broker_heartbeat_interval=max(1.0, kafka.session_timeout_s / 4),
        broker_request_timeout=max(kafka.request_timeout_s, float(kafka.session_timeout_s)),
        broker_rebalance_timeout=_REBALANCE_TIMEOUT_S,
        broker_max_poll_interval=_POLL_INTERVAL_S,
        broker_max_poll_records=500,
        producer_request_timeout=kafka.request_timeout_s,
        producer_acks=-1,
    )


def register_agent(app: StageApp, spec: StageSpec, settings: Settings, dispatcher: Dispatcher) -> Any:
    """Register the stage's only agent and return it. Keys and values stay bytes: the codec decodes, not Faust."""
    base_topics = dict(zip(names_of(spec.topics, settings), spec.topics, strict=True))
    source = app.topic(
        *base_topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", acks=True
    )

    async def dispatch(stream: Any) -> None:  # StreamT lacks noack
        async for event in stream.noack().events():
            topic = base_topics[event.message.topic]
            await dispatcher.offer(_delivery(app, event, topic, spec.topics[topic]))

    return app.agent(source, name=spec.name, concurrency=1)(dispatch)


def names_of(topics: Any, settings: Settings) -> list[str]:
    """Return the topics' names on this broker, in the same order."""
    return [topic_name(each, generation=settings.generation, prefix=settings.kafka.topic_prefix) for each in topics]


def _delivery(app: StageApp, record: EventT[bytes], topic: Topic, event_type: type) -> Delivery:
    message, consumer = record.message, app.consumer
    event, broken = _decoded(message.value, event_type)
    return Delivery(
        origin=Position(topic=message.topic, partition=message.partition, offset=message.offset),
        topic=topic,
        key=message.key,
        order=(topic, routing_key(topic, message.key)),
        value=message.value,
        headers=cast("Headers", tuple(message.headers or ())),
        event=event,
        broken=broken,
        lane=getattr(event, "lane", None) or Lane.LIVE,
        size_bytes=len(message.value or b"") + len(message.key or b""),
        received_s=time.monotonic(),
        settle=lambda: _guarded(consumer).settle(message),
        abandon=lambda: _guarded(consumer).let_go(message),
    )


def _decoded(value: bytes | None, event_type: type) -> tuple[Any, ContractError | None]:
    if value is None:
        return None, None
    try:
        return decode(value, event_type), None
    except ContractError as error:
        return None, error


def _guarded(consumer: Any) -> GuardedConsumer:
    if not isinstance(consumer, GuardedConsumer):
        raise TypeError(f"{type(consumer).__name__} would commit what is not settled: build the app with build_app()")
    return consumer
