"""Golden examples: for each event what people read (`.json`) and the bytes it stands for (`.bin`)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.codec import encode
from schemas.conversion import READABLE
from schemas.errors import ContractError
from schemas.events import EVENT_TYPES
from schemas.registry import SCHEMAS_FOLDER
from schemas.shapes import snake_case

EXAMPLES_FOLDER = SCHEMAS_FOLDER / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One event in both forms. `binary` is None until `freeze` has written it."""

    name: str  # EVENT/CASE
    event_type: type
    event: Any
    binary: bytes | None


def load_examples(folder: Path = EXAMPLES_FOLDER) -> Iterator[Example]:
    """Read all examples: folder `document_changed`, file `deleted.json`. Raises ContractError naming a bad file."""
    types = {snake_case(kind): kind for kind in EVENT_TYPES}
    for path in sorted(folder.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        event_type = types.get(path.parent.name)
        if event_type is None:
            raise ContractError(f"schemas/examples/{name}.json: there is no event {path.parent.name}")
        try:
            event = READABLE.load(json.loads(path.read_text(encoding="utf-8")), event_type)
        except ValueError as error:
            raise ContractError(f"schemas/examples/{name}.json: {error}") from error
        binary = path.with_suffix(".bin")
        yield Example(
            name=name,
            event_type=event_type,
            event=event,
            binary=binary.read_bytes() if binary.exists() else None,
        )


def freeze(folder: Path = EXAMPLES_FOLDER) -> tuple[str, ...]:
    """Write the bytes of examples that have none yet and return their names. Bytes once written are never replaced."""
    fresh = [example for example in load_examples(folder) if example.binary is None]
    for example in fresh:
        (folder / f"{example.name}.bin").write_bytes(encode(example.event))
    return tuple(example.name for example in fresh)
