"""Files of a default branch: what each kind of change costs, and what it leaves."""

from typing import Any

import pytest

from connectors.protocol import Deleted, Patched, SourceChange, Upserted
from tests.support.github_source import OrganisationSource
from tests.support.github_state import FILE, LINK, SUBMODULE, Repo, blob_sha
from tests.support.sources import Follower


def filled(source: OrganisationSource, count: int = 5) -> Repo:
    repo = source.state.add_repo("code")
    for number in range(count):
        repo.put(f"docs/{number}.md", f"text {number}\n".encode())
    return repo


def asked(source: OrganisationSource, since: int) -> list[str]:
    """Return what was asked for of the repository's git, without the commits' names."""
    found = [each.split("?")[0] for each in source.server.requests[since:]]
    return [
        each.split("/")[3 if "/git/" not in each else 4] for each in found if each.count("/") > 3 and "code/" in each
    ]


async def test_nothing_new_costs_no_content_and_no_rate_limit(source: OrganisationSource, follower: Follower) -> None:
    for number in range(4):
        source.state.add_repo(f"r{number}").put("a.md", b"text\n")
    for _ in range(2):  # the second notes what the first looks of issues were recognised by
        await follower.follow()
    before, unmodified = len(source.server.requests), source.server.not_modified
    assert await follower.follow() == []
    assert not follower.failed
    requests = len(source.server.requests) - before
    # Two pages of repositories, the organisation, its teams; members, owners, one team; then six a repository.
    assert requests == 2 + 1 + 1 + 3 + 6 * 4
    assert source.server.not_modified - unmodified == requests - 4


