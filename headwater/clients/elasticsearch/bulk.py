"""Bulk writes, judged item by item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.connection import judged, translated
from headwater.errors import FatalError, HeadwaterError, RetryableError
from headwater.settings import ElasticsearchSettings

# Already there, or newer: what was wanted. Rows and versioned records make every write repeatable.
_DONE: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Write a document that never changes; one that exists already stays."""

    index: str
    key: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """Write a document unless one of a higher version is stored."""

    index: str
    key: str
    version: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a document if it is there; with a version, unless one of a higher version is stored."""

    index: str
    key: str
    version: int | None = None


Write = Create | Replace | Delete


async def write_all(
    client: AsyncElasticsearch,
    writes: Sequence[Write],
    *,
    settings: ElasticsearchSettings,
    refresh: Literal["true", "false"] = "true",
) -> int:
    """Send all writes in one request; with `refresh` readers see them on return. Return how many changed something.

    Raises the gravest error of any item: fatal, then retryable (the whole is sent again, harmlessly), then poison.
    """
    if not writes:
        return 0
    operations: list[Mapping[str, Any]] = []
    for write in writes:
        operations.extend(_operations(write))
    async with translated(settings):
        response = await client.bulk(operations=operations, refresh=refresh)
    results = [result for item in response["items"] for result in item.items()]
    errors = [error for operation, result in results if (error := _error(operation, result)) is not None]
    if errors:
        raise min(errors, key=_gravity)
    return sum(result["status"] in {HTTPStatus.OK, HTTPStatus.CREATED} for _, result in results)


def _operations(write: Write) -> tuple[Mapping[str, Any], ...]:
    target: dict[str, Any] = {"_index": write.index, "_id": write.key}
    match write:
        case Create():
            return {"create": target}, write.document
        case Replace():
            return {"index": target | {"version": write.version, "version_type": "external_gte"}}, write.document
        case Delete():
            fence = {} if write.version is None else {"version": write.version, "version_type": "external_gte"}
            return ({"delete": target | fence},)


def _error(operation: str, result: Mapping[str, Any]) -> HeadwaterError | None:
    status = int(result["status"])
    absent = operation == "delete" and status == HTTPStatus.NOT_FOUND and "error" not in result
    if status in _DONE or absent:
        return None
    return judged(status, result.get("error", {}).get("type", "unknown"))


def _gravity(error: HeadwaterError) -> int:
    if isinstance(error, FatalError):
        return 0
    return 1 if isinstance(error, RetryableError) else 2
