"""A runner's surroundings in memory: a cursor, and who takes what is sent."""

from collections.abc import Mapping, Sequence

from connectors.cursors import CursorStore
from headwater.clients.kafka.records import Outgoing
from schemas.codec import decode
from schemas.events.documents import DocumentSubmitted


class FakeCursors(CursorStore):
    """A cursor in memory."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    async def load(self) -> dict[str, bytes]:
        return dict(self.parts)

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
