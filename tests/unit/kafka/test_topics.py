"""What the catalogue asks of a broker, and what is refused."""

import dataclasses

import pytest

from headwater.clients.kafka.admin import TopicState
from headwater.clients.kafka.topics import DesiredTopic, compare, desired_topics
from headwater.settings import KafkaSettings, Settings
from schemas.ids import GenerationName
from schemas.topics import Topic

SETTINGS = Settings(kafka=KafkaSettings(topic_prefix="acme.", partitions=6, replication_factor=3))
DESIRED = {each.name: each for each in desired_topics(SETTINGS)}
LOG = DESIRED["acme.rag.documents.changed"]


def state(topic: DesiredTopic) -> TopicState:
    """The topic as a broker that has exactly this would tell."""
    return TopicState(
        name=topic.name,
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        config={**topic.config, "segment.bytes": "1073741824"},
    )


def test_every_topic_is_wanted_under_prefix_and_generation() -> None:
    assert len(DESIRED) == len(Topic)
    assert "acme.rag.chunks.prepared.g1" in DESIRED
    names = {each.name for each in desired_topics(SETTINGS, generation=GenerationName("g2"))}
    assert names - DESIRED.keys() == {
        "acme.rag.documents.deferred.g2",
        "acme.rag.chunks.prepared.g2",
        "acme.rag.chunks.embedded.g2",
    }


def test_partitions_are_the_settings_and_one_for_the_directory() -> None:
    assert {each.partitions for name, each in DESIRED.items() if "directory" not in name} == {6}
    assert {each.partitions for name, each in DESIRED.items() if "directory" in name} == {1}


def test_the_log_keeps_history_and_forgets_in_time() -> None:
    assert LOG.config["cleanup.policy"] == "compact"
    assert LOG.config["min.compaction.lag.ms"] == str(7 * 86_400_000)
    assert LOG.config["max.compaction.lag.ms"] == str(30 * 86_400_000)
    assert "retention.ms" not in LOG.config


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (3, "2")])
def test_a_confirmed_record_survives_a_broker(replicas: int, in_sync: str) -> None:
    desired = desired_topics(Settings(kafka=KafkaSettings(replication_factor=replicas)))
    assert {each.config["min.insync.replicas"] for each in desired} == {in_sync}
    assert {each.config["unclean.leader.election.enable"] for each in desired} == {"false"}


def test_missing_topics_are_created() -> None:
    planned = compare(DESIRED.values(), {})
    assert planned.create == tuple(DESIRED.values())
    assert not planned.change
    assert not planned.refusals


def test_a_broker_as_wanted_needs_nothing() -> None:
    assert compare(DESIRED.values(), {name: state(each) for name, each in DESIRED.items()}).empty


def test_drift_is_set_back() -> None:
    found = dataclasses.replace(state(LOG), config={**LOG.config, "cleanup.policy": "delete"})
    planned = compare([LOG], {LOG.name: found})
    assert [(each.key, each.now, each.wanted) for each in planned.change] == [("cleanup.policy", "delete", "compact")]


@pytest.mark.parametrize("partitions", [4, 8])
def test_partitions_never_change_in_place(partitions: int) -> None:
    planned = compare([LOG], {LOG.name: dataclasses.replace(state(LOG), partitions=partitions)})
    assert len(planned.refusals) == 1
    assert f"acme.rag.documents.changed ({partitions}, wanted 6)" in planned.refusals[0]
    assert "never change in place" in planned.refusals[0]
    assert not planned.empty


def test_replicas_are_moved_by_the_brokers_own_tool() -> None:
    planned = compare([LOG], {LOG.name: dataclasses.replace(state(LOG), replication_factor=1)})
    assert "kafka-reassign-partitions" in planned.refusals[0]
