"""Wikis: the pages of the newest commit, read by git, for those who may read the repository."""

import json

import pytest

from connectors.github.git import GitRefusedError
from connectors.github.webhooks import work_of_delivery
from connectors.github.wikis import NoWikiError, WikiTooLargeError
from connectors.protocol import Deleted, ItemFailed, Observed, Patched, SourceChange, Upserted
from headwater.clients.egress.errors import ForbiddenError, SourceAwayError
from headwater.errors import PoisonError, UnauthorisedError
from headwater.sources.github import GithubSettings
from tests.support.github_answers import Answer
from tests.support.github_source import OrganisationSource
from tests.support.github_state import Repo
from tests.support.sources import Follower


@pytest.fixture
def repo(source: OrganisationSource) -> Repo:
    source.settings["wikis"] = True
    return source.state.add_repo("code")


def asked(source: OrganisationSource) -> list[str]:
    """Return what git was asked for since the last call."""
    found = [
        "ls-refs" if b"ls-refs" in each else "files" if b"blob:none" in each else "content"
        for each in source.server.asked_of_git
    ]
    source.server.asked_of_git.clear()
    return found


async def test_pages_are_documents_only_where_they_are_wanted(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code")
    repo.put("a.md", b"text\n")
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    assert follower.view() == source.truth()
    assert asked(source) == []
    source.settings["wikis"] = "true"
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/wiki/Home.md"]
    assert follower.view() == source.truth()
    source.settings["wikis"] = False
    assert [type(each.what) for each in await follower.follow()] == [Deleted]
    assert follower.view() == source.truth()


async def test_what_changed_is_read_and_nothing_else(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    pages = {f"Page-{number}.md": f"Text {number}\n".encode() for number in range(5)}
    repo.wiki.commit({**pages, "deep/er/Page.rst": b"Deep\n", "_Sidebar.md": b"All\n", "x.png": b"\x89PNG"})
    await follower.follow()
    assert follower.view() == source.truth()
    assert len(follower.documents) == 6
    assert asked(source) == ["ls-refs", "files", *["content"] * 6]
    repo.wiki.put("Page-1.md", b"Edited\n")
    repo.wiki.move("Page-2.md", "Moved.md")
    repo.wiki.remove("Page-3.md")
    changes = await follower.follow()
    assert sorted((each.external_id.rpartition("/")[2], type(each.what).__name__) for each in changes) == [
        ("Moved.md", "Upserted"),
        ("Page-1.md", "Upserted"),
        ("Page-2.md", "Deleted"),
        ("Page-3.md", "Deleted"),
    ]
    assert asked(source) == ["ls-refs", "files", "content", "content"]
    assert follower.view() == source.truth()


async def test_nothing_new_costs_one_request(source: OrganisationSource, follower: Follower, repo: Repo) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    asked(source)
    assert await follower.follow() == []
    assert asked(source) == ["ls-refs"]
    repo.wiki.put("x.png", b"\x89PNG")  # a commit that touches no page is remembered too
    assert await follower.follow() == []
    assert asked(source) == ["ls-refs", "files"]
    assert await follower.follow() == []
    assert asked(source) == ["ls-refs"]


async def test_a_page_says_what_github_shows_of_it(source: OrganisationSource, repo: Repo) -> None:
    pages = ["Home.md", "guides/Getting-Started.mediawiki", "What?-100%.MKD", "table.csv"]
    repo.wiki.commit(dict.fromkeys(pages, b"text\n"))
    found = {}
    async for each in source.connector().changes({}):
        if isinstance(each, SourceChange) and isinstance(each.what, Upserted):
            found[each.external_id.removeprefix(f"repo:{repo.id}/wiki/")] = each.what.state
    said = {
        path: (state.title, (state.url or "").rpartition("/code/")[2], state.media_type)
        for path, state in found.items()
    }
    assert said == {
        "Home.md": ("Home", "wiki/Home", "text/markdown"),
        "guides/Getting-Started.mediawiki": ("Getting Started", "wiki/Getting-Started", None),
        "What?-100%.MKD": ("What? 100%", "wiki/What%3F-100%25", "text/markdown"),
        "table.csv": ("table.csv", "wiki/table.csv", None),
    }
    assert found["guides/Getting-Started.mediawiki"].attributes == {
        "repository": "acme/code",
        "kind": "wiki",
        "page": "guides/Getting-Started.mediawiki",
    }


async def test_a_wiki_that_was_never_written_is_no_error(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.put("a.md", b"text\n")
    await follower.follow()
    assert not follower.failed
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    assert follower.view() == source.truth()
    repo.wiki.remove("Home.md")  # the last page: its commit says so
    assert [type(each.what) for each in await follower.follow()] == [Deleted]


@pytest.mark.parametrize("empty", [False, True])
async def test_a_wiki_that_git_does_not_show_any_more_is_kept_and_told(
    source: OrganisationSource, follower: Follower, repo: Repo, empty: bool
) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    known = repo.wiki.head
    if empty:
        repo.wiki.head = None
    else:
        repo.wiki.is_written = False
    for looks in (source.connector().changes, source.connector().everything):
        found = [each async for each in looks(dict(follower.cursor))]
        assert [type(each.error) for each in found if isinstance(each, ItemFailed)] == [NoWikiError]
        assert _deleted(found) == []
    repo.wiki.head, repo.wiki.is_written = known, True
    assert await follower.follow() == []
    assert not follower.failed


@pytest.mark.parametrize("named", ["", "wiki", "wiki/Home.md"])
async def test_a_wiki_that_is_switched_off_goes_and_comes_back(
    source: OrganisationSource, follower: Follower, repo: Repo, named: str
) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    repo.has_wiki = False
    asked(source)
    looks, since = source.connector(), dict(follower.cursor)
    looked = looks.items([f"repo:{repo.id}/{named}"], since) if named else looks.changes(since)
    assert [type(each.what) for each in await follower.submit(looked)] == [Deleted]
    assert asked(source) == []
    assert await follower.follow() == []
    repo.has_wiki = True
    assert [type(each.what) for each in await follower.follow()] == [Upserted]
    assert follower.view() == source.truth()


async def test_a_renamed_repository_reads_no_page_again(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    asked(source)
    source.state.rename(repo, "renamed")
    changes = await follower.follow()
    assert [each.what.patch.url for each in changes if isinstance(each.what, Patched)] == [
        "https://github.test/acme/renamed/wiki/Home"
    ]
    assert asked(source) == ["ls-refs", "files"]


async def test_a_repository_that_goes_takes_its_wiki_along(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.state.add_repo("other").put("a.md", b"text\n")
    repo.wiki.commit({"Home.md": b"Welcome\n", "More.md": b"More\n"})
    await follower.follow()
    del source.state.repos[repo.id]
    assert [type(each.what) for each in await follower.follow()] == [Deleted, Deleted]
    assert follower.view() == source.truth()
    assert not any(f":{repo.id}" in name for name in follower.cursor)


async def test_a_delivery_names_the_wiki_and_it_is_looked_at(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.put("a.md", b"text\n")
    repo.wiki.commit({"Home.md": b"Welcome\n", "More.md": b"More\n", "Old.md": b"Old\n"})
    payload = {"pages": [{"page_name": "Home", "action": "edited"}], "repository": {"id": repo.id}}
    named = work_of_delivery({"X-GitHub-Event": "gollum"}, json.dumps(payload).encode()).items
    assert named == {f"repo:{repo.id}/wiki"}
    assert len(await follower.submit(source.connector().items(named, {}))) == 3
    repo.wiki.commit({"Home.md": b"Edited\n", "More.md": b"Edited\n"})
    page = [f"repo:{repo.id}/wiki/{name}" for name in ("Home.md", "Old.md", "None.md")]
    changes = await follower.submit(source.connector().items(page, dict(follower.cursor)))
    assert [(each.external_id, type(each.what)) for each in changes] == [(page[0], Upserted), (page[1], Deleted)]
    await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert follower.documents[f"repo:{repo.id}/wiki/More.md"].text == "Edited\n"
    await follower.follow()
    assert follower.view() == source.truth()


async def test_what_is_told_of_several_pages_at_once_is_told_once(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.wiki.commit({"Home.md": b"Welcome\n", "More.md": b"More\n", "Old.md": b"Old\n"})
    await follower.follow()
    repo.wiki.commit({"Home.md": b"Edited\n"})
    named = [f"repo:{repo.id}/wiki/{name}" for name in ("Home.md", "More.md", "Old.md")]
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert [type(each.what) for each in changes] == [Upserted, Deleted, Deleted]
    assert await follower.submit(source.connector().items(named, dict(follower.cursor))) == []
    assert follower.view() == source.truth()


async def test_a_page_above_the_limit_is_reported_once_and_stops_no_other(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.settings["max_bytes"] = 1000
    repo.wiki.commit({"Bomb.md": b"0" * 1_000_000, "Home.md": b"Welcome\n"})
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/wiki/Home.md"]
    assert [str(error) for error in follower.failed.values()] == ["wiki/Bomb.md: more than 1000 bytes; raise max_bytes"]
    await follower.follow()
    assert not follower.failed


async def test_a_wiki_above_the_limit_is_reported_with_the_setting(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.put("a.md", b"text\n")
    repo.wiki.commit({f"Page-{number}.md": b"text\n" for number in range(50)})
    source.settings["wiki_listing_bytes"] = 500
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/file/a.md"]
    (error,) = follower.failed.values()
    assert isinstance(error, WikiTooLargeError)
    assert str(error).endswith("raise wiki_listing_bytes")
    source.settings["wiki_listing_bytes"] = 5000
    await follower.follow()
    assert follower.view() == source.truth()


async def test_a_page_that_is_gone_when_it_is_read_is_found_by_the_next_look(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")
    follower.batch = 1

    def force(path: str) -> None:
        if path.endswith("git-upload-pack") and len(source.server.asked_of_git) == 2:  # head and files were told
            repo.wiki.commit({"Home.md": b"Forced\n"}, forced=True)
            repo.wiki.forget()
            source.server.on_answer = None

    source.server.on_answer = force
    assert await follower.follow() == []
    assert [*follower.failed] == [f"repo:{repo.id}/wiki/Home.md"]
    await follower.follow()
    assert follower.view() == source.truth()


async def test_a_page_that_could_not_be_read_is_read_by_the_next_whole_look(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.wiki.commit({"Home.md": b"Welcome\n", "More.md": b"More\n"})
    calls = 0

    def refuse_the_first_content(path: str) -> None:
        nonlocal calls
        calls += path.endswith("git-upload-pack")
        source.server.refused = {"wiki.git": 403} if calls == 3 else {}  # head and files were told

    source.server.on_answer = refuse_the_first_content
    assert [each.external_id for each in await follower.follow()] == [f"repo:{repo.id}/wiki/More.md"]
    await follower.follow()
    assert follower.view() == source.truth()


@pytest.mark.parametrize(("status", "error"), [(403, ForbiddenError), (200, GitRefusedError)])
async def test_a_wiki_that_cannot_be_read_is_told_and_deletes_nothing(
    source: OrganisationSource, follower: Follower, repo: Repo, status: int, error: type[PoisonError]
) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")
    await follower.follow()
    repo.put("a.md", b"text\n")
    source.server.refused = {"wiki.git": status}  # 200: with something that is not git's
    found = [each async for each in source.connector().everything(dict(follower.cursor))]
    assert [type(each.error) for each in found if isinstance(each, ItemFailed)] == [error]
    assert [each.external_id for each in found if isinstance(each, SourceChange)] == [f"repo:{repo.id}/file/a.md"]


async def test_limits_are_waited_for_and_outages_and_refusals_end_the_pass(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.wiki.put("Home.md", b"Welcome\n")

    def limited(path: str) -> None:
        if path.endswith("git-upload-pack"):
            source.server.answers = [Answer(status=429, headers={"Retry-After": "20"})]
            source.server.on_answer = None

    source.server.on_answer = limited
    before = source.clock.now()
    await follower.follow()
    assert (source.clock.now() - before).total_seconds() >= 20
    assert follower.view() == source.truth()
    for status, error in ((503, SourceAwayError), (401, UnauthorisedError)):
        source.server.refused = {"wiki.git": status}
        with pytest.raises(error):
            await follower.follow()
    assert follower.deleted == []


async def test_a_private_wiki_is_read_as_the_installation_whose_tokens_end(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    repo.wiki.commit({f"Page-{number}.md": b"text\n" for number in range(4)})
    source.become_app()
    source.server.app.requests_a_token = 3
    await follower.follow()
    assert follower.view() == source.truth()
    assert source.server.app.given > 3


async def test_the_check_names_the_right_that_is_missing(source: OrganisationSource, repo: Repo) -> None:
    await source.connector().check()  # nobody wrote a page yet
    repo.wiki.put("Home.md", b"Welcome\n")
    await source.connector().check()
    source.server.refused = {"wiki.git": 403}
    with pytest.raises(UnauthorisedError, match=r"secrets.token: lacks the right to read contents, of the wiki"):
        await source.connector().check()
    repo.has_wiki = False
    await source.connector().check()


@pytest.mark.parametrize(
    ("url", "git"),
    [
        ("https://api.github.com/", "https://github.com/"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com/"),
        ("https://hub.test/api/v3/", "https://hub.test/"),
        ("https://api.hub.test:8443/api/v3", "https://api.hub.test:8443/"),
    ],
)
def test_repositories_are_cloned_beside_the_api(url: str, git: str) -> None:
    assert GithubSettings(organisation="acme", url=url).git_url == git


def _deleted(found: list[Observed]) -> list[str]:
    return [each.external_id for each in found if isinstance(each, SourceChange) and isinstance(each.what, Deleted)]
