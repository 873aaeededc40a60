"""Credentials by reference: found when they are sent, so that a renewed secret counts at once."""

import asyncio
import base64
from collections.abc import Mapping

from headwater.errors import FatalError
from headwater.secrets import SecretReference, Secrets


class BearerCredential:
    """`Authorization: Bearer …`, from a reference."""

    def __init__(self, reference: SecretReference, secrets: Secrets) -> None:
        self._reference, self._secrets = reference, secrets

    @property
    def name(self) -> str:
        return str(self._reference)

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {await _one_line(self._reference, self._secrets)}"}


class BasicCredential:
    """`Authorization: Basic …` (RFC 7617): a user, and a password from a reference."""

    def __init__(self, user: str, reference: SecretReference, secrets: Secrets) -> None:
        self._user, self._reference, self._secrets = user, reference, secrets

    @property
    def name(self) -> str:
        return str(self._reference)

    async def headers(self) -> Mapping[str, str]:
        pair = f"{self._user}:{await _one_line(self._reference, self._secrets)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


async def _one_line(reference: SecretReference, secrets: Secrets) -> str:
    value = (await asyncio.to_thread(secrets.resolve, reference)).get_secret_value()
    if not value.isascii() or not value.isprintable():
        raise FatalError(f"the secret {reference} is no token: it has line ends or signs beyond ASCII; correct it")
    return value
