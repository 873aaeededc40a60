"""Who may read: what the server decides for each account is what the mirrored groups say, and doubt closes."""

import random

import pytest

from tests.support.github_source import USERS, OrganisationSource
from tests.support.github_state import Repo
from tests.support.sources import Follower, resolved


def readers(follower: Follower, repo: Repo) -> tuple[str, ...]:
    return resolved([f"group:github:repo:{repo.id}"], follower.groups)


async def mirror(source: OrganisationSource, follower: Follower) -> None:
    await follower.submit(source.connector().permissions(dict(follower.cursor)))


@pytest.mark.parametrize("seed", range(3))
async def test_each_account_reads_what_the_server_lets_it_read(
    source: OrganisationSource, follower: Follower, seed: int
) -> None:
    chance, state = random.Random(seed), source.state
    logins = [*USERS, "stranger", "ghost"]
    outer = state.add_team("outer", set(chance.sample(logins, 2)))
    inner = state.add_team("inner", set(chance.sample(logins, 2)), parent=outer.id)
    state.members = {login: chance.choice(["member", "admin"]) for login in chance.sample(logins, 3)}
    for number in range(8):
        visibility = chance.choice(["private", "private", "internal", "public"])
        repo = state.add_repo(f"r{number}", visibility=visibility, direct=set(chance.sample(logins, 1)))
        repo.teams = {team.id for team in chance.sample([outer, inner], chance.randint(0, 2))}
    for base in ("none", "read", "none"):
        state.base_permission = base
        await mirror(source, follower)
        for repo in state.repos.values():
            assert readers(follower, repo) == source.readers(repo)
        outer.members ^= {"ann-hub"}
        del state.teams[next(iter(state.teams))]
        state.members.popitem()
    assert follower.documents == {}


async def test_a_public_repository_is_for_members_unless_it_is_said(
    source: OrganisationSource, follower: Follower
) -> None:
    source.settings["public"] = "members"
    repo = source.state.add_repo("open", visibility="public")
    source.state.members = {"bob-hub": "member"}
    await mirror(source, follower)
    assert readers(follower, repo) == ("user:bob",)
    source.settings["public"] = "everyone"
    await mirror(source, follower)
    assert readers(follower, repo) == ("everyone",)
    repo.visibility = "private"
    await mirror(source, follower)
    assert readers(follower, repo) == ()


@pytest.mark.parametrize(
    ("visibility", "public", "found"),
    [
        ("private", "everyone", ("user:ann",)),
        ("internal", "everyone", ("user:ann",)),  # such a server says that it is private, and no more
        ("public", "members", ("user:ann", "user:bob")),  # public there is for who has signed in, not for everybody
        ("public", "everyone", ("everyone",)),
    ],
)
async def test_a_server_that_tells_no_visibility_opens_what_the_source_says(
    source: OrganisationSource, follower: Follower, visibility: str, public: str, found: tuple[str, ...]
) -> None:
    source.settings["public"], source.state.tells_visibility = public, False
    source.state.members = {"bob-hub": "member"}
    repo = source.state.add_repo("code", visibility=visibility, direct={"ann-hub"})
    await mirror(source, follower)
    assert readers(follower, repo) == found


@pytest.mark.parametrize("path", ["collaborators", "repos/acme/code/teams"])
async def test_where_readers_cannot_be_read_nobody_is_let_in(
    source: OrganisationSource, follower: Follower, path: str
) -> None:
    source.state.members = {"bob-hub": "admin"}
    repo = source.state.add_repo("code", direct={"ann-hub"})
    repo.put("a.md", b"text\n")
    await follower.follow()
    assert readers(follower, repo) == ("user:ann", "user:bob")
    source.server.refused = {path: 403}
    repo.direct.add("lea-hub")
    repo.teams = set(source.state.teams)
    await follower.follow()
    assert readers(follower, repo) == ()
    assert "Until then it has no members" in str(follower.failed[f"repo:{repo.id}"])
    source.server.refused = {}
    await follower.follow()
    assert follower.view() == source.truth()


