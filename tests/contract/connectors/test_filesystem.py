"""The suite on a folder tree. An item is a folder of its own, for access is a folder's."""

import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.rules import RULE_FILE
from schemas.ids import KnowledgeBaseId
from tests.contract.connectors.contract import ConnectorContract
from tests.support.sources import SourceHarness
from tests.support.troubles import CREDENTIALS, REPEATS

_open, _scandir = Path.open, os.scandir


class FolderSource:
    """Implements SourceHarness on a folder; the clock is its server's, as of one over NFS."""

    lacks: Final = {
        REPEATS: "a folder has no pages, and is read into one set of names",
        CREDENTIALS: "a folder asks for none; a right that is taken away is a listing that breaks",
    }

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.downloads = root, 0
        self._shares: dict[str, tuple[str, ...]] = {}
        self._acts: dict[Path, Callable[[], None]] = {}
        self._broken_after: int | None = None
        self._aside = root.with_name("aside")
        self._ahead = timedelta()
        patch.setattr(Path, "open", self._opened())
        patch.setattr(os, "scandir", self._scanned)

    def connector(self) -> FilesystemConnector:
        return FilesystemConnector(root=self.root, knowledge_base=KnowledgeBaseId("files"))

    def put(self, name: str, text: str) -> None:
        self._path(name).parent.mkdir(parents=True, exist_ok=True)
        self._path(name).write_text(text)
        if self._ahead:
            self._date(name, time.time_ns() + int(self._ahead.total_seconds() * 1e9))

    def put_late(self, name: str, text: str) -> None:
        before = self._path(name).stat().st_mtime_ns
        self.put(name, text)
        self._date(name, before - 1_000_000_000)

    def set_clock(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def _date(self, name: str, at_ns: int) -> None:
        os.utime(self._path(name), ns=(at_ns, at_ns))

    def rename(self, old: str, new: str) -> None:
        self._path(new).parent.mkdir(parents=True, exist_ok=True)
        self._path(old).rename(self._path(new))

    def delete(self, name: str) -> None:
        self._path(name).unlink()

    def share(self, name: str, readers: Sequence[str]) -> None:
        self._shares[name] = tuple(readers)
        self._path(name).parent.mkdir(parents=True, exist_ok=True)
        self._path(name).with_name(RULE_FILE).write_text(yaml.safe_dump({"readers": list(readers)}))

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        self._acts[self._path(name)] = act

    def break_listing(self) -> None:
        self._broken_after = 2

    def empty_listing(self) -> None:
        self.root.rename(self._aside)
        self.root.mkdir()

    def mend(self) -> None:
        self._broken_after = None
        if self._aside.exists():
            self.root.rmdir()
            self._aside.rename(self.root)

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        names = [self.name_of(path.relative_to(self.root).as_posix()) for path in self.root.rglob("doc.md")]
        return {name: (self._path(name).read_text(), self._shares.get(name, ())) for name in names}

    def name_of(self, external_id: str) -> str:
        return f"{external_id.removesuffix('/doc.md')}.md"

    def _path(self, name: str) -> Path:
        return self.root / name.removesuffix(".md") / "doc.md"

    def _opened(self) -> Callable[..., Any]:
        source = self

        def opened(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if path.name == "doc.md" and mode == "rb":
                source.downloads += 1
                source._acts.pop(path, lambda: None)()
            return _open(path, mode, *rest, **named)

        return opened

    def _scanned(self, path: Any = ".") -> Any:
        if self._broken_after is not None and self.root in Path(path).parents:
            self._broken_after -= 1
            if self._broken_after < 0:
                raise PermissionError(13, "Permission denied", str(path))
        return _scandir(path)


class TestFilesystem(ConnectorContract):
    @pytest.fixture
    def source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceHarness:
        root = tmp_path / "tree"
        root.mkdir()
        return FolderSource(root, monkeypatch)
