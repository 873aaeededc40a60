r"""Which keys are documents: globs, one dialect, matched against the key below the connected prefix.

`*` any characters but `/`; `**` any characters, `/` too, and `**/` also nothing; `?` one character but `/`; `[abc]`,
`[a-z]`, `[!abc]` one of a set; `\` takes the next character as it is. Case counts. A glob matches the whole key.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from headwater.errors import FatalError

_SPECIAL: Final = re.compile(r"\\(.)|\*\*/|\*\*|\*|\?|\[(!?)([^\]]+)\]|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Included by at least one glob (or all, where none is given) and excluded by none."""

    include: tuple[re.Pattern[str], ...]
    exclude: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, *, include: Sequence[str], exclude: Sequence[str]) -> Self:
        """Compile globs. Raise FatalError naming the one that is none."""
        return cls(include=tuple(map(compiled, include)), exclude=tuple(map(compiled, exclude)))

    def takes(self, key: str) -> bool:
        """Say whether a key, below the prefix, is a document."""
        if any(each.fullmatch(key) for each in self.exclude):
            return False
        return not self.include or any(each.fullmatch(key) for each in self.include)


def compiled(glob: str) -> re.Pattern[str]:
    """Translate one glob. Raise FatalError where it is none."""
    try:
        return re.compile("".join(_translated(found) for found in _SPECIAL.finditer(glob)), re.DOTALL)
    except re.error as error:
        raise FatalError(f"glob {glob!r}: {error}; see docs/connect-s3.md for the dialect") from error


def _translated(found: re.Match[str]) -> str:
    text, escaped, negated, members = found[0], found[1], found[2], found[3]
    if escaped is not None:
        return re.escape(escaped)
    if members is not None:
        inside = members.replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
        return f"[^/{inside}]" if negated else f"[{inside}]"
    plain = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return plain.get(text) or re.escape(text)
