"""What operators and followers ask of the broker: topics, their settings, ends of logs, positions of groups."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from headwater.clients.kafka.config import client_config
from headwater.clients.kafka.errors import KafkaUnavailableError, translate
from headwater.clients.kafka.partitions import count_partitions
from headwater.clients.kafka.records import Offsets
from headwater.settings import KafkaSettings

R = TypeVar("R")

_ASK_AGAIN_S = 0.02
# How long the positions of a group are waited for before another client asks for them; most come within milliseconds.
_POSITIONS_S: Final = 5.0
_SLACK_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as the broker has it; `config` are its settings in force."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


class KafkaAdmin:
    """Asks and changes the broker; every call ends within the request timeout or raises RetryableError."""

    def __init__(self, settings: KafkaSettings, *, client_id: str = "headwater-admin") -> None:
        self._timeout_s = settings.request_timeout_s
        self._config = client_config(settings, client_id=client_id)
        self._client = AdminClient(self._config)

    async def topic_names(self) -> frozenset[str]:
        """Return the names of all topics that are there."""
        metadata = await self._blocking(
            lambda: self._client.list_topics(timeout=self._timeout_s), doing="listing topics"
        )
        return frozenset(metadata.topics)

    async def describe(self, topics: Collection[str]) -> dict[str, TopicState]:
        """Return those of the named topics that exist."""
        wanted = sorted(set(topics) & await self.topic_names())
        if not wanted:
            return {}
        shapes = await self._ask(
            lambda: self._client.describe_topics(TopicCollection(wanted), request_timeout=self._timeout_s),
            doing="describing topics",
        )
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
        configs = await self._ask(
            lambda: self._client.describe_configs(resources, request_timeout=self._timeout_s),
            doing="reading the settings of topics",
        )
        settings = {resource.name: entries for resource, entries in configs.items()}
        return {name: _state(shapes[name], settings[name]) for name in wanted}

    async def create(self, name: str, *, partitions: int, replication_factor: int, config: Mapping[str, str]) -> None:
        """Create a topic and return when the broker tells of it. RetryableError; FatalError when it is refused."""
        topic = NewTopic(name, partitions, replication_factor, config=dict(config))
        await self._ask(
            lambda: self._client.create_topics([topic], request_timeout=self._timeout_s), doing=f"creating {name}"
        )

        async def is_there() -> bool:
            return name in await self.topic_names()

        await self._until(is_there, doing=f"creating {name}")

    async def set_config(self, name: str, config: Mapping[str, str]) -> None:
        """Set these settings of a topic and return when the broker tells of them; all others stay."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        await self._ask(
            lambda: self._client.incremental_alter_configs([resource], request_timeout=self._timeout_s),
            doing=f"setting {', '.join(config)} of {name}",
        )

        async def is_set() -> bool:
            return config.items() <= (await self.describe([name]))[name].config.items()

        await self._until(is_set, doing=f"setting {', '.join(config)} of {name}")

    async def delete(self, topics: Collection[str]) -> None:
        """Delete topics with all of their records."""
        names = list(topics)
        if names:
            await self._ask(
                lambda: self._client.delete_topics(names, request_timeout=self._timeout_s),
                doing=f"deleting {', '.join(names)}",
            )

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has. Raises TopicMissingError."""
        return await asyncio.to_thread(count_partitions, self._client, topic, timeout_s=self._timeout_s)

    async def end_offsets(self, topics: Collection[str]) -> Offsets:
        """Return, for each partition, the next offset that a reader of committed records would get to."""
        return await self._offsets(topics, OffsetSpec.latest())  # type: ignore[no-untyped-call] # the vendor left it untyped

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        """Return the ends of named partitions in one request; with `committed` off, open transactions count too."""
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return await self._ends(partitions, OffsetSpec.latest(), isolation)  # type: ignore[no-untyped-call] # as above

    async def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        """Return the identities of topics; one that was deleted and created anew has another. TopicMissingError."""
        described = await self._ask(
            lambda: self._client.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout_s),
            doing="describing topics",
        )
        return {name: str(shape.topic_id) for name, shape in described.items()}

    async def start_offsets(self, topics: Collection[str]) -> Offsets:
        """Return the oldest offset that is still there, for each partition."""
        return await self._offsets(topics, OffsetSpec.earliest())  # type: ignore[no-untyped-call] # as above

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        """Return the next offset that a group will read, for each partition it has committed."""
        client = self._client
        try:
            async with asyncio.timeout(min(_POSITIONS_S, self._timeout_s)):
                answer = await self._positions(group)
        except TimeoutError:
            self._replace(client)
            answer = await self._positions(group)
        offsets: Offsets = {topic: {} for topic in topics}
        for each in answer[group].topic_partitions or ():
            if each.topic in offsets and each.offset >= 0:
                offsets[each.topic][each.partition] = each.offset
        return offsets

    async def _positions(self, group: str) -> dict[Any, Any]:
        asked = [ConsumerGroupTopicPartitions(group)]
        return await self._ask(
            lambda: self._client.list_consumer_group_offsets(asked, request_timeout=self._timeout_s),
            doing=f"reading the positions of {group}",
        )

    async def members(self, group: str) -> int:
        """Return how many consumers a group has; 0 for one that there is not."""
        described = await self._ask(
            lambda: self._client.describe_consumer_groups([group], request_timeout=self._timeout_s),
            doing=f"asking who is in {group}",
            missing=KafkaError.GROUP_ID_NOT_FOUND,
        )
        return sum(len(each.members) for each in described.values())

    async def forget_groups(self, groups: Collection[str]) -> None:
        """Delete the positions of groups, so that each begins again. RetryableError while one has members."""
        names = list(groups)
        if names:
            await self._ask(
                lambda: self._client.delete_consumer_groups(names, request_timeout=self._timeout_s),
                doing=f"deleting the positions of {', '.join(names)}",
                missing=KafkaError.GROUP_ID_NOT_FOUND,
            )

    async def _offsets(self, topics: Collection[str], spec: Any) -> Offsets:
        counts = {topic: await self.partition_count(topic) for topic in topics}
        partitions = {topic: range(count) for topic, count in counts.items()}
        return await self._ends(partitions, spec, IsolationLevel.READ_COMMITTED)

    async def _ends(self, partitions: Mapping[str, Collection[int]], spec: Any, isolation: IsolationLevel) -> Offsets:
        asked = {TopicPartition(topic, each): spec for topic, numbers in partitions.items() for each in numbers}
        if not asked:
            return {}
        answer = await self._ask(
            lambda: self._client.list_offsets(asked, isolation_level=isolation, request_timeout=self._timeout_s),
            doing=f"reading the offsets of {', '.join(partitions)}",
        )
        offsets: Offsets = {topic: {} for topic in partitions}
        for partition, result in answer.items():
            offsets[partition.topic][partition.partition] = result.offset
        return offsets

    async def _until(self, holds: Callable[[], Awaitable[bool]], *, doing: str) -> None:
        """Wait for what was accepted to be told: a broker's answers lag behind the controller's."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while not await holds():  # noqa: ASYNC110 - the broker sends no event to wait for
                    await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError as error:
            raise KafkaUnavailableError(f"not in force within {self._timeout_s} s after {doing}") from error

    async def _ask(
        self, call: Callable[[], Mapping[Any, Any]], *, doing: str, missing: int | None = None
    ) -> dict[Any, Any]:
        """Run an admin request and await each of its futures; those that end with the code `missing` are left out."""
        client = self._client
        futures = await self._blocking(call, doing=doing)
        answers: dict[Any, Any] = {}
        try:
            async with asyncio.timeout(self._timeout_s + _SLACK_S):  # librdkafka's own limit comes first
                for key, future in futures.items():
                    try:
                        answers[key] = await asyncio.wrap_future(future)
                    except KafkaException as error:
                        if missing is None or error.args[0].code() != missing:
                            raise
        except TimeoutError as error:
            self._replace(client)
            raise KafkaUnavailableError(f"no answer within {self._timeout_s} s while {doing}") from error
        except KafkaException as error:
            if error.args[0].code() == KafkaError._TIMED_OUT:  # noqa: SLF001 - librdkafka's own codes have underscored names
                self._replace(client)
            raise translate(error, doing) from error
        return answers

    def _replace(self, client: AdminClient) -> None:
        """Ask with another client from now on, unless one has taken over already.

        Once the connection to a group's coordinator has ended, librdkafka may wait for it for ever (its issue 5511
        tells of the like): the client that waited gave no answer again, while a new one had it at once.
        """
        if self._client is client:
            self._client = AdminClient(self._config)
            # What others have asked the old one ends before that one does. A loop may end long before: admission runs
            # one for each question.
            closing = threading.Timer(self._timeout_s + 2 * _SLACK_S, _close, [client])
            closing.daemon = True
            closing.start()

    async def _blocking(self, call: Callable[[], R], *, doing: str) -> R:
        try:
            return await asyncio.to_thread(call)
        except KafkaException as error:
            raise translate(error, doing) from error


def _close(client: AdminClient) -> None:
    with client:
        pass


def _state(shape: Any, entries: Mapping[str, Any]) -> TopicState:
    return TopicState(
        name=shape.name,
        partitions=len(shape.partitions),
        replication_factor=len(shape.partitions[0].replicas),
        config={name: entry.value for name, entry in entries.items() if entry.value is not None},
    )
