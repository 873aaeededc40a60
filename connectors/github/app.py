"""A GitHub App's credentials: it signs, and is given a token of an hour for one installation (ADR 0135)."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr, ValidationError

from connectors.github.client import JSON, stated_at
from connectors.github.models import Granted, Installed, Repository, read_as
from headwater.clients.egress.errors import ForbiddenError, MissingError
from headwater.clients.egress.requests import EgressRequest, Fetched, NotModified
from headwater.clients.egress.source import EgressSource
from headwater.errors import FatalError, PoisonError, UnauthorisedError

BACKDATED: Final = timedelta(seconds=60)  # as GitHub advises: clocks differ
SIGNED_FOR: Final = timedelta(minutes=9)  # GitHub takes ten at the most
USED_OF_ITS_LIFE: Final = 0.9  # then a token is renewed: a request that is under way must not outlive it

_KEY: Final = "secrets.private_key"


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSignature:
    """`Authorization: Bearer JWT`, by which an app proves to be itself. Implements Credential.

    Source: docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App"; RFC 7519, RS256 of RFC 7518.
    """

    app: str  # its id, or its client id
    key: Callable[[], SecretStr] = field(repr=False)
    now: Callable[[], datetime] = utc_now

    @property
    def name(self) -> str:
        """See Credential."""
        return _KEY

    async def headers(self) -> Mapping[str, str]:
        """See Credential. The key is read anew for each signature: a new one counts at once."""
        return {"Authorization": f"Bearer {await asyncio.to_thread(self._signed)}"}

    def _signed(self) -> str:
        issued = self.now() - BACKDATED
        claims = {"iss": self.app, "iat": issued, "exp": issued + SIGNED_FOR}
        return jwt.encode(claims, self._private_key(), algorithm="RS256")

    def _private_key(self) -> RSAPrivateKey:
        found = None
        # What was wrong is not chained: its text may quote the key.
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            found = load_pem_private_key(self.key().get_secret_value().encode(), password=None)
        if not isinstance(found, RSAPrivateKey):
            raise UnauthorisedError(
                f"{_KEY} is no RSA key in PEM without a password; set it to the file that GitHub gave"
            )
        return found


@dataclass(slots=True, kw_only=True)
class Installation:
    """An app where it is installed. Its token, renewed in time, implements RenewableCredential.

    `as_app` signs with AppSignature. Nothing of the token leaves this object but the header.
    """

    number: int
    app: str
    as_app: EgressSource
    now: Callable[[], datetime] = utc_now
    _granted: Granted | None = field(default=None, repr=False)
    _until: datetime | None = None  # by our own clock
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def name(self) -> str:
        """See Credential."""
        return f"the token of settings.installation {self.number}"

    async def headers(self) -> Mapping[str, str]:
        """See Credential. Raises UnauthorisedError where the app or its installation is not what the settings say."""
        return {"Authorization": f"Bearer {(await self._current()).token.get_secret_value()}"}

    def refused(self, headers: Mapping[str, str]) -> None:
        """See RenewableCredential. Of several requests that were refused together one renews."""
        held = self._granted
        if held is not None and headers.get("Authorization") == f"Bearer {held.token.get_secret_value()}":
            self._granted = None

    async def lacks(self, rights: Iterable[str]) -> list[str]:
        """Return those of the rights (`contents`, `issues`, ...) that the installation was not given."""
        given = (await self._current()).permissions
        return sorted(right for right in rights if right not in given)

    async def has(self, repository: Repository) -> bool:
        """Say whether the app is installed for a repository: a public one can be read without."""
        path = f"repos/{quote(repository.full_name)}/installation"
        try:
            answer = await self.as_app.fetch(EgressRequest(url=path, headers=JSON))
        except MissingError:
            return False
        return isinstance(answer, Fetched) and read_as(Installed, answer.content).id == self.number

    async def _current(self) -> Granted:
        async with self._lock:
            if self._granted is None or self._until is None or self.now() >= self._until:
                self._granted, self._until = await self._renewed()
            return self._granted

    async def _renewed(self) -> tuple[Granted, datetime]:
        path = f"app/installations/{self.number}/access_tokens"
        asked = self.now()
        answer = await self._answer(EgressRequest(url=path, method="POST", headers=JSON, repeatable=True))
        granted = self._granted_by(answer.content)
        # From GitHub's own clock to GitHub's own end: ours may be another.
        life = granted.expires_at - (stated_at(answer) or asked)
        return granted, asked + USED_OF_ITS_LIFE * life

    def _granted_by(self, raw: bytes) -> Granted:
        with suppress(ValidationError):  # not chained: its text quotes the token
            return Granted.model_validate_json(raw)
        raise FatalError(f"settings.installation {self.number}: no token was answered; is settings.url GitHub's API?")

    async def _answer(self, request: EgressRequest) -> Fetched:
        """Translate: what is wrong with a token is wrong with the source, and not with the item that was asked for."""
        try:
            answer = await self.as_app.fetch(request)
        except UnauthorisedError as error:
            raise UnauthorisedError(
                f"settings.app {self.app}: {error}. Is the key this app's and not revoked, and this host's clock right?"
            ) from error
        except MissingError as error:
            raise UnauthorisedError(
                f"settings.installation {self.number}: app {self.app} is not installed there; install it, or correct "
                f"the number ({error})"
            ) from error
        except ForbiddenError as error:
            raise UnauthorisedError(
                f"settings.installation {self.number}: suspended; let its owner unsuspend it ({error})"
            ) from error
        except PoisonError as error:
            raise FatalError(f"settings.installation {self.number}: it has no token: {error}") from error
        if isinstance(answer, NotModified):
            raise FatalError(f"settings.installation {self.number}: 304 for a token; is settings.url GitHub's API?")
        return answer