async def test_an_edit_costs_one_comparison_and_one_content(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    before, downloads = len(source.server.requests), source.downloads
    repo.put("docs/1.md", b"edited\n")
    changes = await follower.follow()
    assert [type(each.what) for each in changes] == [Upserted]
    assert source.downloads == downloads + 1
    assert "compare" in asked(source, before)
    assert "trees" not in asked(source, before)
    assert follower.view() == source.truth()


async def test_a_renamed_repository_keeps_its_documents(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source, count=3)
    source.state.new_issue(repo, "Title", "Body")
    await follower.follow()
    downloads = source.downloads
    source.state.rename(repo, "renamed")
    changes = await follower.follow()
    assert {type(each.what) for each in changes} == {Patched}
    assert len(changes) == 4
    urls = {each.what.patch.url for each in changes if isinstance(each.what, Patched)}
    assert "https://github.test/acme/renamed/blob/main/docs/1.md" in urls
    assert source.downloads == downloads
    assert await follower.follow() == []


@pytest.mark.parametrize("collected", [True, False])
async def test_a_force_push_is_read_from_the_tree(
    source: OrganisationSource, follower: Follower, *, collected: bool
) -> None:
    repo = filled(source)
    await follower.follow()
    repo.put("docs/2.md", b"rewritten\n", forced=True)
    repo.commit({path: entry for path, entry in repo.tree().items() if path != "docs/4.md"}, forced=True)
    if collected:
        repo.forget()
    before = len(source.server.requests)
    assert [type(each.what) for each in await follower.follow()] == [Upserted, Deleted]
    assert "trees" in asked(source, before)
    assert follower.view() == source.truth()


async def test_more_files_than_a_comparison_tells_are_read_from_the_tree(
    source: OrganisationSource, follower: Follower
) -> None:
    source.server.compared_files = 10
    repo = filled(source)
    await follower.follow()
    text, before = b"many\n", len(source.server.requests)
    repo.blobs[blob_sha(text)] = text
    repo.commit({**repo.tree(), **{f"many/{number}.md": (FILE, blob_sha(text)) for number in range(11)}})
    assert len(await follower.follow()) == 11
    assert "trees" in asked(source, before)
    assert follower.view() == source.truth()


async def test_a_truncated_tree_is_walked_by_its_folders(source: OrganisationSource, follower: Follower) -> None:
    source.server.tree_entries = 2
    repo = source.state.add_repo("code")
    for path in ("a/b/c.md", "a/b/d.md", "a/b/e.md", "a.md", "a-b.md", "z.md", "a/x.md"):
        repo.put(path, path.encode())
    await follower.follow()
    assert follower.view() == source.truth()
    repo.remove("a/b/d.md")
    await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert follower.view() == source.truth()


async def test_a_folder_that_is_told_in_part_deletes_nothing(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code")
    for path in ("a.md", "b/c.md", "b/d.md", "b/e.md"):
        repo.put(path, path.encode())
    await follower.follow()
    source.server.tree_entries = source.server.folder_entries = 2
    repo.remove("a.md")
    await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert follower.deleted == []
    assert "nothing is deleted" in str(follower.failed[f"repo:{repo.id}"])
    source.server.folder_entries = 1000
    await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert follower.view() == source.truth()


async def test_links_and_submodules_are_no_documents(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    repo.put("link.md", b"docs/1.md", mode=LINK)
    repo.commit({**repo.tree(), "module.md": (SUBMODULE, "1" * 40)})
    repo.put("short.md", b"one line without an end")
    repo.put("docs/3.md", b"docs/1.md", mode=LINK)
    changes = await follower.follow()
    assert sorted(each.external_id.split("/", 2)[2] for each in changes) == ["docs/3.md", "short.md"]
    assert follower.view() == source.truth()
    await follower.submit(source.connector().everything(dict(follower.cursor)))
    assert follower.view() == source.truth()


@pytest.mark.parametrize("named", [False, True])
async def test_a_file_of_megabytes_that_is_no_text_arrives_whole(
    source: OrganisationSource, follower: Follower, *, named: bool
) -> None:
    """A comparison tells no lines of it."""
    repo = filled(source)
    repo.put("docs/1.md", b"%PDF-1.7 " * 200_000)
    await follower.follow()
    edited = b"%PDF-2.0 " * 200_000
    repo.put("docs/1.md", edited)
    repo.put("new/2.md", edited)
    connector, since = source.connector(), dict(follower.cursor)
    files = [f"repo:{repo.id}/file/{path}" for path in ("docs/1.md", "new/2.md")]
    before = len(source.server.requests)
    changes = await follower.submit(connector.items(files, since) if named else connector.changes(since))
    assert [type(each.what) for each in changes] == [Upserted, Upserted]
    assert not follower.failed
    assert asked(source, before).count("trees") == 3  # the root, and each folder once
    assert follower.view() == source.truth()


async def test_what_cannot_be_told_of_a_path_deletes_nothing(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    source.server.refused = {"git/trees": 404}  # a right that was lost looks like a path that is gone
    files = [f"repo:{repo.id}/file/docs/1.md"]
    assert await follower.submit(source.connector().items(files, dict(follower.cursor))) == []
    assert follower.failed
    repo.put("docs/1.md", b"\0no text")
    assert await follower.follow() == []
    source.server.refused = {}
    assert [type(each.what) for each in await follower.follow()] == [Upserted]
    assert follower.view() == source.truth()


async def test_a_large_file_is_reported_and_holds_up_nothing(source: OrganisationSource, follower: Follower) -> None:
    source.settings["max_bytes"] = 100
    repo = filled(source)
    repo.put("big.md", b"x" * 101)
    await follower.follow()
    assert source.downloads == 5  # its size was told
    assert [each.split("/")[-1] for each in follower.failed] == ["big.md"]
    repo.put("bigger.md", b"line\n" * 21)
    await follower.follow()
    assert [each.split("/")[-1] for each in follower.failed] == ["bigger.md"]
    repo.put("docs/1.md", b"edited\n")
    assert len(await follower.follow()) == 1
    follower.failed.clear()
    assert await follower.follow() == []
    assert not follower.failed  # said once, for its content is still the same


async def test_a_content_that_cannot_be_read_is_tried_again(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    repo.put("docs/1.md", b"edited\n")
    source.server.refused = {f"git/blobs/{repo.tree()['docs/1.md'][1]}": 404}
    repo.put("docs/2.md", b"edited too\n")
    for _ in range(2):
        await follower.follow()
        assert [each.split("/")[-1] for each in follower.failed] == ["1.md"]
    source.server.refused = {}
    assert [each.external_id.split("/")[-1] for each in await follower.follow()] == ["1.md"]
    assert follower.view() == source.truth()
    assert await follower.follow() == []


async def test_globs_and_names_that_cannot_be_read(source: OrganisationSource, follower: Follower) -> None:
    source.settings["exclude"] = "[docs/2.md]"
    repo = filled(source)
    repo.put("logo.PNG", b"\0")
    await follower.follow()
    assert sorted(each.split("/", 2)[2] for each in follower.documents) == [f"docs/{n}.md" for n in (0, 1, 3, 4)]
    names = [f"repo:{repo.id}/file/{path}" for path in ("docs/2.md", "logo.PNG")]
    changes = await follower.submit(source.connector().items(names, dict(follower.cursor)))
    assert {type(each.what) for each in changes} == {Deleted}
    source.settings["exclude"] = "['docs/*']"
    await follower.follow()
    assert not follower.documents


@pytest.mark.parametrize(
    ("setting", "before", "after"), [("max_bytes", 10, 100), ("include", "[docs/1.md]", "[docs/*]")]
)
async def test_a_wider_setting_reads_what_was_left_out(
    source: OrganisationSource, follower: Follower, setting: str, before: Any, after: Any
) -> None:
    source.settings[setting] = before
    filled(source).put("docs/large.md", b"text of more than ten bytes\n")
    await follower.follow()
    assert follower.view() != source.truth()
    source.settings[setting] = after  # and nothing else has happened
    await follower.follow()
    assert follower.view() == source.truth()


async def test_a_commit_without_documents_is_compared_once(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    repo.put("logo.png", b"\0")
    assert await follower.follow() == []
    before = len(source.server.requests)
    assert await follower.follow() == []
    assert "compare" not in asked(source, before)


async def test_a_branch_that_is_not_there_deletes_nothing(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    repo.head = None
    await follower.follow()
    assert [str(error) for error in follower.failed.values()] == [
        "acme/code: its default branch is not there; nothing is deleted"
    ]
    assert len(follower.documents) == 5


async def test_one_file_is_looked_at_alone(source: OrganisationSource, follower: Follower) -> None:
    repo = filled(source)
    await follower.follow()
    repo.put("docs/1.md", b"edited\n")
    repo.remove("docs/2.md")
    repo.put("docs/3.md", b"edited too\n")
    named = {f"repo:{repo.id}/file/docs/{number}.md" for number in (1, 2)} | {"repo:7/file/x", "nonsense"}
    named |= {f"repo:{repo.id}/file/docs/0.md/x", f"repo:{repo.id}/file/docs"}  # below a file, and a folder
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert {each.external_id[-4:]: type(each.what) for each in changes} == {
        "1.md": Upserted,
        "2.md": Deleted,
        "md/x": Deleted,
        "docs": Deleted,
    }
    await follower.follow()
    assert follower.view() == source.truth()


async def test_a_repository_that_is_gone_takes_its_documents_along(
    source: OrganisationSource, follower: Follower
) -> None:
    repo, other = filled(source), source.state.add_repo("other")
    other.put("a.md", b"stays\n")
    source.state.new_issue(repo, "Title", "Body")
    await follower.follow()
    source.state.rename(repo, "code", owner="globex")  # transferred to somebody else
    changes = await follower.follow(at_most=3)
    assert f"repo:{repo.id}" not in follower.groups
    changes += await follower.follow()
    assert all(isinstance(each, SourceChange) and isinstance(each.what, Deleted) for each in changes)
    assert len(changes) == 6
    assert follower.view() == source.truth()
    assert not [part for part in follower.cursor if str(repo.id) in part]
