"""Where the canary lives: a tenant, two users, a knowledge base and a source of its own, made at the first start."""

from typing import Any, Final

import httpx

from headwater.canary.api import call
from headwater.canary.documents import SOURCE
from headwater.canary.keys import OWNER, WITNESS, Keys, read_keys, write_keys
from headwater.canary.walk import UNAUTHENTICATED, CallFailedError
from headwater.cli.api_client import api_key
from headwater.errors import FatalError, RetryableError
from headwater.settings import Settings

_FIVE_YEARS_S: Final = 5 * 365 * 24 * 3600
_NO_SCOPE: Final = "forbidden"


async def settle_in(http: httpx.AsyncClient, settings: Settings) -> Keys:
    """Return keys that work; make a home and keys where there are none, or where they were withdrawn.

    Safe to repeat. Only the making needs a key with the scope `system`: HEADWATER_API__KEY or the bootstrap key. Raises
    FatalError without one, RetryableError while the API is away.
    """
    try:
        keys = read_keys(settings.canary.keys_file)
        if keys is None or not await _work(http, keys):
            keys = await _make(http, settings)
            write_keys(settings.canary.keys_file, keys)
    except CallFailedError as error:
        if error.code in {UNAUTHENTICATED, _NO_SCOPE}:
            raise FatalError(
                "the canary's first start makes its tenant and needs a key with the scope system: set "
                "HEADWATER_API__KEY, or run without it (`headwater up --without canary`)"
            ) from error
        raise RetryableError(f"the canary cannot make its home: {error.code}") from error
    return keys


async def _work(http: httpx.AsyncClient, keys: Keys) -> bool:
    try:
        for key in (keys.owner, keys.witness):
            await call(http, key, "GET", "/keys")
    except CallFailedError as error:
        if error.code == UNAUTHENTICATED:
            return False
        raise
    return True


async def _make(http: httpx.AsyncClient, settings: Settings) -> Keys:
    tenant, operator = settings.canary.tenant, api_key(settings.api)
    made = await call(
        http, operator, "PUT", f"/directory/tenants/{tenant}", json={"name": "Canary", "query_text": "none"}
    )
    owner = await call(
        http,
        operator,
        "POST",
        f"/directory/tenants/{tenant}/administrator",
        json={"user": OWNER, "expires_in_s": _FIVE_YEARS_S},
        params={"after": made["token"]},
    )
    after: str = owner["token"]
    records: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"users/{WITNESS}", {"name": "Witness"}),
        (f"knowledge-bases/{SOURCE}", {"name": "Canary"}),
        (f"sources/{SOURCE}", {"name": "Canary", "kind": "api", "knowledge_base": SOURCE}),
    )
    for path, body in records:
        put = await call(http, owner["key"], "PUT", f"/directory/{path}", json=body, params={"after": after})
        after = put["token"]
    witness = await call(
        http,
        owner["key"],
        "POST",
        "/keys",
        json={"name": WITNESS, "user": WITNESS, "scopes": ["read"], "expires_in_s": _FIVE_YEARS_S},
        params={"after": after},
    )
    await call(http, owner["key"], "GET", "/keys", params={"after": witness["token"]})
    return Keys(owner=owner["key"], witness=witness["key"])
