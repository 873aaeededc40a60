"""A source of the directory that a connector worker syncs: added, synced, edited and shown by the commands."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.demo.stage import wait_until
from tests.support.folders import pages_in
from tests.support.library import READER, Library
from tests.support.platform import CONNECT, Platform

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PAGES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A folder, and the library that a worker fills from it."""

    root: Path
    library: Library

    def command(self, *arguments: str) -> str:
        """Run `headwater`; it must succeed."""
        done = self.library.platform.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def connected(platform: Platform, tmp_path: Path) -> Iterator[Connected]:
    """A worker that may read below the test's folder."""
    name = f"source-{uuid4().hex[:10]}"
    platform.directory((f"users/{READER}", {"name": READER}))
    root = pages_in(tmp_path / "tree", PAGES)
    roots = json.dumps([str(tmp_path)])
    with platform.child(*CONNECT, "worker", log="connectors", HEADWATER_CONNECTORS__FILESYSTEM_ROOTS=roots):
        yield Connected(root=root, library=Library(platform=platform, name=name))


def test_a_source_is_added_synced_edited_and_shown(connected: Connected) -> None:
    library, name = connected.library, connected.library.name
    setting = f"root={connected.root}"
    connected.command("sources", "add", name, "--kind", "filesystem", "--knowledge-base", name, "--setting", setting)
    assert library.tested()["passed"]
    connected.command("sync", name)
    first = library.sync_ended()
    assert (first["ending"], first["upserted"], first["failures"]) == ("completed", PAGES, 0)
    wait_until("a page to be found", lambda: "page-003.md" in library.found("Page 3", mode="keyword"))

    (connected.root / "page-003.md").write_text("# The anchorage")
    (connected.root / "page-004.md").unlink()
    connected.command("sources", "sync", name)
    second = library.sync_ended(after=first["started_at"])
    assert (second["upserted"], second["deleted"]) == (1, 1)
    wait_until("the edit to be found", lambda: library.found("anchorage", mode="keyword") == {"page-003.md"})

    connected.command("sources", "sync", name, "--mode", "full")
    assert library.sync_ended(after=second["started_at"])["ending"] == "nothing_new"
    shown = json.loads(connected.command("sources", "show", name, "--json"))
    assert (shown["record"]["kind"], shown["sync"]["ending"]) == ("filesystem", "nothing_new")
    assert name in connected.command("sources", "list")

    since = {"since": first["started_at"]}
    undone = library.platform.admin.call("POST", f"/directory/sources/{name}/undo", json=since)
    assert (undone["dry_run"], undone["restored"], undone["lost"], undone["cursor"]) == (True, 1, [], None)

    since_then = ("sources", "undo", name, "--since", first["started_at"].partition("+")[0].removesuffix("Z"))
    once = {"restored": 1, "kept": 0, "lost": []}
    assert json.loads(connected.command(*since_then, "--dry-run", "--json")) == once | {"dry_run": True}
    assert "page-004.md" not in library.found("Page 4", mode="keyword")
    assert json.loads(connected.command(*since_then, "--json")) == once | {"dry_run": False}
    wait_until("the page to be back", lambda: "page-004.md" in library.found("Page 4", mode="keyword"))
