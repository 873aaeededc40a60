"""Conditional requests (RFC 9110, section 13): what recognises a state, and asks for it only if changed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

# Quotes are left off by some servers, so they are not asked for; what would break a header is.
_VALUE: Final = re.compile(r"[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server recognises a state by. Both are opaque: they are given back as they came."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """Read them from a response's headers (names in lower case). What is no printable value is left out."""
        return cls(etag=_clean(headers.get("etag")), last_modified=_clean(headers.get("last-modified")))

    def or_else(self, earlier: "Validators") -> "Validators":
        """Return these, with what they lack taken from the ones that were asked with: a 304 may leave them out."""
        return Validators(etag=self.etag or earlier.etag, last_modified=self.last_modified or earlier.last_modified)

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the content only if it changed; none where nothing is known."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in found.items() if value is not None}


NO_VALIDATORS: Final = Validators()


def _clean(value: str | None) -> str | None:
    return value if value is not None and _VALUE.fullmatch(value) else None
