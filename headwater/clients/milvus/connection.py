"""The client itself: opened without a first call, errors translated, its own retries off."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc  # type: ignore[import-untyped] # its types are another package, which nothing else needs
from pymilvus import AsyncMilvusClient, decorators
from pymilvus.client import entity_helper
from pymilvus.exceptions import (
    DataNotMatchException,
    DataTypeNotMatchException,
    MilvusException,
    ParamError,
    PrimaryKeyException,
)

from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError
from headwater.settings import MilvusSettings
from headwater.telemetry.tracing import span

# Milvus' own error codes (pkg/util/merr).
COLLECTION_NOT_FOUND: Final = 100
COLLECTION_NOT_LOADED: Final = 101
_PARAMETER_CODES: Final = range(1100, 1200)
_SEGMENT_CORE: Final = 2000  # the engine refused an expression or a value
_PRIVILEGE_CODES: Final = range(1400, 1500)

# After an outage gRPC waits up to two minutes before it looks again; nobody would notice that Milvus is back.
_MAX_RECONNECT_BACKOFF_MS: Final = 1_000

# pymilvus pings an idle connection every 10 s, which the embedded server takes for an attack: it closes the connection
# ("too many pings") and the next call fails. gRPC servers allow one ping in five minutes.
_KEEPALIVE: Final = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": False}

_REFUSALS: Final = (ParamError, DataNotMatchException, DataTypeNotMatchException, PrimaryKeyException)
_NO_ACCESS: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})


class MilvusBusyError(RetryableError):
    """Milvus is away, restarting or out of capacity."""


class MilvusRefusedError(PoisonError):
    """Milvus refuses what it was given."""


class CollectionMissingError(FatalError):
    """The generation's collection does not exist."""


class CollectionNotLoadedError(RetryableError):
    """The collection is on disk only, as after a restart; the index loads it before its next call."""


class MilvusAccessError(FatalError):
    """Milvus refuses the credentials."""


@asynccontextmanager
async def open_client(settings: MilvusSettings) -> AsyncIterator[AsyncMilvusClient]:
    """Open without a first call: an absent Milvus must not keep a process from starting."""
    _tame()
    client = AsyncMilvusClient(
        uri=settings.url,
        token="" if settings.token is None else settings.token.get_secret_value(),
        timeout=settings.request_timeout_s,
        dedicated=True,  # a shared connection belongs to whichever event loop came first
        grpc_options={"grpc.max_reconnect_backoff_ms": _MAX_RECONNECT_BACKOFF_MS, **_KEEPALIVE},
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def translated(settings: MilvusSettings) -> AsyncIterator[None]:
    """Bound what runs inside by the request timeout and raise our errors for Milvus' own.

    Their texts name codes and settings only: Milvus' messages quote rows and expressions.
    """
    try:
        with span("milvus", dependency="milvus"):
            async with asyncio.timeout(settings.request_timeout_s):
                yield
    except TimeoutError as error:
        raise MilvusBusyError(
            f"no answer from {settings.url} within HEADWATER_MILVUS__REQUEST_TIMEOUT_S={settings.request_timeout_s:g}"
        ) from error
    except MilvusException as error:
        raise _from_milvus(error, settings) from error
    except grpc.RpcError as error:
        raise _from_grpc(error, settings) from error


async def is_lite(client: AsyncMilvusClient, settings: MilvusSettings) -> bool:
    """Say whether the server is Milvus Lite, which names no version: it has fewer kinds of index and filter."""
    async with translated(settings):
        try:
            await client.get_server_version(timeout=settings.request_timeout_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return True
            raise
    return False


def _from_milvus(error: MilvusException, settings: MilvusSettings) -> HeadwaterError:
    code = error.code
    if isinstance(error, _REFUSALS) or code in _PARAMETER_CODES or code == _SEGMENT_CORE:
        return MilvusRefusedError(f"Milvus refuses a row or a filter: {type(error).__name__}, code {code}")
    if code == COLLECTION_NOT_FOUND:
        return CollectionMissingError("the collection does not exist; run `headwater migrate apply`")
    if code == COLLECTION_NOT_LOADED:
        return CollectionNotLoadedError("the collection is not loaded yet")
    if code in _PRIVILEGE_CODES:
        return MilvusAccessError("Milvus refuses the credentials; correct HEADWATER_MILVUS__TOKEN")
    return MilvusBusyError(f"Milvus at {settings.url} cannot answer now: {type(error).__name__}, code {code}")


def _from_grpc(error: grpc.RpcError, settings: MilvusSettings) -> HeadwaterError:
    status = error.code() if callable(getattr(error, "code", None)) else None
    if status in _NO_ACCESS:
        return MilvusAccessError("Milvus refuses the credentials; correct HEADWATER_MILVUS__TOKEN")
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return FatalError(
            f"the server at {settings.url} lacks a call; HEADWATER_MILVUS__URL must name Milvus 2.5 or later"
        )
    if status is grpc.StatusCode.INVALID_ARGUMENT:
        return MilvusRefusedError("Milvus refuses a row or a filter: gRPC INVALID_ARGUMENT")
    return MilvusBusyError(f"Milvus at {settings.url} cannot answer now: gRPC {status}")


def _tame() -> None:
    """Make pymilvus fail at once, keep quiet, and take strings as they are; it has no setting for any of it.

    It would call an absent server again until the timeout, and it logs ordinary errors with the text of expressions. A
    row's string is checked as a list of strings would be, character by character, which is half of what a row costs
    and finds nothing: the server judges lengths.
    """
    if grpc.StatusCode.UNAVAILABLE not in decorators.IGNORE_RETRY_CODES:
        decorators.IGNORE_RETRY_CODES = (*decorators.IGNORE_RETRY_CODES, grpc.StatusCode.UNAVAILABLE)
    logging.getLogger(decorators.__name__).setLevel(logging.CRITICAL)
    entity_helper.CHECK_STR_ARRAY = False
