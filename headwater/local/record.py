"""What one stack remembers between commands: its id and its ports."""

import json
from dataclasses import asdict, dataclass
from secrets import token_hex

from headwater.local.places import Places
from headwater.local.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """`stack.json` in the state folder."""

    stack_id: str  # a new one for each state folder, so that nothing left elsewhere by an older one is taken up again
    ports: Ports


def read_record(places: Places) -> StackRecord | None:
    """Return what `up` wrote last, or None before the first time."""
    path = places.state / "stack.json"
    if not path.exists():
        return None
    return StackRecord(**json.loads(path.read_text()))


def write_record(places: Places, record: StackRecord) -> None:
    places.state.mkdir(parents=True, exist_ok=True)
    path = places.state / "stack.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(record), indent=2))
    fresh.replace(path)


def new_stack_id() -> str:
    return token_hex(6)
