"""Which generation serves, followed on the real log by a process without a replica."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.topics import create_topics, desired_topics
from headwater.generations.following import follow_serving
from headwater.generations.records import first_generation, new_generation
from headwater.settings import Settings
from schemas.events.directory import DirectoryKind, Generation, GenerationState, KnowledgeBase
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision, directory_key
from schemas.topics import Topic
from tests.support.heads import ACME, directory_record
from tests.support.stack import RunningStack
from tests.support.waiting import reached

pytestmark = pytest.mark.real

G1, G2 = GenerationName("g1"), GenerationName("g2")
BUILT = new_generation(G2, policy="structure-1", created_at=datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
async def settings(stack: RunningStack) -> AsyncIterator[Settings]:
    kafka = stack.settings.kafka.model_copy(update={"topic_prefix": f"t{uuid4().hex[:8]}."})
    own = stack.settings.model_copy(update={"kafka": kafka})
    await create_topics(own)
    yield own
    await KafkaAdmin(kafka).delete([each.name for each in desired_topics(own)])


async def test_a_switch_and_the_way_back_are_followed(settings: Settings) -> None:
    async with EventProducer.open(settings, client_id="test") as producer, follow_serving(settings) as serving:

        async def put(record: Generation, revision: int) -> None:
            event = directory_record(
                DirectoryKind.GENERATION, record.name, record, tenant=SYSTEM_TENANT, revision=Revision(revision)
            )
            key = directory_key(SYSTEM_TENANT, DirectoryKind.GENERATION.value, record.name)
            await producer.send(Topic.DIRECTORY_CHANGED, event, key=key)

        async def serves(name: GenerationName) -> None:
            await reached(lambda: serving.name == name, deadline_s=30)

        other = directory_record(DirectoryKind.KNOWLEDGE_BASE, "g9", KnowledgeBase(name="G"), revision=Revision(9))
        await producer.send(
            Topic.DIRECTORY_CHANGED, other, key=directory_key(ACME, DirectoryKind.KNOWLEDGE_BASE.value, "g9")
        )
        await put(BUILT, 1)
        assert serving.name == G1, "one that is being built serves nobody"
        await put(replace(BUILT, state=GenerationState.SERVING, switched=2), 2)
        await serves(G2)
        await put(replace(first_generation(G1), switched=3), 3)
        await serves(G1)

        async with follow_serving(settings) as later:
            await put(replace(BUILT, state=GenerationState.SERVING, switched=4), 4)
            await reached(lambda: later.name == serving.name == G2, deadline_s=30)
