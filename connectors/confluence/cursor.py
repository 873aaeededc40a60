"""What is remembered of a site: one part a content, one a mirrored group, and two times."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.confluence.rest import GroupRef
from connectors.protocol import Cursor
from schemas.events.directory import Group

CONTENT: Final = "c/"  # then the content's id
GROUP: Final = "g/"  # then the mirrored group's id
SEARCHED: Final = "searched"  # when the last search that was worked off began
LISTED: Final = "listed"  # when the last complete listing began


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was submitted of a content."""

    version: int
    facts: str  # hash of what is told of it beside its body
    access: str  # hash
    place: str = ""  # hash of where it lies; empty: an earlier version of this connector did not note it

    def encoded(self) -> bytes:
        """Return the part of the cursor."""
        return f"{self.version} {self.facts} {self.access} {self.place}".rstrip().encode()


def held_contents(since: Cursor) -> dict[str, Held]:
    """Return what is held, by id. A part of another form counts as nothing: the content is read again."""
    found = {}
    for part, state in since.items():
        if part.startswith(CONTENT):
            version, facts, access, place = (*state.decode().split(" "), "", "", "")[:4]
            if version.isdecimal():
                held = Held(version=int(version), facts=facts, access=access, place=place)
                found[part.removeprefix(CONTENT)] = held
    return found


def group_state(group: Group, ref: GroupRef) -> bytes:
    """Return the part of a group: what it is at its site, and a hash of what was mirrored."""
    digest = hashlib.sha256(json.dumps([group.name, *group.members]).encode()).hexdigest()[:16]
    return json.dumps({"hash": digest, "name": ref.name, "id": ref.id}).encode()


def held_groups(since: Cursor) -> dict[str, GroupRef]:
    """Return the groups that are mirrored, by their id here."""
    states: Mapping[str, bytes] = {
        part.removeprefix(GROUP): state for part, state in since.items() if part.startswith(GROUP)
    }
    return {group_id: GroupRef.model_validate(json.loads(state)) for group_id, state in states.items()}


def moment(since: Cursor, part: str) -> datetime | None:
    """Return a time; None where it was never saved."""
    state = since.get(part)
    return datetime.fromisoformat(state.decode()) if state else None


def now() -> datetime:
    """Return the time, as it is saved."""
    return datetime.now(UTC)
