"""Where in what was sent an error is, as callers write it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

_BESIDE_THE_BODY: Final = frozenset({"path", "query", "header", "cookie"})


def place_of(error: Mapping[str, Any], sent: object) -> tuple[str | int, ...]:
    """Return where in what was sent an error is; pydantic's own words for alternatives that it tried are left out."""
    location: tuple[str | int, ...] = tuple(error["loc"])
    if not isinstance(sent, Mapping | list) or location[0] in _BESIDE_THE_BODY:
        return location
    kept: list[str | int] = []
    node: Any = sent
    for last, part in enumerate(location, start=1 - len(location)):
        if _holds(node, part):
            kept.append(part)
            node = node[part]
        elif (part == "body" and not kept) or part == "[key]" or (last == 0 and error["type"] == "missing"):
            kept.append(part)
    return tuple(kept)


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, Mapping) and part in node


def field_name(location: Iterable[str | int]) -> str:
    """Write pydantic's location as `access.clauses[0].principals`; where a value came from is left out."""
    name = ""
    parts = list(location)
    for part in parts[1:] if len(parts) > 1 and parts[0] in {"body", "query", "path", "header"} else parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name
