"""Each test has its own topic prefix; everything under it is removed."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.settings import Settings
from tests.support.stack import RunningStack

MakeTopic: TypeAlias = Callable[..., Awaitable[str]]


@pytest.fixture
def settings(stack: RunningStack) -> Settings:
    """The stack's settings under a prefix of this test's own."""
    prefix = f"t{uuid.uuid4().hex[:12]}."
    kafka = stack.settings.kafka.model_copy(update={"topic_prefix": prefix, "partitions": 4})
    return stack.settings.model_copy(update={"kafka": kafka})


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[KafkaAdmin]:
    admin = KafkaAdmin(settings.kafka)
    yield admin
    await admin.delete([name for name in await admin.topic_names() if name.startswith(settings.kafka.topic_prefix)])


@pytest.fixture
def make_topic(settings: Settings, admin: KafkaAdmin) -> MakeTopic:
    """A function that creates a topic of this test's own."""

    async def make(name: str = "events", *, partitions: int = 4) -> str:
        topic = f"{settings.kafka.topic_prefix}{name}"
        # Said, not left to the broker: its default is another one in the embedded stack than elsewhere.
        await admin.create(
            topic, partitions=partitions, replication_factor=1, config={"max.message.bytes": str(1024 * 1024)}
        )
        return topic

    return make
