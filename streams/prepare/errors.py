"""Why a document cannot become text: reasons that a person can act on. All of them park the revision."""

from headwater.errors import HeadwaterError, PoisonError


class EncryptedDocumentError(PoisonError):
    """The file opens only with a password or a key."""


class EmptyDocumentError(PoisonError):
    """The file holds no text: it is empty, or only pictures."""


class UnsupportedFormatError(PoisonError):
    """The file is of a kind that has no parser."""


class MalformedDocumentError(PoisonError):
    """The file claims a format and breaks its rules."""


class LimitExceededError(PoisonError):
    """The file needs more memory, time or chunks than one document may take."""


class HeavyDocumentError(PoisonError):
    """The file is sound and takes long: it belongs to the heavy lane. Never parked: the stage hands it over."""


class ParserCrashedError(HeadwaterError):
    """A parser failed in a way nobody foresaw: a mistake of ours. Parked like poison, but the breaker counts it."""


NAMED = {
    error.__name__: error
    for error in (
        EncryptedDocumentError,
        EmptyDocumentError,
        UnsupportedFormatError,
        MalformedDocumentError,
        LimitExceededError,
        HeavyDocumentError,
    )
}
