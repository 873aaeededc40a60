"""Credentials of sources, read anew for each request: a renewed secret counts at once."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from headwater.errors import FatalError


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerCredential:
    """`Authorization: Bearer …` (RFC 6750). `read` finds the token; `name` is what messages call it."""

    name: str
    read: Callable[[], SecretStr]

    async def headers(self) -> Mapping[str, str]:
        """See Credential."""
        return {"Authorization": f"Bearer {await _one_line(self.name, self.read)}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredential:
    """`Authorization: Basic …` (RFC 7617): a user, and a password that `read` finds."""

    name: str
    user: str
    read: Callable[[], SecretStr]

    async def headers(self) -> Mapping[str, str]:
        """See Credential."""
        pair = f"{self.user}:{await _one_line(self.name, self.read)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


async def _one_line(name: str, read: Callable[[], SecretStr]) -> str:
    value = (await asyncio.to_thread(read)).get_secret_value()
    if not value.isascii() or not value.isprintable():
        raise FatalError(f"{name} is no token: it has line ends or signs beyond ASCII; correct the secret")
    return value
