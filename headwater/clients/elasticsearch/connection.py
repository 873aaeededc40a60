"""The client itself: opened without a first call, errors translated, its own retries off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError
from headwater.settings import ElasticsearchSettings
from headwater.telemetry.tracing import span

# Blocked for writing (a full disk, a restore): it passes, though it comes with a client's status.
_PASSING: Final = frozenset({"cluster_block_exception", "circuit_breaking_exception"})
_SERVER_ERRORS: Final = 500


class ElasticsearchBusyError(RetryableError):
    """Elasticsearch is away, restarting or out of capacity."""


class ElasticsearchRefusedError(PoisonError):
    """Elasticsearch refuses what it was given."""


class IndexMissingError(FatalError):
    """An index does not exist."""


class ElasticsearchAccessError(FatalError):
    """Elasticsearch refuses the credentials."""


@asynccontextmanager
async def open_client(settings: ElasticsearchSettings) -> AsyncIterator[AsyncElasticsearch]:
    """Open without a first call: an absent Elasticsearch must not keep a process from starting."""
    options: dict[str, Any] = {}
    if settings.username is not None and settings.password is not None:
        options["basic_auth"] = (settings.username, settings.password.get_secret_value())
    if settings.ca_file is not None:
        options["ca_certs"] = str(settings.ca_file)
    client = AsyncElasticsearch(
        settings.url, request_timeout=settings.request_timeout_s, max_retries=0, retry_on_timeout=False, **options
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def translated(settings: ElasticsearchSettings) -> AsyncIterator[None]:
    """Bound what runs inside by the request timeout and raise our errors for the client's own.

    Their texts name error types and settings only: Elasticsearch's reasons quote documents and queries.
    """
    try:
        with span("elasticsearch", dependency="elasticsearch"):
            async with asyncio.timeout(settings.request_timeout_s):
                yield
    except TimeoutError as error:
        raise ElasticsearchBusyError(
            f"no answer from {settings.url} within "
            f"HEADWATER_ELASTICSEARCH__REQUEST_TIMEOUT_S={settings.request_timeout_s:g}"
        ) from error
    except ApiError as error:
        raise judged(error.status_code, error.error) from error
    except TransportError as error:
        raise ElasticsearchBusyError(f"Elasticsearch at {settings.url} is away: {type(error).__name__}") from error


def judged(status: int, error_type: str) -> HeadwaterError:
    """Return our error for a status and an error type, of a request or of one item of a bulk."""
    named = f"{error_type}, status {status}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} and error_type not in _PASSING:
        return ElasticsearchAccessError(
            f"Elasticsearch refuses access ({named}); correct HEADWATER_ELASTICSEARCH__USERNAME and __PASSWORD"
        )
    if status == HTTPStatus.NOT_FOUND:
        return IndexMissingError(f"an index does not exist ({named}); run `headwater migrate apply`")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= _SERVER_ERRORS or error_type in _PASSING:
        return ElasticsearchBusyError(f"Elasticsearch cannot answer now ({named})")
    return ElasticsearchRefusedError(f"Elasticsearch refuses a document or a query ({named})")
