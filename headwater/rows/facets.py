"""Attributes as text tokens that compare as the values do: one form for both stores and for any source's attributes.

An attribute may be text in one source and a number in the next. A field per attribute would make a store refuse rows
(conflicting types) or grow without bound (a mapping entry per name). A token `NAME=KIND:VALUE` does neither: equality
is a look-up of a token, and within a kind the order of tokens is the order of values, so a range is a range of tokens.
"""

import hashlib
import math
import re
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from headwater.errors import PoisonError
from schemas.events.documents import AttributeScalar, AttributeValue

# Names that a filter may use. None of these characters means anything in a token, a Milvus key or a JSON pointer.
ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Longer text is compared by its hash: Lucene refuses terms above 32 KiB, and nobody filters by an essay.
MAX_TEXT_BYTES: Final = 256
# Of one row, all attributes together; Milvus caps an array field at 4,096 values.
MAX_FACETS: Final = 1_024

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SIGN: Final = 1 << 63
_ALL_BITS: Final = (1 << 64) - 1


class RowAttributeError(PoisonError):
    """An attribute of a document is nothing that a store can compare."""


class Kind(StrEnum):
    """What a token's value is. Values of different kinds are never equal, nor in each other's ranges."""

    FLAG = "b"
    NUMBER = "n"
    TIME = "t"
    TEXT = "s"
    HASHED = "h"


RANGED: Final = frozenset({Kind.NUMBER, Kind.TIME})  # kinds that a range may ask for: hexadecimal digits, in order


def comparable(value: AttributeScalar) -> tuple[Kind, str]:
    """Return a value's kind and its text in order: numbers compare as 64-bit floats, times to the microsecond.

    Raises ValueError for what nothing can be compared with: a naive time, NaN, an infinity, an integer beyond a
    float, text that is not Unicode.
    """
    if isinstance(value, bool):
        return Kind.FLAG, str(value).lower()
    if isinstance(value, int | float):
        return Kind.NUMBER, _ordered_number(value)
    if isinstance(value, datetime):
        return Kind.TIME, _ordered_time(value)
    raw = value.encode()
    if len(raw) > MAX_TEXT_BYTES:
        return Kind.HASHED, hashlib.sha256(raw).hexdigest()
    return Kind.TEXT, value


def token(name: str, kind: Kind, text: str) -> str:
    """Return the token of one comparable value; a name has no `=`, so no two values share a token."""
    return f"{name}={kind}:{text}"


def facets(attributes: Mapping[str, AttributeValue]) -> tuple[str, ...]:
    """Return the tokens of a row's attributes, sorted; attributes that no filter can name have none.

    Raises RowAttributeError, naming the attribute, for a value that cannot be compared, or for too many values.
    """
    tokens = sorted({token(name, kind, text) for name, kind, text in comparables(attributes)})
    if len(tokens) > MAX_FACETS:
        raise RowAttributeError(f"attributes: {len(tokens)} values in all, at most {MAX_FACETS}; submit fewer")
    return tuple(tokens)


def comparables(attributes: Mapping[str, AttributeValue]) -> Iterator[tuple[str, Kind, str]]:
    """Yield (name, kind, text) of every value that a filter can name; raise RowAttributeError as `facets` does."""
    for name, value in attributes.items():
        if not ATTRIBUTE_NAME.fullmatch(name):
            continue
        for item in value if isinstance(value, tuple) else (value,):
            try:
                kind, text = comparable(item)
            except ValueError as error:
                raise RowAttributeError(f"attributes.{name}: {error}; correct it at the source") from error
            yield name, kind, text


def _ordered_number(value: float) -> str:
    try:
        number = float(value) + 0.0  # minus zero becomes zero: they are equal
    except OverflowError:
        raise ValueError("a number beyond the range of a 64-bit float") from None
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    bits: int = struct.unpack(">Q", struct.pack(">d", number))[0]
    # IEEE 754 orders by sign and magnitude: flip the sign bit, and all bits of a negative number, and the order of the
    # bits is that of the numbers.
    return f"{bits ^ _ALL_BITS if bits & _SIGN else bits | _SIGN:016x}"


def _ordered_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    return f"{(value - _EPOCH) // timedelta(microseconds=1) + _SIGN:016x}"
