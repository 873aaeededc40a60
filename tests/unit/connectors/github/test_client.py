"""Limits, outages, expired tokens, and what GitHub really answered once."""

import json
from typing import Any

import pytest

from connectors.github.models import Account, Issue, Organisation, Reference, Repository, ShapeError, read_as
from connectors.protocol import Deleted
from headwater.clients.egress.errors import RateLimitedError, SourceAwayError
from headwater.errors import SourceGoneError, UnauthorisedError
from tests.support.corpora import corpus
from tests.support.github_answers import SECONDARY_LIMIT, Answer, primary_limit
from tests.support.github_source import OrganisationSource
from tests.support.sources import Follower


async def test_limits_and_short_outages_are_waited_for(source: OrganisationSource, follower: Follower) -> None:
    source.state.add_repo("code").put("a.md", b"text\n")
    source.server.answers = [primary_limit(200), SECONDARY_LIMIT, Answer(status=502), Answer(status=503)]
    await follower.follow()
    assert follower.view() == source.truth()
    assert sum(source.clock.waits) > 220
    assert not source.server.answers


async def test_a_long_limit_ends_the_pass_and_the_next_goes_on(source: OrganisationSource, follower: Follower) -> None:
    for number in range(4):
        source.state.add_repo(f"r{number}").put("a.md", b"text\n")
    await follower.follow(at_most=2)
    source.server.answers = [primary_limit(3000)]
    with pytest.raises(RateLimitedError):
        await follower.follow()
    source.clock.passed_s += 4000
    assert len(await follower.follow()) == 2
    assert follower.view() == source.truth()


async def test_an_outage_ends_the_pass(source: OrganisationSource, follower: Follower) -> None:
    source.server.refused = {"repos": 500}
    with pytest.raises(SourceAwayError):
        await follower.follow()


@pytest.mark.parametrize(
    ("refused", "error", "named"),
    [
        ({"orgs/acme$": 404}, SourceGoneError, r"settings\.organisation: acme"),
        ({"orgs/acme$": 401}, UnauthorisedError, r"secrets\.token"),
        ({"orgs/acme$": 403}, UnauthorisedError, "authorise it for the organisation"),
        ({"acme/docs/collaborators": 403}, UnauthorisedError, "to list collaborators: .*, of acme/docs; give it"),
        ({"issues$": 403}, UnauthorisedError, "to read issues .*, of acme/code"),
        ({"git/ref": 403}, UnauthorisedError, "to read contents, of acme/code"),
        (
            {"orgs/acme/members": 403},
            UnauthorisedError,
            r"to list members of an organisation: members .*, of acme; give",
        ),
        ({"orgs/acme/teams": 403}, UnauthorisedError, r"to list teams of an organisation: members .*, of acme; give"),
        ({"acme/code/teams": 404}, UnauthorisedError, "to list a repository's teams: .*, of acme/code"),
        ({"pulls/comments": 403}, UnauthorisedError, "to read pull requests, of acme/code"),
        ({"releases": 404}, UnauthorisedError, "to read releases: .*, of acme/code"),
        ({"graphql": 403}, UnauthorisedError, "to read discussions, of acme/code"),
        ({"wiki.git": 403}, UnauthorisedError, "to read contents, of the wiki of acme/code"),
        (
            {"orgs/acme/members": 403, "docs/collaborators": 403, "pulls": 403, "releases": 403},
            UnauthorisedError,
            "list collaborators: .*acme/docs; the right to list members.*, of acme; .* to read pull.* to read rel",
        ),
    ],
)
async def test_all_that_is_missing_is_named(
    source: OrganisationSource, refused: dict[str, int], error: type[Exception], named: str
) -> None:
    source.settings |= {"releases": True, "discussions": True, "wikis": True}
    for name in ("code", "docs"):
        source.state.add_repo(name).put("a.md", b"text\n")
    await source.connector().check()
    source.server.refused = refused
    with pytest.raises(error, match=named):
        await source.connector().check()


async def test_what_is_switched_off_is_not_asked_for(source: OrganisationSource) -> None:
    source.settings |= {"issues": False, "public": "everyone"}
    source.state.add_repo("code", visibility="public").put("a.md", b"text\n")
    source.server.refused = {"issues|pulls|releases|graphql|wiki|collaborators": 403}
    await source.connector().check()


async def test_a_sync_begins_though_a_part_cannot_be_read(source: OrganisationSource, follower: Follower) -> None:
    source.settings["releases"] = True
    source.state.add_repo("code").put("a.md", b"text\n")
    source.server.refused = {"members|releases|pulls": 403}
    await source.connector().ready()
    source.server.refused = {"collaborators": 403, "git/ref": 403}
    with pytest.raises(UnauthorisedError, match=r"to list collaborators: .*; the right to read contents, of acme/code"):
        await source.connector().ready()


async def test_a_repository_of_a_list_that_is_not_there_is_named(
    source: OrganisationSource, follower: Follower
) -> None:
    del source.settings["organisation"]
    repo = source.state.add_repo("code")
    repo.put("a.md", b"text\n")
    source.settings["repositories"] = "[acme/code, acme/none]"
    await follower.follow()
    assert list(follower.failed) == ["acme/none"]
    assert follower.view() == source.truth()
    source.state.rename(repo, "renamed")  # the list still leads to it
    await follower.follow()
    assert follower.view() == source.truth()
    repo.put("b.md", b"text\n")
    named = [f"repo:{repo.id}", f"repo:{source.state.add_repo('other').id}"]
    assert len(await follower.submit(source.connector().items(named, dict(follower.cursor)))) == 1
    assert follower.view() == {each: said for each, said in source.truth().items() if f"repo:{repo.id}/" in each}
    with pytest.raises(SourceGoneError, match=r"settings\.repositories: acme/none: not there"):
        await source.connector().check()
    source.server.refused = {"collaborators": 403}
    with pytest.raises(UnauthorisedError, match=r"to list collaborators.*settings\.repositories: acme/none: not there"):
        await source.connector().check()
    source.settings["repositories"] = "[acme/none]"
    with pytest.raises(SourceGoneError, match=r"settings\.repositories: acme/none"):
        await source.connector().check()