@pytest.mark.parametrize("status", [403, 404])
async def test_teams_that_cannot_be_listed_are_closed(
    source: OrganisationSource, follower: Follower, status: int
) -> None:
    repo = source.state.add_repo("code", direct={"ann-hub"}, teams=set(source.state.teams))
    await mirror(source, follower)
    assert readers(follower, repo) == ("user:ann", "user:lea")
    source.server.refused = {"orgs/acme/teams$": status}
    await mirror(source, follower)
    assert not [each for each in follower.groups if each.startswith("team:")]


async def test_base_permission_that_is_not_told_opens_nothing(source: OrganisationSource, follower: Follower) -> None:
    source.state.base_permission = "read"
    source.state.members = {"bob-hub": "member"}
    repo = source.state.add_repo("code")
    source.server.refused = {"orgs/acme$": 403}
    await mirror(source, follower)
    assert readers(follower, repo) == ()


async def test_an_outage_closes_nothing(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code", direct={"ann-hub"})
    await mirror(source, follower)
    source.server.refused = {"collaborators": 500}
    with pytest.raises(Exception, match="500"):
        await mirror(source, follower)
    assert readers(follower, repo) == ("user:ann",)


async def test_an_account_is_known_by_its_number_first(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code", direct={"ann-hub", "Bob-Hub"})
    number = str(source.state.account("ann-hub")["id"])
    source.settings["users"] = {number: "anna", "ann-hub": "another", "bob-hub": "bob"}
    await mirror(source, follower)
    assert readers(follower, repo) == ("user:anna", "user:bob")


async def test_a_page_that_was_full_hides_nobody(source: OrganisationSource, follower: Follower) -> None:
    """Pages of three: the fourth collaborator shows on a page that was empty before."""
    repo = source.state.add_repo("code", direct={"a1", "a2", "a3"})
    await mirror(source, follower)
    repo.direct.add("lea-hub")
    await mirror(source, follower)
    assert readers(follower, repo) == ("user:lea",)


async def test_without_etags_readers_are_read_each_time(source: OrganisationSource, follower: Follower) -> None:
    source.server.tells_etags = False
    repo = source.state.add_repo("code", direct={"ann-hub", "bob-hub"}, teams=set(source.state.teams))
    await mirror(source, follower)
    repo.direct.remove("bob-hub")
    source.state.teams[next(iter(repo.teams))].members.clear()
    await mirror(source, follower)
    assert readers(follower, repo) == ("user:ann",)


async def test_who_is_who_is_said_anew_and_nobody_else_changed(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code", direct={"ann-hub"})
    await mirror(source, follower)
    source.settings["users"] = {"ann-hub": "anna"}
    await mirror(source, follower)
    assert readers(follower, repo) == ("user:anna",)
    repo.visibility, source.state.members = "internal", {"ann-hub": "member"}
    await mirror(source, follower)
    assert f"group:github:members:{source.state.organisation_id}" in follower.groups[f"repo:{repo.id}"]
    repo.visibility = "private"  # the listings of collaborators and teams stay what they were
    await mirror(source, follower)
    assert follower.groups[f"repo:{repo.id}"] == (
        f"group:github:owners:{source.state.organisation_id}",
        "user:anna",
    )


async def test_a_collaborator_who_may_not_pull_is_no_reader(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("code", direct={"ann-hub", "bob-hub"})
    repo.barred.add("bob-hub")
    await mirror(source, follower)
    assert readers(follower, repo) == source.readers(repo) == ("user:ann",)


async def test_a_delivery_that_names_a_repository_has_its_readers_read_anew(
    source: OrganisationSource, follower: Follower
) -> None:
    repo = source.state.add_repo("code", direct={"ann-hub", "bob-hub"})
    await follower.follow()
    repo.direct.remove("ann-hub")
    await follower.submit(source.connector().items([f"repo:{repo.id}"], dict(follower.cursor)))
    assert readers(follower, repo) == ("user:bob",)


async def test_a_repository_of_a_user_is_for_its_collaborators(source: OrganisationSource, follower: Follower) -> None:
    repo = source.state.add_repo("dots", owner="lea-hub", direct={"ann-hub"})
    repo.put("a.md", b"text\n")
    del source.settings["organisation"]
    source.settings["repositories"] = "[lea-hub/dots]"
    await follower.follow()
    assert readers(follower, repo) == ("user:ann", "user:lea")
    assert len(follower.documents) == 1
