"""A part of the handbook's real history: pages as they were, and every edit of them since, oldest first."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALL = 8_000  # characters; larger pages cost embedding time and show little more


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one page."""

    op: str  # A added, M modified, D deleted, R renamed and perhaps modified
    path: str
    content: str | None
    moved_from: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Pages and their edits."""

    base: dict[str, str]
    edits: tuple[Edit, ...]

    def head(self) -> dict[str, str]:
        """Return the pages as they are after the last edit."""
        pages = dict(self.base)
        for edit in self.edits:
            for gone in _gone(edit):
                pages.pop(gone, None)
            if edit.content is not None:
                pages[edit.path] = edit.content
        return pages

    def paths(self) -> set[str]:
        """Return every path that there ever was."""
        return self.base.keys() | {edit.path for edit in self.edits}


def read_history(folder: Path, *, pages: int) -> History:
    """Take `pages` pages: what was deleted or renamed, then small ones, then large ones; often edited ones first."""
    base = {record["path"]: record["content"] for record in _records(folder / "base.jsonl")}
    events = list(_records(folder / "events.jsonl"))
    moved = [path for event in events if event["op"] in "DR" for path in (event["path"], event.get("from")) if path]
    times = Counter(event["path"] for event in events)
    others = sorted(base.keys() | times, key=lambda path: (len(base.get(path, "")) > SMALL, -times[path], path))
    chosen = set(list(dict.fromkeys([*moved, *others]))[:pages])
    return History(
        base={path: content for path, content in base.items() if path in chosen},
        edits=tuple(
            Edit(op=event["op"], path=event["path"], content=event.get("content"), moved_from=event.get("from"))
            for event in events
            if event["path"] in chosen
        ),
    )


def write_pages(root: Path, pages: dict[str, str]) -> None:
    """Write pages below a folder, byte by byte as they are, and each at once, as editors do."""
    for path, content in pages.items():
        page = root / path
        page.parent.mkdir(parents=True, exist_ok=True)
        draft = page.with_name(f".{page.name}.draft")
        draft.write_bytes(content.encode())
        draft.replace(page)


def replay(root: Path, edits: Sequence[Edit]) -> None:
    """Do to the files what the edits did to the pages."""
    for edit in edits:
        for gone in _gone(edit):
            (root / gone).unlink(missing_ok=True)
        if edit.content is not None:
            write_pages(root, {edit.path: edit.content})


def _gone(edit: Edit) -> Iterator[str]:
    if edit.op == "D":
        yield edit.path
    if edit.moved_from is not None:
        yield edit.moved_from


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        yield from map(json.loads, lines)
