"""What is asked for, and what came of it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from headwater.clients.egress.conditional import NO_VALIDATORS, Validators

REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # idempotent: RFC 9110, 9.2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRequest:
    """One request of a connector. `url` may be relative to the source's own address."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)  # nothing secret: that is what credentials are for
    content: bytes | None = None
    validators: Validators = NO_VALIDATORS  # of the state that is known: a 304 then says that it still holds
    max_bytes: int | None = None  # below the cap of the settings
    repeatable: bool = False  # of another method than REPEATABLE: that what it makes may be made twice


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """The state that is known still holds."""

    validators: Validators
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A response whose body is in memory."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    validators: Validators
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A response whose body is read as it comes, once, within the request's block."""

    status: int
    headers: Mapping[str, str]
    validators: Validators
    pieces: AsyncIterator[bytes]


class Credential(Protocol):
    """What opens a source. Sent to the source's own origin and to no other."""

    @property
    def name(self) -> str:
        """Return what to call it in messages: a reference, never the secret."""
        ...

    async def headers(self) -> Mapping[str, str]:
        """Return the headers to add, found anew each time. Raises FatalError naming the reference and the remedy."""
        ...


@runtime_checkable
class RenewableCredential(Credential, Protocol):
    """A credential that ends, and that can be had anew: a token which something else opens."""

    def refused(self, headers: Mapping[str, str]) -> None:
        """Forget the credential of these headers: the source refused it. The next `headers` are another's."""
        ...
