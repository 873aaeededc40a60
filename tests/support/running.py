"""A runner's surroundings in memory: a cursor, and who takes what is sent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.cursors import CursorStore
from connectors.parts import Parts
from connectors.protocol import Connector, Cursor, Unnoted
from connectors.runner import Runner
from headwater.clients.kafka.records import Outgoing
from headwater.errors import FatalError
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.documents import DocumentSubmitted
from tests.support.blobs import FakeBlobStore
from tests.support.heads import ACME, FILES


class Forgetful:
    """A source of which nothing is remembered by item: what was in flight is as if it had never been."""

    def unknown(self, unnoted: Unnoted, _since: Cursor) -> Mapping[str, bytes | None]:
        return {}


class FakeCursors(CursorStore):
    """A cursor in memory."""

    def __init__(self, parts: Mapping[str, bytes] | None = None) -> None:
        self.parts: dict[str, bytes] = dict(parts or {})

    async def load(self) -> Parts:
        return Parts(self.parts.items())

    async def save(self, parts: Mapping[str, bytes | None]) -> None:
        for part, value in parts.items():
            if value is None:
                self.parts.pop(part, None)
            else:
                self.parts[part] = value


class FakeProducer:
    """Keeps the submissions that are sent."""

    def __init__(self) -> None:
        self.sent: list[DocumentSubmitted] = []

    async def send_many(self, records: Sequence[Outgoing]) -> None:
        documents = [each for each in records if each.topic.startswith("rag.documents.")]
        self.sent += [decode(each.value or b"", DocumentSubmitted) for each in documents]


class FakeLog(FakeCursors):
    """Cursor and producer in one: what is saved and sent, in order; topics that it `refuses` take nothing."""

    def __init__(
        self, parts: Mapping[str, bytes] | None = None, *, refuses: Callable[[str], bool] = lambda topic: False
    ) -> None:
        super().__init__(parts)
        self.events: list[str] = []
        self._refuses = refuses

    async def save(self, parts: Mapping[str, bytes | None]) -> None:
        await super().save(parts)
        for part, value in sorted(parts.items()):
            said = "gone" if value is None else f"saved {value.decode(errors='replace')}"
            self.events.append(f"{part} {said}")

    async def send_many(self, records: Sequence[Outgoing]) -> None:
        sent = [each.topic.removeprefix("rag.") for each in records]
        if any(self._refuses(topic) for topic in sent):
            raise FatalError("the broker refuses")
        self.events += sent


def runner_of(connector: Connector, log: Any, **said: Any) -> Runner:
    """Return a runner of one source whose cursor and producer are the log."""
    return Runner(
        settings=Settings(),
        connector=connector,
        cursors=log,
        blobs=FakeBlobStore(),
        producer=log,
        tenant=ACME,
        source=FILES,
        **said,
    )
