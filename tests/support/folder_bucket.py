"""obstore's store of a folder as a source of the connectors' suite."""

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import yaml

from connectors.objects.connector import ObjectsConnector
from headwater.clients.listed_objects import ObstoreObjects
from headwater.clients.objects import open_objects
from headwater.errors import RetryableError
from headwater.ports.objects import ListedObject
from headwater.sources.objects import RULES_KEY, ObjectsSettings
from schemas.ids import KnowledgeBaseId
from tests.support.troubles import CREDENTIALS


class CountingObjects(ObstoreObjects):
    """obstore, with a hook before an object is read, and listings that break."""

    def __init__(self, folder: Path) -> None:
        url = f"file:{folder}"
        super().__init__(
            open_objects(url, {}, setting="url", options_setting="options"), url=url, options_setting="options"
        )
        self.reads: list[str] = []
        self.acts: dict[str, Callable[[], None]] = {}
        self.breaks = self.empty = self.repeats = False

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        async for page in super().pages(prefix):
            if not self.empty:
                yield page[:2] if self.breaks else page
                if self.repeats:
                    yield page
            if self.breaks:
                raise RetryableError("broken on purpose")

    async def read(self, listed: ListedObject) -> AsyncIterator[bytes]:
        self.reads.append(listed.key)
        self.acts.pop(listed.key, lambda: None)()
        async for piece in super().read(listed):
            yield piece


class FolderBucketSource:
    """Implements SourceHarness on obstore's store of a folder."""

    lacks: Final = {CREDENTIALS: "a folder asks for none; its listing can break"}

    def __init__(self, folder: Path) -> None:
        self.folder, self.objects = folder, CountingObjects(folder)
        self.shares: dict[str, tuple[str, ...]] = {}
        self._ahead = timedelta()
        self.repeat_items = lambda: setattr(self.objects, "repeats", True)
        self.break_listing = lambda: setattr(self.objects, "breaks", True)
        self.empty_listing = lambda: setattr(self.objects, "empty", True)

    @property
    def downloads(self) -> int:
        return sum(not key.startswith(".headwater") for key in self.objects.reads)

    def connector(self) -> ObjectsConnector:
        settings = ObjectsSettings(url=f"file:{self.folder}")
        return ObjectsConnector(objects=self.objects, settings=settings, knowledge_base=KnowledgeBaseId("files"))

    def put(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)
        if self._ahead:
            self._date(name, time.time() + self._ahead.total_seconds())

    def put_late(self, name: str, text: str) -> None:
        self.put(name, text)
        self._date(name, (self.folder / name).stat().st_mtime - 86_400)

    def set_clock(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def _date(self, name: str, at_s: float) -> None:
        os.utime(self.folder / name, (at_s, at_s))

    def rename(self, old: str, new: str) -> None:
        (self.folder / old).rename(self.folder / new)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink()

    def share(self, name: str, readers: Sequence[str]) -> None:
        self.shares[name] = tuple(readers)
        prefixes = {each: {"readers": list(its)} for each, its in self.shares.items()}
        self.put(RULES_KEY, yaml.safe_dump({"prefixes": prefixes}))

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        self.objects.acts[name] = act

    def mend(self) -> None:
        self.objects.breaks = self.objects.empty = False

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.md")]
        return {name: ((self.folder / name).read_text(), self.shares.get(name, ())) for name in names}

    def name_of(self, external_id: str) -> str:
        return external_id
