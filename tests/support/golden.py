"""Events to build tests from: the contracts' own golden examples."""

import json
from pathlib import Path
from typing import TypeVar

from schemas.conversion import READABLE
from schemas.shapes import snake_case

E = TypeVar("E")
_EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def golden(kind: type[E], name: str) -> E:
    """Return the example `name` of an event; change it with `dataclasses.replace`."""
    path = _EXAMPLES / snake_case(kind) / f"{name}.json"
    event: E = READABLE.load(json.loads(path.read_text()), kind)
    return event
