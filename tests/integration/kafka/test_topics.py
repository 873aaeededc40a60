"""`headwater topics` on a real broker."""

import json
import os
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.topics import app
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.topics import TopicDriftError, apply_plan, create_topics, plan_topics
from headwater.settings import Settings
from schemas.ids import GenerationName
from schemas.topics import Topic

pytestmark = pytest.mark.real


def run(settings: Settings, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
    """Run the command in this test's installation."""
    named = {
        "HEADWATER_KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "HEADWATER_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "HEADWATER_KAFKA__PARTITIONS": "4",
    }
    return CliRunner().invoke(app, list(arguments), env={**os.environ, **named, **(environment or {})})


async def test_apply_makes_the_broker_as_the_catalogue_says(settings: Settings, admin: KafkaAdmin) -> None:
    planned = await plan_topics(admin, settings)
    assert len(planned.create) == len(Topic)
    await apply_plan(admin, planned)
    assert (await plan_topics(admin, settings)).empty
    topics = {name.removeprefix(settings.kafka.topic_prefix) for name in await admin.topic_names()}
    assert {"rag.documents.changed", "rag.chunks.prepared.g1", "rag.directory.changed"} <= topics


async def test_drift_is_found_and_set_back(settings: Settings, admin: KafkaAdmin) -> None:
    await create_topics(settings)
    log = f"{settings.kafka.topic_prefix}rag.documents.changed"
    await admin.set_config(log, {"cleanup.policy": "delete"})
    planned = await plan_topics(admin, settings)
    assert [(each.topic, each.key, each.now, each.wanted) for each in planned.change] == [
        (log, "cleanup.policy", "delete", "compact")
    ]
    await apply_plan(admin, planned)
    assert (await admin.describe([log]))[log].config["cleanup.policy"] == "compact"


async def test_partitions_never_grow_and_nothing_else_is_touched(settings: Settings, admin: KafkaAdmin) -> None:
    await create_topics(settings)
    wider = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"partitions": 8})})
    with pytest.raises(TopicDriftError, match="never change in place"):
        await create_topics(wider, generation=GenerationName("g2"))
    names = await admin.topic_names()
    assert f"{settings.kafka.topic_prefix}rag.chunks.prepared.g2" not in names


async def test_a_generation_brings_its_own_topics(settings: Settings, admin: KafkaAdmin) -> None:
    await create_topics(settings)
    planned = await plan_topics(admin, settings, generation=GenerationName("g2"))
    assert {each.name.removeprefix(settings.kafka.topic_prefix) for each in planned.create} == {
        "rag.chunks.prepared.g2",
        "rag.chunks.embedded.g2",
        "rag.documents.deferred.g2",
    }


def test_the_command_plans_applies_and_refuses(settings: Settings, admin: KafkaAdmin) -> None:
    planned = run(settings, "plan", "--json")
    assert planned.exit_code == 0
    assert len(json.loads(planned.output)["create"]) == len(Topic)
    assert run(settings, "apply", "--dry-run").exit_code == 0
    assert len(json.loads(run(settings, "plan", "--json").output)["create"]) == len(Topic)
    assert run(settings, "apply").exit_code == 0
    assert "every topic is as the catalogue says" in run(settings, "plan").output
    refused = run(settings, "apply", environment={"HEADWATER_KAFKA__PARTITIONS": "8"})
    assert refused.exit_code == 1
    assert "never change in place" in refused.output
