"""The filesystem connector against a real folder."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from connectors.cursors import without_marks
from connectors.filesystem.connector import FilesystemConnector, FileUnreadableError
from connectors.protocol import Deleted, ItemFailed, Left, Observed, Patched, SourceChange, Upserted
from headwater.errors import RetryableError, SourceGoneError, UnauthorisedError
from schemas.events.documents import NOBODY
from schemas.ids import KnowledgeBaseId


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    write(root / ".headwater.yaml", "readers: [everyone]")
    write(root / "a.md", "alpha")
    write(root / "hr" / "pay.md", "money")
    return root


@pytest.fixture
def connector(root: Path) -> FilesystemConnector:
    return FilesystemConnector(root=root, knowledge_base=KnowledgeBaseId("handbook"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def changes(connector: FilesystemConnector, cursor: dict[str, bytes]) -> dict[str, SourceChange]:
    """One pass; notes the cursor as the runner would."""
    found = {}
    async for change in connector.changes(cursor):
        assert isinstance(change, SourceChange)
        found[change.external_id] = change
        note(change, cursor)
    return found


def note(change: SourceChange, cursor: dict[str, bytes]) -> None:
    for part, state in change.cursor.items():
        if state is None:
            cursor.pop(part, None)
        else:
            cursor[part] = state


async def content(change: SourceChange) -> bytes:
    assert isinstance(change.what, Upserted)
    assert change.what.content is not None
    return b"".join([piece async for piece in change.what.content()])


def kinds(found: dict[str, SourceChange]) -> dict[str, type]:
    return {name: type(change.what) for name, change in found.items()}


async def test_the_first_pass_yields_every_file_with_its_content(connector: FilesystemConnector) -> None:
    found = await changes(connector, {})
    assert kinds(found) == {"a.md": Upserted, "hr/pay.md": Upserted}
    assert await content(found["hr/pay.md"]) == b"money"


async def test_a_pass_tells_what_it_has_left_of_what_is_held(
    root: Path, connector: FilesystemConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor: dict[str, bytes] = {}
    assert {change.left for change in (await changes(connector, cursor)).values()} == {None}
    for name in ("a.md", "b.md", "hr/pay.md"):
        write(root / name, "edited")
    left = [change.left for change in (await changes(connector, cursor)).values()]
    assert left == [Left(items=1, of=2), Left(items=1, of=2), None]  # b.md is new
    monkeypatch.setattr("connectors.filesystem.connector.ITEMS_BETWEEN_YIELDS", 1)
    nothing_new = [told async for told in connector.changes(cursor)]
    assert nothing_new == [Left(items=2, of=3), Left(items=1, of=3)]


async def test_nothing_unchanged_is_read_again(connector: FilesystemConnector) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    assert await changes(connector, cursor) == {}


async def test_an_edit_a_rename_and_a_deletion_are_seen(connector: FilesystemConnector, root: Path) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    write(root / "a.md", "alpha, edited")
    (root / "hr" / "pay.md").rename(root / "hr" / "salary.md")
    assert kinds(await changes(connector, cursor)) == {"a.md": Upserted, "hr/pay.md": Deleted, "hr/salary.md": Upserted}
    assert await changes(connector, cursor) == {}


async def test_an_edit_that_restores_the_modification_time_is_seen(connector: FilesystemConnector, root: Path) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    before = (root / "a.md").stat()
    write(root / "a.md", "ALPHA")
    os.utime(root / "a.md", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kinds(await changes(connector, cursor)) == {"a.md": Upserted}


async def test_a_new_rule_changes_access_without_reading_content(connector: FilesystemConnector, root: Path) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    write(root / "hr" / ".headwater.yaml", "readers: ['group:hr:staff']\ndeny: ['user:bob']")
    found = await changes(connector, cursor)
    assert kinds(found) == {"hr/pay.md": Patched}
    what = found["hr/pay.md"].what
    assert isinstance(what, Patched)
    assert what.patch.access is not None
    assert [clause.principals for clause in what.patch.access.clauses] == [("everyone",), ("group:hr:staff",)]
    assert what.patch.access.deny == ("user:bob",)


async def test_without_a_rule_a_document_is_for_nobody(connector: FilesystemConnector, root: Path) -> None:
    (root / ".headwater.yaml").unlink()
    what = (await changes(connector, {}))["a.md"].what
    assert isinstance(what, Upserted)
    assert what.state.access == NOBODY


@pytest.mark.parametrize(
    "rule", ["readers: everyone", "readers: [alice]", "[", "readers: []", "reader: [everyone]", "- 1"]
)
async def test_a_broken_rule_closes_its_folder_and_is_reported(
    connector: FilesystemConnector, root: Path, rule: str
) -> None:
    write(root / "hr" / ".headwater.yaml", rule)
    found = [change async for change in connector.changes({})]
    failed = [change for change in found if isinstance(change, ItemFailed)]
    assert [change.external_id for change in failed] == ["hr"]
    assert ".headwater.yaml" in str(failed[0].error)
    (pay,) = [c for c in found if isinstance(c, SourceChange) and c.external_id == "hr/pay.md"]
    assert isinstance(pay.what, Upserted)
    assert pay.what.state.access == NOBODY


async def test_a_name_that_is_no_text_fails_alone(connector: FilesystemConnector, root: Path) -> None:
    """Neither a file nor a folder of that name ends the sync of the others."""
    write(root / os.fsdecode(b"caf\xe9.md"), "coffee")
    write(root / os.fsdecode(b"m\xfcll") / "below.md", "waste")
    found = [change async for change in connector.changes({})]
    failed = {each.external_id: str(each.error) for each in found if isinstance(each, ItemFailed)}
    assert failed == {
        "caf\ufffd.md": "caf\ufffd.md: the name is not UTF-8; rename it",
        "m\ufffdll": "m\ufffdll: the name is not UTF-8; rename it",
    }
    assert {each.external_id for each in found if isinstance(each, SourceChange)} == {"a.md", "hr/pay.md"}


async def test_names_with_the_runners_own_mark_are_held_and_deleted(connector: FilesystemConnector, root: Path) -> None:
    """The runner keeps parts of the cursor whose names begin with `!`, and gives connectors none of them."""
    write(root / "!first" / "read me.md", "loud")
    cursor: dict[str, bytes] = {}
    assert "!first/read me.md" in await changes(connector, cursor)
    cursor = dict(without_marks(cursor))
    assert await changes(connector, cursor) == {}
    (root / "!first" / "read me.md").unlink()
    assert kinds(await changes(connector, cursor)) == {"!first/read me.md": Deleted}


async def test_a_folder_of_which_only_names_are_told_deletes_nothing(
    connector: FilesystemConnector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    stat = Path.stat

    def denied(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent == root / "hr":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(RetryableError, match=r"hr/pay\.md: cannot be read .*grant the connector access"):
        await changes(connector, cursor)


async def test_links_and_hidden_files_are_passed_over(connector: FilesystemConnector, root: Path) -> None:
    (root / "secret.md").symlink_to("/etc/hostname")
    (root / "loop").symlink_to(root)
    write(root / ".git" / "config", "x")
    assert set(await changes(connector, {})) == {"a.md", "hr/pay.md"}


async def test_a_file_that_changes_before_it_is_read_whole_is_left_for_its_next_state(
    connector: FilesystemConnector, root: Path
) -> None:
    found = await changes(connector, {})
    write(root / "a.md", "")  # an editor empties a file before it writes it
    with pytest.raises(FileUnreadableError, match=r"a\.md: changed"):
        await content(found["a.md"])
    write(root / "a.md", "alpha, second state")
    again = await changes(connector, {})
    assert await content(again["a.md"]) == b"alpha, second state"


async def test_a_file_that_vanishes_before_it_is_read_fails_alone(connector: FilesystemConnector, root: Path) -> None:
    found = await changes(connector, {})
    (root / "a.md").unlink()
    with pytest.raises(FileUnreadableError, match=r"a\.md"):
        await content(found["a.md"])


async def test_versions_grow_though_file_times_go_back(connector: FilesystemConnector, root: Path) -> None:
    cursor: dict[str, bytes] = {}
    first = (await changes(connector, cursor))["a.md"]
    write(root / "a.md", "older")
    os.utime(root / "a.md", (1_000_000, 1_000_000))
    second = (await changes(connector, cursor))["a.md"]
    assert first.source_version is not None
    assert second.source_version is not None
    assert first.source_version < second.source_version


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    connector = FilesystemConnector(root=tmp_path / "gone", knowledge_base=KnowledgeBaseId("handbook"))
    with pytest.raises(SourceGoneError, match="gone: not a folder"):
        await connector.check()


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (errno.EACCES, UnauthorisedError, "its files cannot be listed .*: r and x"),
        (errno.ESTALE, RetryableError, "is it mounted"),
    ],
)
@pytest.mark.parametrize("refused", ["names", "files"])
async def test_a_folder_that_cannot_be_listed_is_named(
    connector: FilesystemConnector,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
    code: int,
    error: type[Exception],
    message: str,
) -> None:
    """Root may list every folder, so the kernel's answer is given here: of the names (r), or of what they name (x)."""
    write(root / "a.md", "text")
    await connector.check()

    def denied(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    entries = nullcontext([SimpleNamespace(stat=denied)])
    monkeypatch.setattr(os, "scandir", denied if refused == "names" else lambda _: entries)
    with pytest.raises(error, match=message):
        await connector.check()


async def next_change(live: AsyncIterator[Observed]) -> SourceChange:
    async with asyncio.timeout(20):
        change = await anext(live)
    assert isinstance(change, SourceChange)
    return change


@pytest.mark.parametrize(
    ("act", "external_id", "kind"),
    [
        (lambda root: write(root / "new" / "deep" / "b.md", "b"), "new/deep/b.md", Upserted),
        (lambda root: write(root / "a.md", "alpha 2"), "a.md", Upserted),
        (lambda root: (root / "a.md").unlink(), "a.md", Deleted),
        (lambda root: write(root / "hr" / ".headwater.yaml", "readers: ['group:hr:staff']"), "hr/pay.md", Patched),
    ],
)
async def test_changes_are_told_as_they_happen(
    connector: FilesystemConnector, root: Path, act: Callable[[Path], None], external_id: str, kind: type
) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    write(root / "hr" / "marker.md", "seen by the first comparison: from here on it is the watch that tells")
    async with aclosing(connector.live(cursor)) as live:  # type: ignore[type-var]  # an async generator, seen as an iterator
        assert (await next_change(live)).external_id == "hr/marker.md"
        act(root)
        change = await next_change(live)
        while change.external_id == "hr/marker.md":  # told twice, or touched by the same rule
            change = await next_change(live)
    assert (change.external_id, type(change.what)) == (external_id, kind)


async def test_a_folder_moved_away_takes_its_documents_along(connector: FilesystemConnector, root: Path) -> None:
    cursor: dict[str, bytes] = {}
    await changes(connector, cursor)
    async with aclosing(connector.live(cursor)) as live:  # type: ignore[type-var]  # as above
        waiting = asyncio.ensure_future(next_change(live))
        await asyncio.sleep(0)
        (root / "hr").rename(root.parent / "elsewhere")
        change = await waiting
    assert (change.external_id, type(change.what)) == ("hr/pay.md", Deleted)
