"""What one stack remembers between commands: its id and its ports."""

import json
from dataclasses import asdict, dataclass, replace
from secrets import token_hex

from headwater.local.applications import PER_GENERATION, listener_of, name_of
from headwater.local.places import Places
from headwater.local.ports import LISTENERS, Ports, free_ports


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """`stack.json` in the state folder."""

    stack_id: str  # a new one for each state folder, so that nothing left elsewhere by an older one is taken up again
    ports: Ports
    first: bool = True  # the settings' own generation is fed; false once it was dropped
    fed: tuple[str, ...] = ()  # generations that were added


def read_record(places: Places) -> StackRecord | None:
    """Return what `up` wrote last, or None before the first time.

    Processes that came with a later version than the one that wrote it have free ports in what is returned.
    """
    path = places.state / "stack.json"
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    return with_ports(StackRecord(**{**stored, "fed": tuple(stored.get("fed", ()))}))


def write_record(places: Places, record: StackRecord) -> None:
    places.state.mkdir(parents=True, exist_ok=True)
    path = places.state / "stack.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(record), indent=2))
    fresh.replace(path)


def new_stack_id() -> str:
    return token_hex(6)


def with_ports(record: StackRecord) -> StackRecord:
    """Return the record with a free port for each listener that has none, those of added generations included."""
    added = [listener_of(name_of(name, generation)) for generation in record.fed for name in PER_GENERATION]
    missing = [name for name in (*LISTENERS, *added) if name not in record.ports]
    return replace(record, ports={**record.ports, **free_ports(missing)})
