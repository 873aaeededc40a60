"""Why the harness itself parks an event or ends a stage."""

from headwater.errors import FatalError, HeadwaterError, PoisonError


class WrongGenerationError(PoisonError):
    """A chunk event of another generation."""


class WorkerKilledError(PoisonError):
    """The event was alone in work each time when its worker died."""


class UnexpectedError(PoisonError):
    """What nobody foresaw, wrapped so that it can be parked."""


class BreakerOpenError(FatalError):
    """Unexpected errors across tenants: a bad deploy, not bad data."""


class ReleasedError(HeadwaterError):
    """The partition is taken away or the stage stops: the event is let go and will be delivered again."""
