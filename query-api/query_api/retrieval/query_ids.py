"""Query ids: signed over tenant, caller and time, so that feedback needs no look-up and cannot be forged."""

import base64
import binascii
import hmac
import secrets
from datetime import UTC, datetime
from typing import Final

from headwater.errors import PoisonError
from query_api.credentials import ServerSecret
from schemas.ids import TenantId

_NONCE_BYTES: Final = 8
_TIME_BYTES: Final = 6  # milliseconds: good until the year 10889
_MAC_BYTES: Final = 16
_PREFIX: Final = "q_"


class QueryIdError(PoisonError):
    """Not an id that this caller was given."""


class QuerySigner:
    """Makes and checks query ids with the secret of this installation."""

    def __init__(self, secret: ServerSecret) -> None:
        self._secret = secret

    def sign(self, tenant: TenantId, user: str, *, now: datetime) -> str:
        """Return a new id for one query of this caller."""
        head = int(now.timestamp() * 1000).to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_NONCE_BYTES)
        raw = head + self._mac(head, tenant, user)
        return _PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def verify(self, query_id: str, tenant: TenantId, user: str) -> datetime:
        """Return when the query was asked; raise QueryIdError unless it was by this caller."""
        body = query_id.removeprefix(_PREFIX)
        try:
            raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        head, mac = raw[: _TIME_BYTES + _NONCE_BYTES], raw[_TIME_BYTES + _NONCE_BYTES :]
        if len(mac) != _MAC_BYTES or not hmac.compare_digest(mac, self._mac(head, tenant, user)):
            raise QueryIdError("query_id: not a query of yours; pass meta.query_id of the answer")
        return datetime.fromtimestamp(int.from_bytes(head[:_TIME_BYTES], "big") / 1000, tz=UTC)

    def _mac(self, head: bytes, tenant: TenantId, user: str) -> bytes:
        scope = f"{len(tenant)}:{tenant}{user}".encode()
        return self._secret.sign("query-id", head + scope)[:_MAC_BYTES]
