"""A source behind a reader: our small one, started as a program, and a file that is what it reads."""

import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

from connectors.airbyte.connector import AirbyteConnector
from connectors.airbyte.reader import Reader
from connectors.protocol import Connector, Cursor, Observed, SourceChange, Unnoted, Upserted
from headwater.settings import ReaderProgram
from headwater.sources.airbyte import AirbyteSettings
from schemas.ids import KnowledgeBaseId
from tests.support.troubles import DATES_BACK

PROGRAM: Final = ReaderProgram(
    # Without packages and site: an interpreter that starts in a few hundredths of a second.
    command=(sys.executable, "-I", "-S", str(Path(__file__).with_name("airbyte_reader.py"))),
    line_bytes=64 * 1024,
    run_timeout_s=60.0,
    silence_timeout_s=60.0,
)
TOKEN: Final = "t0p-secret/token"
STREAM: Final = {"id": "id", "text": "body", "title": "name", "deleted": "gone"}


def reader(config: dict[str, Any], program: ReaderProgram = PROGRAM) -> Reader:
    return Reader(name="wiki", program=program, config=config, secrets=(TOKEN,))


@dataclass(slots=True)
class ReaderSource:
    """Implements SourceHarness: an item is an entry of the reader's world, its id its name."""

    folder: Path
    mode: Literal["full", "incremental"] = "full"
    downloads: int = 0
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    shares: dict[str, tuple[str, ...]] = field(default_factory=dict)
    breaks_after: int | None = None
    repeats: bool = False
    ahead_s: float = 0.0
    expired: bool = False
    _acts: dict[str, Callable[[], None]] = field(default_factory=dict)
    _catalog: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # of the program, not of what it reads
    _aside: dict[str, dict[str, Any]] | None = None
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def connector(self) -> "Counting":
        settings = AirbyteSettings.model_validate(
            {
                "reader": "wiki",
                "streams": {"pages": {**STREAM, "mode": self.mode}},
                "access": {"prefixes": {f"pages/{name}": {"readers": each} for name, each in self.shares.items()}},
            }
        )
        config = {"world": str(self.write()), "credentials": {"token": TOKEN}}
        whole = AirbyteConnector(
            reader=reader(config), settings=settings, knowledge_base=KnowledgeBaseId("wiki"), _catalog=self._catalog
        )
        return Counting(self, whole)

    def write(self) -> Path:
        """Write the world as the reader finds it: it lists first, and then reads what it has listed."""
        listed, in_mid_sync = dict(self.items), bool(self._acts)
        for name, act in list(self._acts.items()):
            del self._acts[name]
            act()
            # What is gone between the two has no text any more; as files have whose parser failed.
            listed[name] = self.items.get(name, {**listed[name], "body": None})
        path = self.folder / "world.json"
        items = [] if self._aside is not None else list(listed.values())
        world = {
            "items": items,
            "token": TOKEN,
            "breaks_after": self.breaks_after,
            "repeats": self.repeats,
            "ahead_s": self.ahead_s,
            "refuses_after": None if not self.expired else 4 if in_mid_sync else 0,
        }
        path.write_text(json.dumps(world))
        return path

    @property
    def lacks(self) -> Mapping[str, str]:
        return {DATES_BACK: "what is new is for the reader to say: its state is given back to it as it was"}

    def repeat_items(self) -> None:
        self.repeats = True

    def set_clock(self, ahead: timedelta) -> None:
        self.ahead_s = ahead.total_seconds()

    def expire(self) -> None:
        self.expired = True

    def renew(self) -> None:
        self.expired = False

    def put(self, name: str, text: str) -> None:
        self.items[name] = {"id": name, "name": name.upper(), "body": text, "number": next(self._numbers)}

    def rename(self, old: str, new: str) -> None:
        text = self.items[old]["body"]
        self.delete(old)
        self.put(new, text)

    def delete(self, name: str) -> None:
        if self.mode == "full":
            del self.items[name]
        else:
            self.items[name] = {"id": name, "gone": "2026-03-02", "number": next(self._numbers)}

    def share(self, name: str, readers: Sequence[str]) -> None:
        self.shares[name] = tuple(readers)

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        self._acts[name] = act

    def break_listing(self) -> None:
        self.breaks_after = 2

    def empty_listing(self) -> None:
        self._aside = self.items

    def mend(self) -> None:
        self.breaks_after = self._aside = None

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        there = {name: item for name, item in self.items.items() if not item.get("gone")}
        return {name: (item["body"], self.shares.get(name, ())) for name, item in there.items()}

    def name_of(self, external_id: str) -> str:
        return external_id.removeprefix("pages/")


@dataclass(frozen=True, slots=True)
class Counting(Connector):
    """A connector whose contents are counted when they are opened."""

    source: ReaderSource
    whole: AirbyteConnector

    async def check(self) -> None:
        await self.whole.check()

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        async for change in self.whole.changes(since):
            yield self._counted(change)

    def unknown(self, unnoted: Unnoted, since: Cursor) -> Mapping[str, bytes | None]:
        return self.whole.unknown(unnoted, since)

    def _counted(self, change: Observed) -> Observed:
        if not isinstance(change, SourceChange) or not isinstance(change.what, Upserted):
            return change
        opened = change.what.content

        async def content() -> AsyncIterator[bytes]:
            self.source.downloads += 1
            if opened is not None:
                async for piece in opened():
                    yield piece

        return replace(change, what=replace(change.what, content=content))