@pytest.mark.parametrize("by_name", [True, False])
async def test_what_is_archived_goes_where_it_is_not_wanted(
    source: OrganisationSource, follower: Follower, *, by_name: bool
) -> None:
    source.settings["archived"] = "false"
    code, docs = source.state.add_repo("code"), source.state.add_repo("docs")
    for repo in (code, docs):
        repo.put("a.md", b"text\n")
    await follower.follow()
    code.archived = True
    connector, since = source.connector(), dict(follower.cursor)
    changes = await follower.submit(
        connector.items([f"repo:{code.id}"], since) if by_name else connector.changes(since)
    )
    assert [(each.external_id, type(each.what)) for each in changes] == [(f"repo:{code.id}/file/a.md", Deleted)]
    assert f"repo:{code.id}" not in follower.groups
    assert await follower.follow() == []


async def test_another_repository_is_not_read_because_somebody_names_it(
    source: OrganisationSource, follower: Follower
) -> None:
    source.state.add_repo("code").put("a.md", b"text\n")
    await follower.follow()
    other = source.state.add_repo("code", owner="globex", visibility="public")
    other.put("a.md", b"text\n")
    named = [f"repo:{other.id}", f"repo:{other.id}/file/a.md"]
    assert await follower.submit(source.connector().items(named, dict(follower.cursor))) == []
    assert f"repo:{other.id}" not in follower.groups


async def test_a_repository_that_is_neither_listed_nor_told_is_closed_and_not_deleted(
    source: OrganisationSource, follower: Follower
) -> None:
    code, docs = source.state.add_repo("code"), source.state.add_repo("docs")
    for repo in (code, docs):
        repo.put("a.md", b"text\n")
    await follower.follow()
    source.state.rename(code, "code", owner="globex")
    source.server.refused = {"repositories/": 403}
    assert await follower.follow() == []
    assert follower.failed.keys() == {f"repo:{code.id}"}
    assert f"repo:{code.id}" not in follower.groups
    source.server.refused = {}
    assert [type(each.what) for each in await follower.follow()] == [Deleted]


async def test_a_name_of_a_list_that_cannot_be_read_deletes_nothing(
    source: OrganisationSource, follower: Follower
) -> None:
    del source.settings["organisation"]
    source.settings["repositories"] = "[acme/code, acme/docs]"
    code, docs = source.state.add_repo("code"), source.state.add_repo("docs")
    for repo in (code, docs):
        repo.put("a.md", b"text\n")
    source.state.rename(code, "renamed")  # the list leads to it by the name that it had
    await follower.follow()
    source.server.refused = {"acme/code$": 403}
    for found in (source.connector().changes, lambda since: source.connector().items([f"repo:{code.id}"], since)):
        follower.failed.clear()
        assert await follower.submit(found(dict(follower.cursor))) == []
        assert len(follower.failed) == 1
    assert f"repo:{code.id}" not in follower.groups  # and nobody reads it meanwhile
    source.server.refused = {}
    assert await follower.follow() == []
    assert follower.view() == source.truth()


@pytest.mark.data
@pytest.mark.parametrize(
    ("recorded", "path", "form"),
    [
        ("get-repository", "/repos/octokit-fixture-org/hello-world", Repository),
        ("get-organization", "/orgs/octokit-fixture-org", Organisation),
        ("rename-repository", "/repositories/515436299", Repository),
        ("paginate-issues", "/issues?", tuple[Issue, ...]),
        ("add-and-remove-repository-collaborator", "/collaborators", tuple[Account, ...]),
        ("git-refs", "/git/refs/", tuple[Reference, ...]),
    ],
)
def test_what_was_recorded_is_read(recorded: str, path: str, form: Any) -> None:
    folder = corpus("api/github-octokit") / "api.github.com" / recorded
    exchanges = json.loads((folder / "raw-fixture.json").read_text())
    answers = [each["response"] for each in exchanges if each["method"] == "get" and each["status"] == 200]
    paths = [each["path"] for each in exchanges if each["method"] == "get" and each["status"] == 200]
    found = [
        read_as(form, json.dumps(body).encode()) for body, asked in zip(answers, paths, strict=True) if path in asked
    ]
    assert found
    if form is Repository:
        assert found[0].seen_by == "public"


@pytest.mark.parametrize(
    ("private", "visibility", "seen_by"),
    [
        (True, None, "private"),
        (False, None, "public"),
        (False, "public", "public"),
        (True, "internal", "internal"),
        (True, "public", "private"),
        (True, "of a later day", "private"),
        (False, "of a later day", "private"),
        (False, "private", "private"),
    ],
)
def test_in_doubt_a_repository_is_private(private: bool, visibility: str | None, seen_by: str) -> None:
    owner = {"id": 1, "login": "acme", "type": "Organization"}
    told = {"id": 2, "full_name": "acme/code", "owner": owner, "html_url": "x", "private": private}
    assert read_as(Repository, json.dumps(told | {"visibility": visibility}).encode()).seen_by == seen_by


def test_another_shape_is_named() -> None:
    with pytest.raises(ShapeError, match="full_name"):
        read_as(Repository, b'{"id": 1}')
