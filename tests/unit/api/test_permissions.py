"""Whatever happens, no endpoint shows a passage that the caller may not read at that moment.

A random history of rules, nested groups, grants, revocations, deletions, edits and outages, two replicas that read it
as they like, and callers who ask either of them in every way there is. A replica's moment is what it has read of the
log, and it must have read all that is older than the staleness budget. The truth is computed here anew from the rules
as of that moment, not by the code under test.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from headwater.settings import HeadsSettings
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, Group, KnowledgeBase, User
from schemas.events.documents import NOBODY, Access, Clause
from schemas.ids import EVERYONE, Principal, Revision, document_id
from tests.support.answering import HANDBOOK
from tests.support.api import ACME
from tests.support.permitted import (
    GROUPS,
    GUEST,
    NAMES,
    USERS,
    Editions,
    Known,
    Written,
    editions_in,
    newest,
    permitted,
    shown_in,
    text_of,
)
from tests.support.replicas import WIKI, Part, Replica, running_replicas

T = TypeVar("T")
PRINCIPALS = [Principal(f"user:{user}") for user in USERS] + [Principal(f"group:{group}") for group in GROUPS]
BUDGET: Final = timedelta(seconds=HeadsSettings().staleness_budget_s)
IDS: Final = {name: document_id(ACME, WIKI, name) for name in NAMES}
WAYS: Final = ("hybrid", "vector", "keyword", "explained", "answer", "stream")
LOOKS: Final = ("state", "lineage", "explain", "why")

# Rules of which half permit: a history in which nobody may read anything asks nothing.
principals = st.sampled_from([*PRINCIPALS, EVERYONE, EVERYONE])
clauses = st.lists(principals, min_size=2, max_size=4).map(lambda found: Clause(principals=tuple(sorted(set(found)))))
everybody = Clause(principals=(EVERYONE, Principal(f"user:{GUEST}")))
rules = st.builds(
    Access,
    clauses=st.lists(clauses, max_size=3).map(tuple) | st.just((everybody,)),
    deny=st.lists(st.sampled_from(PRINCIPALS), max_size=1).map(tuple),
)
written_to = st.sampled_from([(Store.KEYWORDS,), (Store.VECTORS,), tuple(Store)])
topics = st.sampled_from([None, *Part])
names, users, numbers = st.sampled_from(NAMES), st.sampled_from(USERS), st.sampled_from([0, 1])
members = st.lists(st.sampled_from(PRINCIPALS), max_size=3, unique=True).map(tuple)


class Permissions(RuleBasedStateMachine):
    """Two replicas, three callers, three documents, three groups that may contain one another."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.written: list[Written] = []
        self.known = Known(groups={}, users=frozenset())
        self.directories: list[Known] = []  # after each record of the directory

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def start(self) -> None:
        self.replicas = self.run(self.stack.enter_async_context(running_replicas(2)))
        self.keys = {user: self.replicas.key(user, guest=user == GUEST) for user in USERS}
        self.known = replace(self.known, users=frozenset(USERS))
        self.directories = [self.known] * len(self.replicas.log.entries[Part.DIRECTORY])
        for name in NAMES:
            self._write(name, Access(clauses=(everybody,)), edition=len(self.written) + 1, stores=tuple(Store))
        for replica in self.replicas.running:
            replica.follower.catch_up()

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    @rule(name=names, access=rules, stores=written_to, cut_off=topics, user=users)
    def publish(self, name: str, access: Access, stores: tuple[Store, ...], cut_off: Part | None, user: str) -> None:
        """Edit a document; somebody asks a replica that reads it at once, or a part of it."""
        self._write(name, access, edition=len(self.written) + 1, stores=stores)
        self.catch_up(0, cut_off)
        self._ask(self.replicas.running[0], user, "hybrid")
        self.list_all(0, user, 10)
        self.look_at(0, user, name, "state")

    @rule(name=names, access=rules)
    def change_access(self, name: str, access: Access) -> None:
        before = newest(self.written, name)
        if before is not None and not before.deleted:
            self._write(name, access, edition=before.edition)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self._write(name, NOBODY, edition=0, deleted=True)

    def _write(
        self, name: str, access: Access, *, edition: int, deleted: bool = False, stores: tuple[Store, ...] = ()
    ) -> None:
        entry = Written(name, len(self.written) + 1, access, edition, len(self.directories), deleted)
        self.written.append(entry)
        text = None if deleted else text_of(name, edition)
        self.run(self.replicas.write(name, Revision(entry.revision), access, text=text, stores=stores))

    @rule(group=st.sampled_from(GROUPS), members=members)
    def set_members(self, group: str, members: tuple[Principal, ...]) -> None:
        self._put(DirectoryKind.GROUP, group, Group(name=group, members=members))
        self._now_known(groups={**self.known.groups, group: members})

    @rule(group=st.sampled_from(GROUPS))
    def delete_group(self, group: str) -> None:
        self._put(DirectoryKind.GROUP, group, None)
        self._now_known(groups={name: inside for name, inside in self.known.groups.items() if name != group})

    @rule(gone=st.sampled_from([HANDBOOK, *USERS, *USERS]))
    def take_a_container_or_a_user_away_or_give_what_is_gone_back(self, gone: str) -> None:
        """One thing at a time is gone, so that there is something to see for most."""
        if not self.known.handbook:
            self._put(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Handbook"))
            self._now_known(handbook=True)
        elif missing := set(USERS) - self.known.users:
            user = missing.pop()
            self._put(DirectoryKind.USER, user, User(name=user, guest=user == GUEST))
            self._now_known(users=frozenset(USERS))
        elif gone == HANDBOOK:
            self._put(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, None)
            self._now_known(handbook=False)
        else:
            self._put(DirectoryKind.USER, gone, None)
            self._now_known(users=self.known.users - {gone})

    def _put(self, kind: DirectoryKind, record_id: str, record: Any) -> None:
        self.replicas.put(kind, record_id, record)

    def _now_known(self, **changes: Any) -> None:
        self.known = replace(self.known, **changes)
        self.directories.append(self.known)

    @rule(part=st.sampled_from(["vectors", "keywords", "nothing", "nothing"]))
    def store_outage(self, part: str) -> None:
        """At most one store is away; time enough goes by for a breaker to try again."""
        self.replicas.vectors.away, self.replicas.keywords.away = part == "vectors", part == "keywords"
        self.replicas.log.clock.advance(4)

    @rule(number=numbers, part=st.sampled_from(["reranker", "generator"]), away=st.booleans())
    def model_outage(self, number: int, part: str, away: bool) -> None:
        getattr(self.replicas.running[number], part).away = away

    @rule(seconds=st.sampled_from([1, 5, 11]))
    def time_passes(self, seconds: int) -> None:
        self.replicas.log.clock.advance(seconds)

    @rule(number=numbers, part=st.sampled_from(list(Part)), count=st.integers(min_value=1, max_value=4))
    def follow(self, number: int, part: Part, count: int) -> None:
        self.replicas.running[number].follower.follow(part, count)

    @rule(number=numbers, cut_off=topics)
    def catch_up(self, number: int, cut_off: Part | None) -> None:
        """Read everything, or everything but one topic whose broker does not answer."""
        for part in set(Part) - {cut_off}:
            self.replicas.running[number].follower.follow(part, len(self.replicas.log.entries[part]))

    @rule(number=numbers, user=users, ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=3, unique=True))
    def ask(self, number: int, user: str, ways: list[str]) -> None:
        for way in ways:
            self._ask(self.replicas.running[number], user, way)

    def _ask(self, replica: Replica, user: str, way: str) -> None:
        """Nothing forbidden is shown; and, as a gate that refuses all would pass that, nothing permitted is missing."""
        response = self._request(replica, user, *_question(way))
        if response is None:
            return
        shown, readable = shown_in(response), self._permitted(replica, user)
        assert shown <= readable
        if way == "hybrid" and response.status_code == 200 and not response.json()["meta"]["degraded"]:
            assert self._findable(replica, readable) <= shown

    @rule(number=numbers, user=users, limit=st.sampled_from([1, 10]))
    def list_all(self, number: int, user: str, limit: int) -> None:
        """The list has who may be seen, page after page, and titles of what the gate has judged alone."""
        replica, listed, cursor = self.replicas.running[number], set(), ""
        readable = {name for name, _ in self._permitted(replica, user)}
        for _ in range(len(NAMES) + 1):
            path = f"/v1/documents?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            response = self._request(replica, user, "GET", path, None)
            if response is None:
                return
            assert shown_in(response) <= self._permitted(replica, user)
            listed |= {each["external_id"] or each["document_id"] for each in response.json()["documents"]}
            cursor = response.json()["cursor"]
            if cursor is None:
                break
        assert listed <= readable | {IDS[name] for name in readable}
        if self._is_current(replica):
            assert listed == readable

    @rule(number=numbers, user=users, name=names, look=st.sampled_from(LOOKS))
    def look_at(self, number: int, user: str, name: str, look: str) -> None:
        """A document's state, its way and why it is not found are told to its readers, and to them alone."""
        replica = self.replicas.running[number]
        response = self._request(replica, user, *_look(look, name))
        if response is None:
            return
        readable = self._permitted(replica, user)
        assert response.status_code == (200 if name in {known for known, _ in readable} else 404), response.text
        assert shown_in(response) <= readable

    def _request(
        self, replica: Replica, user: str, method: str, path: str, body: dict[str, Any] | None
    ) -> httpx.Response | None:
        """Ask; None where a replica that is behind refused, as it must, and where a user is gone."""
        replica.generator.seen.clear()
        response = self.run(replica.client.request(method, path, json=body, headers=self.keys[user]))
        assert editions_in(" ".join(replica.generator.seen)) <= self._permitted(replica, user)
        behind = self.replicas.log.clock() - replica.follower.as_of() > BUDGET
        gone = user not in self._directory(replica).users
        assert not behind or response.status_code == 503, response.text
        assert behind or not gone or response.status_code == 401, response.text
        if response.status_code in {401, 503}:
            assert not shown_in(response)
            return None
        return response

    def _directory(self, replica: Replica) -> Known:
        return self.directories[replica.follower.read[Part.DIRECTORY] - 1]

    def _permitted(self, replica: Replica, user: str) -> Editions:
        read = replica.follower.read
        return permitted(
            user, self.written[: read[Part.DOCUMENTS]], self._directory(replica), known_until=read[Part.DIRECTORY]
        )

    def _findable(self, replica: Replica, readable: Editions) -> Editions:
        """Return the texts whose rows carry the access of their head: those a store's filter cannot wrongly hide."""
        follower = replica.follower
        heads = (newest(self.written[: follower.read[Part.DOCUMENTS]], name) for name in NAMES)
        latest = {(head.name, head.edition): head.revision for head in heads if head is not None}
        return {
            (name, edition)
            for (name, edition), revision in latest.items()
            if (name, edition) in readable
            and revision in [follower.complete.get((IDS[name], store)) for store in Store]
        }

    def _is_current(self, replica: Replica) -> bool:
        entries = self.replicas.log.entries
        return all(count == len(entries[part]) for part, count in replica.follower.read.items())


def _question(way: str) -> tuple[str, str, dict[str, Any]]:
    if way in {"answer", "stream"}:
        return "POST", "/v1/query", {"query": "secret edition", "stream": way == "stream"}
    mode = "hybrid" if way == "explained" else way
    return "POST", "/v1/search", {"query": "secret edition", "mode": mode, "explain": way == "explained"}


def _look(look: str, name: str) -> tuple[str, str, dict[str, Any] | None]:
    path = f"/v1/documents/{IDS[name]}"
    match look:
        case "state":
            return "GET", path, None
        case "lineage":
            return "GET", f"{path}/lineage", None
        case _:
            kind = "search" if look == "why" else "answer"
            return "POST", f"{path}/explain", {"query": "secret edition", "kind": kind}


Permissions.TestCase.settings = settings(
    max_examples=14, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestPermissions = Permissions.TestCase
