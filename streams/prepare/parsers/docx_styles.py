"""What a DOCX paragraph is, by its style and numbering: a heading, a list item, code or plain text."""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Self

_HEADING_NAME = re.compile(r"heading (\d)", re.IGNORECASE)
_CODE_NAME = re.compile(r"code|preformatted|source|verbatim", re.IGNORECASE)
_BODY_LEVEL = 9  # outline level of body text
_MAX_LEVELS = 9
_MAX_ANCESTORS = 20  # styles may be based on each other in a circle


@dataclass(frozen=True, slots=True, kw_only=True)
class ParagraphStyle:
    """What the chunker needs to know of a paragraph."""

    level: int | None = None  # headings: 0 is the outermost
    numbering: tuple[str, int] | None = None  # list and its level
    is_title: bool = False
    is_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    name: str
    based_on: str
    properties: Any


class Styles:
    """The styles of a document, with what they inherit from each other."""

    def __init__(self, styles: dict[str, _Style]) -> None:
        self._styles = styles

    @classmethod
    def read(cls, root: Any) -> Self:
        """Read a styles part; None gives a document without styles."""
        found = {}
        for style in [] if root is None else root.iterfind("{*}style"):
            found[value_of(style, "styleId")] = _Style(
                name=_value(style.find("{*}name")),
                based_on=_value(style.find("{*}basedOn")),
                properties=style.find("{*}pPr"),
            )
        return cls(found)

    def of(self, paragraph: Any) -> ParagraphStyle:
        """Return what a paragraph is, by its own properties first and then by its style's."""
        own = paragraph.find("{*}pPr")
        lineage = self._lineage(_value(own.find("{*}pStyle")) if own is not None else "")
        properties = [own, *(style.properties for style in lineage)]
        names = [style.name for style in lineage]
        is_title = any(name.lower() == "title" for name in names)
        return ParagraphStyle(
            level=0 if is_title else _heading_level(properties, names),
            numbering=_numbering(properties),
            is_title=is_title,
            is_code=any(_CODE_NAME.search(name) for name in names),
        )

    def _lineage(self, style_id: str) -> list[_Style]:
        lineage: list[_Style] = []
        while style_id in self._styles and len(lineage) < _MAX_ANCESTORS:
            lineage.append(self._styles[style_id])
            style_id = lineage[-1].based_on
        return lineage


class Numbering:
    """Counts list items, as a word processor does when it shows them."""

    def __init__(self, root: Any) -> None:
        self._formats: dict[str, dict[int, str]] = {}
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * _MAX_LEVELS)
        if root is None:
            return
        abstract = {value_of(item, "abstractNumId"): _formats(item) for item in root.iterfind("{*}abstractNum")}
        for number in root.iterfind("{*}num"):
            self._formats[value_of(number, "numId")] = abstract.get(_value(number.find("{*}abstractNumId")), {})

    def label(self, style: ParagraphStyle) -> str:
        """Return the label of the next item, such as `2.1.`, or an empty string for bullets and plain headings."""
        if style.numbering is None:
            return ""
        number, level = style.numbering
        if self._formats.get(number, {}).get(level, "bullet") in {"bullet", "none"}:
            return ""
        counts = self._counts[number]
        counts[level] += 1
        counts[level + 1 :] = [0] * (_MAX_LEVELS - level - 1)
        return ".".join(str(count or 1) for count in counts[: level + 1]) + "."


def value_of(element: Any, attribute: str) -> str:
    """Return an attribute whatever its namespace, or an empty string."""
    names = (name for name in element.attrib if name.rpartition("}")[2] == attribute)
    return next((str(element.attrib[name]) for name in names), "")


def _value(element: Any) -> str:
    return "" if element is None else value_of(element, "val")


def _formats(abstract: Any) -> dict[int, str]:
    return {
        int(value_of(level, "ilvl")): _value(level.find("{*}numFmt"))
        for level in abstract.iterfind("{*}lvl")
        if value_of(level, "ilvl").isdecimal()
    }


def _heading_level(properties: list[Any], names: list[str]) -> int | None:
    for found in properties:
        outline = _value(found.find("{*}outlineLvl")) if found is not None else ""
        if outline.isdecimal():
            return int(outline) if int(outline) < _BODY_LEVEL else None
    matches = (_HEADING_NAME.fullmatch(name) for name in names)
    return next((int(match.group(1)) - 1 for match in matches if match), None)


def _numbering(properties: list[Any]) -> tuple[str, int] | None:
    """Return the list and the level of a paragraph; a style may name one and inherit the other."""
    found = [item.find("{*}numPr") for item in properties if item is not None]
    numbered = [item for item in found if item is not None]
    number = next((_value(child) for item in numbered for child in item.iterfind("{*}numId")), "")
    level = next((_value(child) for item in numbered for child in item.iterfind("{*}ilvl")), "")
    if number in {"", "0"}:  # 0 takes an inherited number away
        return None
    return number, min(int(level), _MAX_LEVELS - 1) if level.isdecimal() else 0
