"""One record in hand, from delivery to acknowledgement."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from headwater.telemetry.tracing import Headers
from schemas.errors import ContractError
from schemas.events.base import Lane, Position
from schemas.topics import Topic
from streams.harness.handing_over import handed_over_from


class Outcome(StrEnum):
    """How an event ends: exactly one of these. A closed set, used as a metric label."""

    DONE = "done"
    SUPERSEDED = "superseded"  # a newer revision made it pointless
    PARKED = "parked"


@dataclass(slots=True)
class Successor:
    """The next delivery of the same order, once there is one."""

    delivery: "Delivery | None" = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """A record that was delivered and is not settled yet. Compared by identity: a redelivery is another one."""

    origin: Position
    topic: Topic
    key: bytes | None
    order: object  # events of equal order are worked on one after the other, as delivered
    value: bytes | None  # None: a compaction tombstone
    headers: Headers
    event: Any | None  # an instance of the type that the stage reads from this topic, None where there is none
    broken: ContractError | None  # why the bytes are no event
    lane: Lane
    size_bytes: int
    received_s: float  # monotonic clock
    settle: Callable[[], None]  # acknowledges: called once, after the effect
    abandon: Callable[[], None]  # lets go without acknowledging: the record is delivered again
    successor: Successor = field(default_factory=Successor)

    @property
    def work(self) -> Position:
        """What attempts are counted by: where the work lies in the log, whichever copy of it was delivered.

        Work that was handed over is handed over again when its worker dies before that is committed. Were each copy
        counted by itself, each would kill its worker as often as is allowed, and every death would make another.
        """
        source = handed_over_from(self.headers)
        return self.origin if source is None else replace(source, topic=self.origin.topic)

    def followers(self) -> Iterator["Delivery"]:
        """Yield what is known to lie behind this record in the log, of equal order, oldest first."""
        following = self.successor.delivery
        while following is not None:
            yield following
            following = following.successor.delivery

    @property
    def tenant(self) -> bytes:
        """Whose event it is, for taking turns: the first part of every key. Empty where there is no key."""
        return (self.key or b"").partition(b"/")[0]


def routing_key(topic: Topic, key: bytes | None) -> bytes | None:
    """Return the key that names the partition: tenant/document, also where a topic's own key is longer."""
    if topic is Topic.DOCUMENTS_PROGRESSED and key is not None:
        return b"/".join(key.split(b"/")[:2])
    return key
