"""obstore as the blob store and the archive use it: a folder, S3, GCS or Azure; errors in our terms."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import obstore
from obstore import exceptions, store
from obstore.store import ObjectStore
from pydantic import SecretStr

from headwater.errors import FatalError, PoisonError, RetryableError, UnauthorisedError

T = TypeVar("T")
# What the store answered to a listing is in the error's text only; other calls have exceptions of their own.
_REFUSED: Final = re.compile(r"status code: 40[13]\b")
_EXPIRED: Final = "<Code>AuthenticationFailed</Code>"  # Azure's 403 where a signature's time is over
CALL_TIMEOUT_S: Final = 60.0  # one piece of at most 5 MiB, not a whole object
# Of the options, what obstore takes apart from the store's own: mixed in, a name of these ends the process.
CLIENT_OPTIONS: Final = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "http1_only",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "timeout",
        "user_agent",
    }
)


class ObjectMissingError(PoisonError):
    """An object that something refers to is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as a listing shows it."""

    name: str
    size_bytes: int
    modified_at: datetime


def open_objects(url: str, options: Mapping[str, SecretStr], *, setting: str, options_setting: str) -> ObjectStore:
    """Open a store, a folder being made where it is missing. Raises FatalError naming the setting to correct."""
    try:
        if url.startswith("file:"):
            # `file:relative`, `file:/absolute` and `file:///absolute` all name a folder.
            folder = Path(url.removeprefix("file:").removeprefix("//")).absolute()
            return store.LocalStore(folder, mkdir=True)
        plain = {name: value.get_secret_value() for name, value in options.items()}
        client = {name: plain.pop(name) for name in CLIENT_OPTIONS & plain.keys()}
        return store.from_url(  # type: ignore[call-overload, no-any-return]  # the options' names depend on the URL
            url, config=plain, client_options=client, retry_config={"max_retries": 0}
        )
    except (exceptions.BaseError, ValueError) as error:
        raise FatalError(f"{setting} {url!r}: cannot be opened; check it and {options_setting}") from error


async def translated(
    call: Awaitable[T], *, what: str, options_setting: str, timeout_s: float | None = CALL_TIMEOUT_S
) -> T:
    """Await a call of obstore. `what` names the store.

    Raises ObjectMissingError, RetryableError, or UnauthorisedError where the store refuses.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise ObjectMissingError(f"{what}: not there") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise UnauthorisedError(f"{what}: access refused; check {options_setting}") from error
    except (exceptions.BaseError, TimeoutError, OSError) as error:
        if _REFUSED.search(str(error)):
            raise UnauthorisedError(f"{what}: access refused; check {options_setting}") from error
        raise RetryableError(f"{what}: {type(error).__name__}; is it reachable, is there space left?") from error


def refuses_credentials(error: BaseException | None) -> bool:
    """Say whether what obstore raised refuses whoever asks, and not this one object: they have expired in between."""
    return isinstance(error, exceptions.UnauthenticatedError) or _EXPIRED in str(error)


async def list_objects(
    objects: ObjectStore, prefix: str, *, what: str, options_setting: str
) -> AsyncIterator[StoredObject]:
    """Yield what lies below a folder, in no order, a page of the store's at a time."""
    pages = aiter(obstore.list(objects, prefix=prefix))
    while (page := await translated(_next(pages), what=what, options_setting=options_setting)) is not None:
        for each in page:
            yield StoredObject(name=each["path"], size_bytes=each["size"], modified_at=each["last_modified"])


async def _next(pages: AsyncIterator[Any]) -> Sequence[Any] | None:
    page: Sequence[Any] | None = await anext(pages, None)
    return page
