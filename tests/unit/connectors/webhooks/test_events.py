"""What buckets tell on topics of the broker becomes requests, for the tenant whose topic it is, and none is lost."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from connectors.webhooks import events
from connectors.webhooks.events import BucketEvents
from connectors.work import MAX_ITEMS
from connectors.worker.ports import Key
from headwater.clients.kafka.errors import KafkaUnavailableError
from headwater.clients.kafka.records import Item, Offsets, PartitionEnd, Record
from headwater.errors import HeadwaterError
from headwater.telemetry.management import Health
from schemas.events.base import Position
from schemas.ids import SourceId, TenantId
from tests.support.syncing import Clock, FakeSources
from tests.support.webhooks import WIKI, RecordingRequests, source

GLOBEX: Key = (TenantId("globex"), SourceId("papers"))
TENANTS = {"events-acme": TenantId("acme"), "events-globex": TenantId("globex")}


def told(offset: int, *keys: str, topic: str = "events-acme", bucket: str = "papers", value: bytes = b"") -> Record:
    records = [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}} for key in keys]
    event = {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{keys[0] if keys else ''}", "Records": records}
    at = Position(topic=topic, partition=0, offset=offset)
    return Record(position=at, key=None, value=value or json.dumps(event).encode(), headers=(), timestamp_ms=None)


@dataclass
class FakeStream:
    """Implements Requests: what lies ready, then nothing for ever."""

    ready: list[Sequence[Item] | HeadwaterError]
    committed: list[tuple[Offsets, int]] = field(default_factory=list)  # and how many requests were in the log by then
    assigned: frozenset[tuple[str, int]] = frozenset()
    requests: RecordingRequests = field(default_factory=RecordingRequests)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, *, max_records: int = 500, wait_s: float = 1.0) -> tuple[Item, ...]:
        if not self.ready:
            self.done.set()
            await asyncio.Event().wait()
        found = self.ready.pop(0)
        if isinstance(found, HeadwaterError):
            raise found
        return tuple(found)

    async def commit(self, offsets: Offsets) -> None:
        self.committed.append((offsets, len(self.requests.taken)))

    async def all_read(
        self, sources: FakeSources, health: Health | None = None
    ) -> list[tuple[Key, str, tuple[str, ...]]]:
        """Let it be read; return source, mode and items of what was asked for."""
        reading = asyncio.create_task(
            BucketEvents(
                stream=self,
                tenants=TENANTS,
                sources=sources,
                requests=self.requests,
                health=health or Health(),
                now=Clock().now,
            ).run()
        )
        waiting = asyncio.create_task(self.done.wait())
        await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, waiting):
            task.cancel()
        await asyncio.gather(reading, waiting, return_exceptions=True)
        return [((each.tenant_id, each.source), each.mode.value, each.items) for each in self.requests.taken]


@pytest.fixture
def sources() -> FakeSources:
    return FakeSources({WIKI: source("objects"), GLOBEX: source("objects")})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AGAIN_S", 0.0)


async def test_events_ask_for_looks_and_are_committed_afterwards(sources: FakeSources) -> None:
    end = PartitionEnd(position=Position(topic="events-acme", partition=0, offset=9))
    stream = FakeStream([[told(7, "x/a+b.md"), told(8, "x/c.md", "x/a+b.md"), end]])
    assert await stream.all_read(sources) == [(WIKI, "items", ("x/a b.md", "x/c.md"))]
    assert stream.committed == [({"events-acme": {0: 9}}, 1)]


async def test_a_topic_tells_of_its_tenants_buckets_alone(sources: FakeSources) -> None:
    stream = FakeStream([[told(1, "x/a.md", topic="events-globex")]])
    assert await stream.all_read(sources) == [(GLOBEX, "items", ("x/a.md",))]


@pytest.mark.parametrize(
    "record",
    [
        told(1, "x/a.md", bucket="another"),
        told(1, "outside-the-prefix.md"),
        told(1),
        told(1, value=b"no event"),
        replace(told(1), value=None),
    ],
    ids=["another bucket", "outside", "no key", "no event", "tombstone"],
)
async def test_what_names_nothing_of_ours_holds_nothing_up(sources: FakeSources, record: Record) -> None:
    stream = FakeStream([[record, told(2, "x/a.md")]])
    assert await stream.all_read(sources) == [(WIKI, "items", ("x/a.md",))]
    assert stream.committed == [({"events-acme": {0: 3}}, 1)]


async def test_paused_sources_and_other_kinds_are_not_asked_for(sources: FakeSources) -> None:
    sources[WIKI] = source("objects", paused=True)
    sources[TenantId("acme"), SourceId("code")] = source("github")
    stream = FakeStream([[told(1, "x/a.md")]])
    assert await stream.all_read(sources) == []
    assert stream.committed == [({"events-acme": {0: 2}}, 0)]


async def test_a_source_whose_url_is_none_does_not_silence_the_others(sources: FakeSources) -> None:
    sources[TenantId("acme"), SourceId("broken")] = replace(source("objects"), settings={"url": "s3://[papers/x/"})
    stream = FakeStream([[told(1, "x/a.md")]])
    assert await stream.all_read(sources) == [(WIKI, "items", ("x/a.md",))]


async def test_it_is_ready_again_before_the_next_event(sources: FakeSources) -> None:
    health = Health()
    await FakeStream([KafkaUnavailableError("away"), []]).all_read(sources, health)
    assert health.readiness()["bucket-events"] is None


async def test_a_crowd_of_events_is_one_pass(sources: FakeSources) -> None:
    stream = FakeStream([[told(n, f"x/{n}.md") for n in range(MAX_ITEMS + 1)]])
    assert await stream.all_read(sources) == [(WIKI, "full", ())]


async def test_nothing_is_committed_while_the_log_is_away(sources: FakeSources) -> None:
    health, stream = Health(), FakeStream([KafkaUnavailableError("away"), [told(1, "x/a.md")]])
    failing = iter([KafkaUnavailableError("away")] * 3)

    class Failing(RecordingRequests):
        async def ask(self, request: object) -> None:
            if (error := next(failing, None)) is not None:
                assert stream.committed == []
                assert health.readiness()["bucket-events"] == "KafkaUnavailableError"
                raise error
            await super().ask(request)  # type: ignore[arg-type]

    stream.requests = Failing()
    assert await stream.all_read(sources, health) == [(WIKI, "items", ("x/a.md",))]
    assert stream.committed == [({"events-acme": {0: 2}}, 1)]
    assert health.readiness()["bucket-events"] is None
