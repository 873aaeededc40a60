"""What a stage is to the harness."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from headwater.clients.kafka.config import group_of
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.ids import GenerationName
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.errors import WrongGenerationError
from streams.harness.publishing import Publisher
from streams.harness.watchdog import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an event is parked."""

    stage: str
    error: str  # class name: a closed set
    reason: str


class Stage(Protocol):
    """Brings one event at a time to its end. Events of one document come in order, those of others side by side."""

    async def handle(self, event: Any, delivery: Delivery) -> Outcome:
        """Do the work; return once its effect is durable and visible. Called again until it does not raise.

        Raises RetryableError to be called again later, PoisonError to have the event parked, FatalError to end the
        stage. Cancelled when the partition is taken away. Must be harmless when repeated or late.
        """

    async def give_up(self, event: Any, delivery: Delivery, failure: Failure) -> None:
        """Tell those who wait for this event's result that there will be none. Called after the letter is held.

        Raises RetryableError to be called again; anything else ends the stage.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What every stage is given when it opens."""

    settings: Settings
    publisher: Publisher
    health: Health
    progress: Progress = field(default_factory=Progress)  # for work that takes longer than the watchdog waits


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """A stage as data: how `python -m streams NAME` runs it."""

    name: str
    topics: Mapping[Topic, type]  # what it reads, and as which event
    open: Callable[[Resources], AbstractAsyncContextManager[Stage]]
    limits: Callable[[Settings], Limits]
    per_generation: bool = True  # its consumer group carries the generation's name
    keyed: frozenset[Topic] = field(default_factory=frozenset)  # topics whose keys are checked against their partition
    dense: frozenset[Topic] = field(default_factory=frozenset)  # topics whose offsets have no holes

    def group(self, settings: Settings) -> str:
        """Return the consumer group, which is also Faust's app id."""
        return group_of(settings, self.name, generation=settings.generation if self.per_generation else None)


def require_generation(event_generation: GenerationName, own: GenerationName) -> None:
    """Raise WrongGenerationError for an event that another generation's worker wrote."""
    if event_generation != own:
        raise WrongGenerationError(
            f"generation {event_generation}: this worker serves {own}; check HEADWATER_GENERATION of its producer"
        )
