"""Whatever happens, no endpoint shows a passage that the caller may not read at that moment.

A random history of rules, nested groups, grants, revocations, deletions, edits, outages and lag; callers ask in
every way there is. The truth is computed here anew from the rules, not by the code under test.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, Group, User
from schemas.events.documents import NOBODY, Access, Clause
from schemas.ids import EVERYONE, DocumentId, Principal
from tests.support.answering import AnsweringApi, answering_api
from tests.support.api import ACME

T = TypeVar("T")
USERS = ("ann", "bob", "cyd")
GUEST = "cyd"
GROUPS = ("wiki:a", "wiki:b", "wiki:c")
NAMES = ("one.md", "two.md", "three.md")
PRINCIPALS = [Principal(f"user:{user}") for user in USERS] + [Principal(f"group:{group}") for group in GROUPS]

principals = st.sampled_from([*PRINCIPALS, EVERYONE])
clauses = st.lists(principals, min_size=1, max_size=3, unique=True).map(lambda found: Clause(principals=tuple(found)))
rules = st.builds(
    Access,
    clauses=st.lists(clauses, max_size=3).map(tuple),
    deny=st.lists(st.sampled_from(PRINCIPALS), max_size=1).map(tuple),
)
names = st.sampled_from(NAMES)
members = st.lists(st.sampled_from(PRINCIPALS), max_size=3, unique=True).map(tuple)


class Permissions(RuleBasedStateMachine):
    """One replica, three callers, three documents, three groups that may contain one another."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.access: dict[str, Access] = {}
        self.ids: dict[str, DocumentId] = {}
        self.groups: dict[str, tuple[Principal, ...]] = {}
        self.edits = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def start(self) -> None:
        self.replica: AnsweringApi = self.run(self.stack.enter_async_context(answering_api()))
        self.keys = {user: self.run(self.replica.api.key(user, guest=user == GUEST)) for user in USERS}

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    @rule(name=names, access=rules, stores=st.sampled_from([(Store.KEYWORDS,), (Store.VECTORS,), tuple(Store)]))
    def publish(self, name: str, access: Access, stores: tuple[Store, ...]) -> None:
        self.edits += 1
        text = f"secret-of-{name} edition {self.edits}"
        self.ids[name] = self.run(self.replica.publish(name, text, access=access, stores=stores))
        self.access[name] = access

    @rule(name=names, access=rules)
    def change_access(self, name: str, access: Access) -> None:
        if self.access.get(name) is not None:
            self.replica.revoke(self.ids[name], access)
            self.access[name] = access

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name in self.ids:
            self.replica.delete(self.ids[name])
            self.access[name] = NOBODY

    @rule(group=st.sampled_from(GROUPS), members=members)
    def set_members(self, group: str, members: tuple[Principal, ...]) -> None:
        self.groups[group] = members
        self.run(self.replica.api.put(DirectoryKind.GROUP, group, Group(name=group, members=members)))

    @rule(group=st.sampled_from(GROUPS))
    def delete_group(self, group: str) -> None:
        self.groups.pop(group, None)
        self.replica.api.directory.entries.pop((ACME, DirectoryKind.GROUP, group), None)

    @rule(user=st.sampled_from(USERS))
    def make_user_again(self, user: str) -> None:
        self.run(self.replica.api.put(DirectoryKind.USER, user, User(name=user, guest=user == GUEST)))

    @rule(part=st.sampled_from(["vectors", "keywords", "reranker", "generator"]), away=st.booleans())
    def outage(self, part: str, away: bool) -> None:
        getattr(self.replica, part).away = away
        self.replica.api.clock.advance(10)

    @rule(lag_s=st.sampled_from([0.0, 5.0, 11.0]))
    def lag(self, lag_s: float) -> None:
        self.replica.api.heads.lag_s = lag_s

    def held_by(self, user: str) -> set[Principal]:
        """Close the groups over one another, by brute force."""
        held = {Principal(f"user:{user}")} | (set() if user == GUEST else {EVERYONE})
        for _ in GROUPS:
            held |= {Principal(f"group:{name}") for name, inside in self.groups.items() if held & set(inside)}
        return held

    def may_read(self, user: str, name: str) -> bool:
        held, access = self.held_by(user), self.access[name]
        return (
            bool(access.clauses)
            and all(held & set(clause.principals) for clause in access.clauses)
            and not held & set(access.deny)
        )

    @rule(user=st.sampled_from(USERS), way=st.sampled_from(["hybrid", "vector", "keyword", "answer", "stream"]))
    def ask(self, user: str, way: str) -> None:
        """Nothing forbidden is shown; and, as a gate that refuses all would pass that, nothing permitted is missing."""
        path, body = _request(way)
        response = self.run(self.replica.api.client.post(path, json=body, headers=self.keys[user]))
        assert response.status_code in {200, 503}, response.text
        shown = {name for name in self.access if f"secret-of-{name}" in response.text}
        permitted = {name for name in self.access if self.may_read(user, name)}
        assert shown <= permitted
        if way == "hybrid" and response.status_code == 200 and not response.json()["meta"]["degraded"]:
            assert permitted & self.current() <= shown

    @rule(user=st.sampled_from(USERS), name=names)
    def look_at(self, user: str, name: str) -> None:
        """A document's state is shown to its readers alone."""
        if name in self.ids:
            path = f"/v1/documents/{self.ids[name]}"
            response = self.run(self.replica.api.client.get(path, headers=self.keys[user]))
            assert response.status_code != 200 or self.may_read(user, name)

    def current(self) -> set[str]:
        """Documents whose rows carry the access of their head: only those a store's filter cannot wrongly hide."""
        heads = self.replica.api.heads.documents
        return {
            name
            for name, document in self.ids.items()
            if heads[ACME, document].revision in heads[ACME, document].complete.values()
        }


def _request(way: str) -> tuple[str, dict[str, object]]:
    if way in {"answer", "stream"}:
        return "/v1/query", {"query": "secret edition", "stream": way == "stream"}
    return "/v1/search", {"query": "secret edition", "mode": way}


Permissions.TestCase.settings = settings(
    max_examples=12, stateful_step_count=30, suppress_health_check=list(HealthCheck)
)
TestPermissions = Permissions.TestCase
