"""What is remembered of a site: one part a content, one a mirrored group, and two times."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from connectors.confluence.rest import GroupRef, Version
from connectors.parts import Parts, below
from connectors.protocol import Cursor, Unnoted
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
    made_ms: int = 0  # when the version was made; 0: an earlier version of this connector did not note it

    @classmethod
    def of(cls, state: bytes | None) -> Self | None:
        """Read it. A part of another form counts as nothing: the content is read again."""
        version, facts, access, place, made = (*(state or b"").decode().split(" "), "", "", "", "")[:5]
        if not version.isdecimal():
            return None
        made_ms = int(made) if made.isdecimal() else 0
        return cls(version=int(version), facts=facts, access=access, place=place, made_ms=made_ms)

    def encoded(self) -> bytes:
        """Return the part of the cursor."""
        made = str(self.made_ms or "")
        return f"{self.version} {self.facts} {self.access} {self.place} {made}".rstrip().encode()

    def is_of(self, version: Version) -> bool:
        """Say whether it is of this very version, whose number shrinks, and comes again, where older ones are removed.

        Sites that tell whole seconds may tell the same one of two edits: then the number is greater.
        """
        if not self.made_ms:
            return self.version == version.number
        return self.made_ms == version.made_ms and version.number <= self.version


def held_contents(since: Cursor) -> Parts:
    """Return what is held, by id."""
    return Parts(below(since, CONTENT))


def group_state(group: Group, ref: GroupRef) -> bytes:
    """Return the part of a group: what it is at its site, and a hash of what was mirrored."""
    digest = hashlib.sha256(json.dumps([group.name, *group.members]).encode()).hexdigest()[:16]
    return _group_part(digest, ref)


def parts_of_unknown(unnoted: Unnoted, since: Cursor) -> dict[str, bytes | None]:
    """Return the parts in which these are held, but as nobody knows what: contents of no version, groups of no hash."""
    held = held_groups({GROUP + each: since[GROUP + each] for each in unnoted.groups if GROUP + each in since})
    groups = {GROUP + each: _group_part("", held.get(each) or GroupRef.of(each)) for each in unnoted.groups}
    return {**dict.fromkeys((CONTENT + each for each in unnoted.external_ids), b""), **groups}


def _group_part(digest: str, ref: GroupRef) -> bytes:
    return json.dumps({"hash": digest, "name": ref.name, "id": ref.id}).encode()


def held_groups(since: Cursor) -> dict[str, GroupRef]:
    """Return the groups that are mirrored, by their id here."""
    return {group_id: GroupRef.model_validate(json.loads(state)) for group_id, state in below(since, GROUP)}


def moment(since: Cursor, part: str) -> datetime | None:
    """Return a time; None where it was never saved."""
    state = since.get(part)
    return datetime.fromisoformat(state.decode()) if state else None


def now() -> datetime:
    """Return the time, as it is saved."""
    return datetime.now(UTC)
