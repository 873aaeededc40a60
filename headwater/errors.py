"""An exception's base class says what to do next. Vendor errors are translated to these in `headwater/clients`."""

from datetime import datetime


class HeadwaterError(Exception):
    """Base of all errors raised on purpose. The text names the field or setting and the remedy."""


class RetryableError(HeadwaterError):
    """The same call may succeed later: Triton is full, Milvus restarts. Wait in place, never park."""


class DeferredError(RetryableError):
    """The same call is allowed again at `until` (aware), and no sooner. Nothing is wrong; do not wait in place."""

    def __init__(self, text: str, *, until: datetime) -> None:
        super().__init__(text)
        self.until = until


class PoisonError(HeadwaterError):
    """This event can never succeed: undecodable bytes, an unreadable PDF, a broken limit. Park it and go on."""


class FatalError(HeadwaterError):
    """No event can succeed: wrong credentials, missing collection. Exit without acking, with this message."""


class UnauthorisedError(FatalError):
    """A source refuses the credentials, or they lack a right. The text names which, and where to give it."""


class SourceGoneError(FatalError):
    """What is to be read of a source is not there: the bucket, the site, the repository."""
