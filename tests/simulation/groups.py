"""Consumer groups: members, generations, assignments, and members that are not heard of any more."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.simulation.process import Process

Partition = tuple[str, int]
Assignor = Callable[[Sequence[str], Sequence[Partition]], dict[str, frozenset[Partition]]]

REBALANCE_S = 15.0  # longest that the others wait for a member that does not come back


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """One consumer in a group. `news` is done when it must look at its membership."""

    name: str
    process: Process
    topics: tuple[str, ...]
    generation: int = -1
    assigned: frozenset[Partition] = frozenset()
    must_rejoin: bool = True
    joined: bool = False
    news: "asyncio.Future[None]"


@dataclass(slots=True, kw_only=True, eq=False)
class Group:
    """A group of one coordinator. Positions that a transaction carries are pending until it has ended."""

    name: str
    loop: asyncio.AbstractEventLoop
    partitions_of: Callable[[str], range]
    session_s: float = 6.0
    assign: Assignor | None = None
    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)  # what was committed beside a position
    pending: dict[str, set[Partition]] = field(default_factory=dict)
    _names: int = 0
    _round: int = 0
    _rebalancing: bool = False

    def enter(self, process: Process, topics: Sequence[str]) -> Member:
        """Add a member; it owns nothing before it has joined."""
        self._names += 1
        name = f"{process.name}-{self._names}"
        member = Member(name=name, process=process, topics=tuple(topics), news=self.loop.create_future())
        self.members[name] = member
        process.on_silence.append(lambda: self._watch(member))
        self._begin()
        return member

    def leave(self, member: Member) -> None:
        """Take a member out at once."""
        if self.members.pop(member.name, None) is not None:
            self._begin()

    def join(self, member: Member) -> bool:
        """Say that a member has let go of everything and waits. False: the group knows it no more."""
        if member.name not in self.members:
            return False
        member.joined = True
        if not self._rebalancing:
            self._begin(keep=member)
        self._complete_if_all()
        return True

    def is_current(self, name: str, generation: int) -> bool:
        """Say whether a commit of this member is taken."""
        return name in self.members and generation == self.generation

    def commit(self, member: Member, offsets: dict[Partition, int]) -> bool:
        """Store positions; False when the group has moved on."""
        if not self.is_current(member.name, member.generation):
            return False
        self.committed |= {each: offset for each, offset in offsets.items() if each in member.assigned}
        return True

    def is_pending(self, partition: Partition) -> bool:
        """Say whether an open transaction carries a position of this partition."""
        return any(partition in pending for pending in self.pending.values())

    def _watch(self, member: Member) -> None:
        self.loop.call_later(self.session_s, self._expire, member)

    def _expire(self, member: Member) -> None:
        if member.process.silent and member.name in self.members:
            self.leave(member)

    def _begin(self, keep: Member | None = None) -> None:
        self._rebalancing = True
        self._round += 1
        for member in self.members.values():
            if member is not keep:
                member.joined = member.joined and member.must_rejoin
                member.must_rejoin = True
            _tell(member)
        self.loop.call_later(REBALANCE_S, self._complete_late, self._round)
        self._complete_if_all()

    def _complete_if_all(self) -> None:
        if self._rebalancing and self.members and all(each.joined for each in self.members.values()):
            self._complete()

    def _complete_late(self, number: int) -> None:
        if self._rebalancing and self._round == number:
            self.members = {name: each for name, each in self.members.items() if each.joined}
            if self.members:
                self._complete()

    def _complete(self) -> None:
        self._rebalancing = False
        self.generation += 1
        topics = sorted({topic for member in self.members.values() for topic in member.topics})
        partitions = [(topic, number) for topic in topics for number in self.partitions_of(topic)]
        assign = self.assign or round_robin
        shares = assign(sorted(self.members), partitions)
        for name, member in self.members.items():
            member.generation, member.assigned = self.generation, shares.get(name, frozenset())
            member.must_rejoin = member.joined = False
            _tell(member)


def _tell(member: Member) -> None:
    if not member.news.done():
        member.news.set_result(None)


def round_robin(members: Sequence[str], partitions: Sequence[Partition]) -> dict[str, frozenset[Partition]]:
    """Share partitions out one by one."""
    shares: dict[str, set[Partition]] = {name: set() for name in members}
    for index, partition in enumerate(partitions):
        shares[members[index % len(members)]].add(partition)
    return {name: frozenset(share) for name, share in shares.items()}


def by_range(members: Sequence[str], partitions: Sequence[Partition]) -> dict[str, frozenset[Partition]]:
    """Give the same numbers of every topic to the same member, as Kafka's range assignor does for equal counts."""
    shares: dict[str, set[Partition]] = {name: set() for name in members}
    for topic in sorted({topic for topic, _ in partitions}):
        numbers = sorted(number for name, number in partitions if name == topic)
        size, more = divmod(len(numbers), len(members))
        first = 0
        for index, name in enumerate(members):
            last = first + size + (1 if index < more else 0)
            shares[name] |= {(topic, number) for number in numbers[first:last]}
            first = last
    return {name: frozenset(share) for name, share in shares.items()}
