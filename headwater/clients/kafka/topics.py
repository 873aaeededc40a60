"""The catalogue made true on a broker: what to create, what to set, and what nobody may change in place."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from headwater.clients.kafka.admin import KafkaAdmin, TopicState
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.errors import KafkaRefusedError
from headwater.settings import KafkaSettings, Settings
from schemas.catalogue import CatalogueEntry, Cleanup, Partitions, load_catalogue
from schemas.ids import GenerationName

_DAY_MS = 86_400_000
# A follower that was away keeps its checkpoint for a week: until then it must still find the tombstones.
_TOMBSTONE_DAYS = 7.0
_REPLICAS_FOR_QUORUM = 3


class TopicDriftError(KafkaRefusedError):
    """A topic differs from the catalogue in what cannot be changed in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredTopic:
    """A topic as the catalogue and the settings want it."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """One setting of a topic that drifted, or was never set."""

    topic: str
    key: str
    now: str | None
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """What `apply_plan` would do. With refusals it does nothing."""

    create: tuple[DesiredTopic, ...]
    change: tuple[ConfigChange, ...]
    refusals: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the broker is as the catalogue wants it."""
        return not (self.create or self.change or self.refusals)


def desired_topics(settings: Settings, *, generation: GenerationName | None = None) -> tuple[DesiredTopic, ...]:
    """Return all topics of an installation, those of one generation under its name."""
    return tuple(
        DesiredTopic(
            name=topic_of(settings, entry.topic, generation=generation),
            partitions=settings.kafka.partitions if entry.partitions is Partitions.CONFIGURED else 1,
            replication_factor=settings.kafka.replication_factor,
            config=broker_config(entry, settings.kafka),
        )
        for entry in load_catalogue().values()
    )


def broker_config(entry: CatalogueEntry, settings: KafkaSettings) -> dict[str, str]:
    """Return a topic's settings in the broker's words."""
    replicated = settings.replication_factor >= _REPLICAS_FOR_QUORUM
    config = {
        "cleanup.policy": entry.cleanup.value,
        # A confirmed record is on two replicas, and a replica that lacks it never leads.
        "min.insync.replicas": "2" if replicated else "1",
        "unclean.leader.election.enable": "false",
    }
    if entry.cleanup is Cleanup.DELETE:
        config["retention.ms"] = _milliseconds(entry.retention_days)
    else:
        config["min.compaction.lag.ms"] = _milliseconds(entry.min_compaction_lag_days)
        config["max.compaction.lag.ms"] = _milliseconds(entry.max_compaction_lag_days)
        config["delete.retention.ms"] = _milliseconds(_TOMBSTONE_DAYS)
    if entry.max_message_bytes is not None:
        config["max.message.bytes"] = str(entry.max_message_bytes)
    return config


def compare(desired: Iterable[DesiredTopic], existing: Mapping[str, TopicState]) -> TopicPlan:
    """Say what is missing, what drifted and what must be refused. Pure."""
    wanted = tuple(desired)
    return TopicPlan(
        create=tuple(each for each in wanted if each.name not in existing),
        change=tuple(
            change for each in wanted if each.name in existing for change in _drift(each, existing[each.name])
        ),
        refusals=tuple(_refusals(wanted, existing)),
    )


async def plan_topics(admin: KafkaAdmin, settings: Settings, *, generation: GenerationName | None = None) -> TopicPlan:
    """Compare the catalogue with the broker. Changes nothing."""
    desired = desired_topics(settings, generation=generation)
    return compare(desired, await admin.describe([each.name for each in desired]))


async def apply_plan(admin: KafkaAdmin, plan: TopicPlan) -> None:
    """Create and set what the plan names. Raises TopicDriftError, and changes nothing, when it has refusals."""
    if plan.refusals:
        raise TopicDriftError("; ".join(plan.refusals))
    await asyncio.gather(*(_create(admin, topic) for topic in plan.create))
    for name in dict.fromkeys(change.topic for change in plan.change):
        await admin.set_config(name, {each.key: each.wanted for each in plan.change if each.topic == name})


async def create_topics(settings: Settings, *, generation: GenerationName | None = None) -> None:
    """Bring the broker to what the catalogue says: `headwater topics apply` for programs."""
    admin = KafkaAdmin(settings.kafka)
    await apply_plan(admin, await plan_topics(admin, settings, generation=generation))


async def _create(admin: KafkaAdmin, topic: DesiredTopic) -> None:
    await admin.create(
        topic.name, partitions=topic.partitions, replication_factor=topic.replication_factor, config=topic.config
    )


def _drift(wanted: DesiredTopic, found: TopicState) -> Iterable[ConfigChange]:
    for key, value in wanted.config.items():
        now = found.config.get(key)
        if now != value:
            yield ConfigChange(topic=wanted.name, key=key, now=now, wanted=value)


def _refusals(wanted: Collection[DesiredTopic], existing: Mapping[str, TopicState]) -> Iterable[str]:
    pairs = [(each, existing[each.name]) for each in wanted if each.name in existing]
    moved = [
        f"{each.name} ({found.partitions}, wanted {each.partitions})"
        for each, found in pairs
        if found.partitions != each.partitions
    ]
    if moved:
        yield (
            f"the partitions of {', '.join(moved)} never change in place: keys would move and lose their order; "
            "set HEADWATER_KAFKA__PARTITIONS to what is there, or copy the log into an installation with another "
            "HEADWATER_KAFKA__TOPIC_PREFIX"
        )
    unlike = [
        f"{each.name} ({found.replication_factor}, wanted {each.replication_factor})"
        for each, found in pairs
        if found.replication_factor != each.replication_factor
    ]
    if unlike:
        yield (
            f"the replicas of {', '.join(unlike)} differ from HEADWATER_KAFKA__REPLICATION_FACTOR: move them with "
            "kafka-reassign-partitions, then run this again"
        )


def _milliseconds(days: float | None) -> str:
    return str(round((days or 0) * _DAY_MS))
