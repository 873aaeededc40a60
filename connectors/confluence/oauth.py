"""A service account of Atlassian Cloud: OAuth 2.0 client credentials, for which a token of an hour is given (ADR 0139).

Source: RFC 6749, 4.4; Atlassian, "Create OAuth 2.0 credential for service accounts". Nothing rotates: what is kept is
the client's secret, and a token lives in memory alone.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, PositiveInt, SecretStr, ValidationError

from headwater.clients.egress.requests import EgressRequest, Fetched
from headwater.clients.egress.source import EgressSource
from headwater.errors import FatalError, PoisonError, UnauthorisedError

USED_OF_ITS_LIFE: Final = 0.9  # then a token is renewed: a request that is under way must not outlive it
_TOKEN_PATH: Final = "oauth/token"  # noqa: S105 - an address
_SECRET: Final = "secrets.client_secret"  # noqa: S105 - what messages call it, not what it is
_HEADERS: Final = {"Accept": "application/json", "Content-Type": "application/json"}


class Granted(BaseModel, frozen=True):
    """A token, and for how long."""

    access_token: SecretStr
    expires_in: PositiveInt = 3_600  # seconds


@dataclass(slots=True, kw_only=True)
class ServiceAccount:
    """Its token, renewed in time, implements RenewableCredential. `issuer` is called without a credential."""

    client_id: str
    secret: Callable[[], SecretStr] = field(repr=False)
    issuer: EgressSource
    now: Callable[[], datetime]
    _granted: Granted | None = None
    _until: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def name(self) -> str:
        """See Credential."""
        return _SECRET

    async def headers(self) -> Mapping[str, str]:
        """See Credential. Raises UnauthorisedError where the client is not what the settings say."""
        async with self._lock:
            if self._granted is None or self._until is None or self.now() >= self._until:
                asked_at, self._granted = self.now(), await self._grant()
                self._until = asked_at + timedelta(seconds=USED_OF_ITS_LIFE * self._granted.expires_in)
            return _bearer(self._granted)

    def refused(self, headers: Mapping[str, str]) -> None:
        """See RenewableCredential. Of several requests that were refused together one renews."""
        if self._granted is not None and headers == _bearer(self._granted):
            self._granted = None

    async def _grant(self) -> Granted:
        said = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": (await asyncio.to_thread(self.secret)).get_secret_value(),
        }
        request = EgressRequest(
            url=_TOKEN_PATH, method="POST", headers=_HEADERS, content=json.dumps(said).encode(), repeatable=True
        )
        try:
            answer = await self.issuer.fetch(request)
        except (UnauthorisedError, PoisonError) as error:
            # What is wrong with a token is wrong with the source, and not with the item that was asked for.
            raise UnauthorisedError(
                f"{_SECRET}: no token is given for settings.client_id {self.client_id} ({error}); correct both, or "
                "make a new OAuth 2.0 credential of the service account"
            ) from error
        if isinstance(answer, Fetched):
            with suppress(ValidationError):  # not chained: its text quotes the token
                return Granted.model_validate_json(answer.content)
        raise FatalError(f"{_SECRET}: what was answered to settings.client_id {self.client_id} is no token")


def _bearer(granted: Granted) -> dict[str, str]:
    return {"Authorization": f"Bearer {granted.access_token.get_secret_value()}"}
