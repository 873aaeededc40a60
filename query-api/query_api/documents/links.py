"""Addresses that callers write: shown to readers as links, so none that a browser would run."""

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, StringConstraints

_RUN: Final = ("javascript:", "vbscript:", "data:")


def _opened_not_run(url: str) -> str:
    """Refuse what browsers run. They skip white space and control characters, and any case will do (WHATWG URL)."""
    seen = "".join(character for character in url if character > " ").lower()
    if seen.startswith(_RUN):
        raise ValueError("a browser would run this: write an address that is opened, https://... or a path")
    return url


Url: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4_000), AfterValidator(_opened_not_run)]
