"""The two plain forms of an event: what fastavro takes, and what people read."""

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from schemas.converters import Conversion, Form, Pair
from schemas.errors import ContractError
from schemas.shapes import full_name


def aware(value: datetime) -> datetime:
    """Return the time itself. Raises ContractError when it has no zone."""
    if value.tzinfo is None:
        raise ContractError(f"{value.isoformat()} has no time zone: events carry aware times")
    return value


# --- the form fastavro takes --------------------------------------------------------------------------------------


def _dump_attribute(value: Any) -> Any:
    # Named branches: fastavro would otherwise try each one, and take a list inside a union for something else.
    if isinstance(value, tuple):
        return ("array", [_dump_attribute(item) for item in value])
    if isinstance(value, datetime):
        return (full_name("Instant"), {"at": aware(value)})
    branch = _BRANCHES.get(type(value))
    if branch is None:
        if isinstance(value, str):
            return ("string", str(value))
        raise ContractError(f"an attribute is text, a number, a flag, a time or a tuple of these, not {value!r}")
    return (branch, value)


_BRANCHES = {str: "string", bool: "boolean", int: "long", float: "double"}


def _load_attribute(value: Any) -> Any:
    if isinstance(value, list):
        return tuple([_load_attribute(item) for item in value])
    return value["at"] if isinstance(value, dict) else value


AVRO = Conversion(
    Form(
        scalars={datetime: Pair(aware, None)},
        attribute=Pair(_dump_attribute, _load_attribute),
        named=lambda name, plain: (name, plain),
    )
)


# --- the form people read: JSON ------------------------------------------------------------------------------------


def _dump_instant(value: datetime) -> str:
    return aware(value).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _load_instant(text: str) -> datetime:
    return aware(datetime.fromisoformat(text)).astimezone(UTC)


def _dump_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _load_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _dump_readable_attribute(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_dump_readable_attribute(item) for item in value]
    return {"at": _dump_instant(value)} if isinstance(value, datetime) else value


def _load_readable_attribute(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_load_readable_attribute(item) for item in value)
    return _load_instant(value["at"]) if isinstance(value, dict) else value


READABLE = Conversion(
    Form(
        scalars={
            datetime: Pair(_dump_instant, _load_instant),
            UUID: Pair(str, UUID),
            bytes: Pair(_dump_bytes, _load_bytes),
        },
        attribute=Pair(_dump_readable_attribute, _load_readable_attribute),
        named=lambda _, plain: plain,
    )
)
