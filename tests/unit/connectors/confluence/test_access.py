"""Who an account is, which clauses a content gets, and what is asked again: without a site."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.confluence.access import PermissionsUnknownError, Readers, Restrictions, space_group
from connectors.confluence.cursor import GROUP, Held, group_state, held_contents, held_groups
from connectors.confluence.judging import Judge
from connectors.confluence.rest import Content, GroupRef, Parent, Subjects, User, Version
from headwater.errors import PoisonError
from headwater.sources.confluence import ConfluenceSettings
from schemas.events.directory import Group
from schemas.events.documents import NOBODY
from schemas.ids import Principal, SourceId
from tests.support.confluence import SPACE


class Asked:
    """A site that tells restrictions and contents, and notes what it was asked for."""

    def __init__(self) -> None:
        self.restrictions: dict[str, Subjects] = {}
        self.contents: dict[str, Content | PoisonError] = {}
        self.asked: list[str] = []

    async def restriction(self, content_id: str) -> Subjects:
        self.asked.append(content_id)
        return self.restrictions.get(content_id, Subjects())

    async def parent(self, _content_id: str, _kind: str) -> Parent | None:
        return None

    async def content(self, content_id: str) -> Content | None:
        self.asked.append(content_id)
        found = self.contents.get(content_id)
        if isinstance(found, PoisonError):
            raise found
        return found


def readers(**settings: Any) -> Readers:
    chosen = ConfluenceSettings.model_validate({"url": "https://wiki.test/", "by_username": True, **settings})
    return Readers(source=SourceId("wiki"), settings=chosen)


def named(*users: str) -> Subjects:
    return Subjects.model_validate({"user": {"results": [{"username": user} for user in users]}})


def content(content_id: str, *above: str, kind: str = "page", home: str = "", told: Subjects | None = None) -> Content:
    return Content.model_validate(
        {
            "id": content_id,
            "type": kind,
            "space": {"key": SPACE},
            "version": {"number": 1, "when": datetime(2026, 3, 2, tzinfo=UTC)},
            "ancestors": [{"id": each} for each in above],
            "restrictions": None if told is None else {"read": {"restrictions": told}},
            "container": {"id": home} if home else None,
        }
    )


@pytest.mark.parametrize(
    ("account", "settings", "principal"),
    [
        (User(username="ann"), {}, "user:ann"),
        (User(username="ann"), {"by_username": False}, None),
        (User(username="ann lee"), {}, None),
        (User(user_key="k1", username="ann"), {"users": "{k1: lee}"}, "user:lee"),
        (User(account_id="a1", email="ann@example.org"), {}, "user:ann@example.org"),
        (User(account_id="a1", email="ann@example.org"), {"by_email": False}, None),
        (User(account_id="a1", email="ann@example.org"), {"users": "{a1: lee}"}, "user:lee"),
        (User(username=""), {}, None),
    ],
)
def test_an_account_is_a_user_of_the_directory_or_nobody(
    account: User, settings: dict[str, Any], principal: str | None
) -> None:
    assert readers(**settings).user(account) == principal


def test_a_restriction_that_comes_twice_is_one_clause_and_one_to_strangers_closes() -> None:
    space, board = readers().access(SPACE, [named("ann", "bob"), named("bob", "ann")]).clauses
    assert (space.principals, board.principals) == (("group:wiki:space:ENG",), ("user:ann", "user:bob"))
    assert readers(by_username=False).access(SPACE, [named("ann")]) == NOBODY


def test_more_clauses_than_a_rule_may_have_are_not_cut_off() -> None:
    with pytest.raises(PermissionsUnknownError, match="clauses"):
        readers().access(SPACE, [named(f"user{number}") for number in range(40)])


def test_keys_of_spaces_and_names_of_groups_become_ids_that_principals_may_have() -> None:
    assert (space_group("~ann"), space_group("A B/ü")) == ("space:~ann", "space:A%20B%2F%C3%BC")
    assert GroupRef(name="all staff").group_id == "group:all%20staff"


@pytest.mark.parametrize(
    ("number", "second", "same"), [(7, 5, True), (3, 5, True), (8, 5, False), (7, 6, False), (3, 6, False)]
)
def test_a_version_is_known_by_its_time_and_two_of_one_second_by_their_numbers(
    number: int, second: int, *, same: bool
) -> None:
    held = Held(version=7, facts="f", access="a", made_ms=5000)
    told = Version(number=number, when=datetime.fromtimestamp(second, UTC))
    assert held.is_of(told) is same
    assert replace(held, made_ms=0).is_of(told) is (number == 7)


async def test_a_restriction_is_asked_for_once_unless_it_is_not_told_any_more() -> None:
    site = Asked()
    site.restrictions = {"top": named("ann"), "page": named("bob")}
    restrictions = Restrictions(site)  # type: ignore[arg-type]  # all that is asked of a site
    told = content("page", "top", told=named("lee"))
    assert await restrictions.above_and_of(told) == [named("ann"), named("lee")]
    assert await restrictions.above_and_of(told) == [named("ann"), named("lee")]
    assert site.asked == ["top"]
    assert await restrictions.above_and_of(content("page", "top")) == [named("ann"), named("bob")]
    assert await restrictions.above_and_of(content("page", "top", told=Subjects())) == [named("ann")]
    assert site.asked == ["top", "page"]


async def test_parts_are_their_pages_readers_and_their_pages_are_looked_at_once() -> None:
    site = Asked()
    judge = Judge(site, readers())  # type: ignore[arg-type]  # all that is asked of a site
    site.contents["page"] = content("page", told=named("ann"))
    site.contents["comment"] = content("comment", kind="comment", home="page")
    reply = await judge.judged(content("reply", kind="comment", home="comment"))
    assert reply is not None
    assert [clause.principals for clause in reply.access.clauses] == [("group:wiki:space:ENG",), ("user:ann",)]
    assert site.asked == ["comment", "page"]
    file = await judge.judged(content("file", kind="attachment", home="page"))
    same = await judge.judged(content("other", told=named("ann")))
    assert file is reply is same
    assert site.asked == ["comment", "page"]


async def test_parts_of_what_is_gone_are_gone_and_of_what_cannot_be_read_nobodys() -> None:
    site = Asked()
    judge = Judge(site, readers())  # type: ignore[arg-type]  # all that is asked of a site
    site.contents["hidden"] = PoisonError("no")
    assert await judge.judged(content("1", kind="comment", home="gone")) is None
    assert await judge.judged(content("2", kind="comment")) is None
    found = await judge.judged(content("3", kind="comment", home="hidden"))
    assert found is not None
    assert (found.access, str(found.error)) == (NOBODY, "what 3 belongs to cannot be read: no")
    site.contents["ring"] = content("ring", kind="comment", home="ring")
    assert await judge.judged(content("4", kind="comment", home="ring")) is None


def test_what_is_held_is_read_back_and_a_part_of_another_form_counts_as_nothing() -> None:
    held = Held(version=7, facts="f", access="a")
    noted = Held(version=7, facts="f", access="a", place="p", made_ms=12)
    assert held_contents({"c/1": b"7 f a", "listed": b"8 f a", "c/2": b""}) == {"1": b"7 f a", "2": b""}
    assert (held.encoded(), noted.encoded()) == (b"7 f a", b"7 f a p 12")
    assert [Held.of(each.encoded()) for each in (held, noted)] == [held, noted]
    assert Held.of(b"9") == Held(version=9, facts="", access="")
    assert [Held.of(other) for other in (b"x f a", b"", None)] == [None, None, None]


def test_a_group_differs_by_its_name_its_members_and_what_it_is_at_its_site() -> None:
    ref = GroupRef(name="staff", id="id-1")
    group = Group(name="staff", members=(Principal("user:ann"),))
    states = {
        group_state(group, ref),
        group_state(Group(name="staff", members=()), ref),
        group_state(Group(name="all", members=group.members), ref),
        group_state(group, GroupRef(name="staff")),
    }
    assert len(states) == 4
    assert held_groups({GROUP + "g": group_state(group, ref), "c/1": b"1 f a"}) == {"g": ref}
