"""Where a listing goes on: opaque to callers, checked when it comes back."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeAlias

from headwater.errors import PoisonError

SortValue: TypeAlias = str | int


class CursorError(PoisonError):
    """A cursor was not made by this listing."""


def encode_cursor(values: Sequence[SortValue]) -> str:
    """Return the sort values of a page's last entry as a cursor."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode()


def decode_cursor(cursor: str, kinds: Sequence[type[SortValue]]) -> list[SortValue]:
    """Return the sort values; raise CursorError unless they are of these types."""
    try:
        values = json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise CursorError("cursor: not one that this listing gave out; leave it out to begin again") from error
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise CursorError("cursor: of another listing; leave it out to begin again")
    return values
