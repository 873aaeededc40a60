"""The outline of program text: where it may be cut, and what is defined where. What code's parser hands the chunker.

All places are starts of lines, as offsets into the canonical text.
"""

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch [start, end) of whole lines: a definition, a statement or several on one line, with what leads to it.

    Comments, decorators and attributes right above a statement are in its part. The inner parts, where there are any,
    have every character of it.
    """

    start: int
    end: int
    key: int  # what the place before the part is known by begins here: a definition's name, else the part's own words
    bound: bool = False  # belongs to the part before it, as a docstring does: cut there last of all
    inner: tuple["Part", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Something with a name and a body: from the comment above it to the end of its last line."""

    start: int
    end: int
    path: tuple[str, ...]  # names from the outermost to its own
    outer: int | None  # the definition around it, by its place in the outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A file of program text. Definitions are in order of their start, an outer one before its inner ones."""

    whole: Part
    definitions: tuple[Definition, ...]
    module: tuple[str, ...]  # the package or namespace that the file says it is in, where its language has such a line
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare `around`."""
        object.__setattr__(self, "_starts", tuple(each.start for each in self.definitions))

    def around(self, start: int, end: int) -> Definition | None:
        """Return the innermost definition that [start, end) lies in."""
        index = bisect_right(self._starts, start) - 1
        at: int | None = index if index >= 0 else None
        while at is not None and self.definitions[at].end < end:
            at = self.definitions[at].outer
        return self.definitions[at] if at is not None else None
