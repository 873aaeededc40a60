"""A place to resume from is saved behind all that came before it, and also when there is nothing else to save."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from connectors.cursors import CursorStore
from connectors.endings import Ending
from connectors.protocol import Cursor, CursorMoved, Observed, SourceChange, Upserted
from connectors.runner import SYNCED_MARK, Runner
from headwater.clients.kafka.records import Outgoing
from headwater.settings import Settings
from tests.support.blobs import FakeBlobStore
from tests.support.heads import ACME, FILES, NOON, state


class Log(CursorStore):
    """Producer and cursors in one: what is sent and saved, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def load(self) -> dict[str, bytes]:
        return {SYNCED_MARK: b"yes"}

    async def save(self, parts: Mapping[str, bytes | None]) -> None:
        self.events += [f"saved {part} {(value or b'').decode()}" for part, value in sorted(parts.items())]

    async def send_many(self, records: Sequence[Outgoing]) -> None:
        self.events += ["sent" for _ in records]


class Feed:
    """A source that says where it is after its changes."""

    def __init__(self, changes: int) -> None:
        self._changes = changes

    async def check(self) -> None:
        """Nothing can be missing."""

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        for number in range(self._changes):
            yield SourceChange(
                external_id=f"page-{number}",
                what=Upserted(state=state(), content=None),
                source_version=None,
                occurred_at=NOON,
                cursor={"page": str(number).encode()},
            )
            yield CursorMoved(cursor={"place": str(number).encode()})
        yield CursorMoved(cursor={"place": b"end"})


async def sync(changes: int) -> tuple[Ending, list[str]]:
    log: Any = Log()
    report = await Runner(
        settings=Settings(),
        connector=Feed(changes),
        cursors=log,
        blobs=FakeBlobStore(),
        producer=log,
        tenant=ACME,
        source=FILES,
    ).sync()
    return report.ending, log.events


async def test_a_place_is_saved_after_what_came_before_it() -> None:
    ending, events = await sync(2)
    assert ending is Ending.COMPLETED
    assert events.index("saved place end") > max(n for n, event in enumerate(events) if event == "sent")
    assert events[-1] == "saved place end"
    assert "saved page 1" in events


async def test_a_place_is_saved_before_what_comes_after_it_is_submitted() -> None:
    _, events = await sync(2)
    first, second = (number for number, event in enumerate(events) if event == "sent")
    assert first < events.index("saved place 0") < second < events.index("saved place 1")


async def test_a_place_is_saved_though_nothing_is_new() -> None:
    assert await sync(0) == (Ending.NOTHING_NEW, ["saved place end"])
