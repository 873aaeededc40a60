"""What a sync is about to submit, noted first: a part of the cursor that is the runner's (ADR 0207).

Killed between a submission and its note in the cursor, nobody knows whether it was made. What it was about may be gone
from the source, or as it was before, when the next sync begins: then no comparison with the cursor would show it.
"""

import json
import zlib
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from connectors.protocol import Cursor, GroupMirrored, Patched, SourceChange, Unnoted

MARK: Final = "!in-flight"
_FIELDS: Final = ("documents", "patched", "groups")
_PLAIN_BYTES: Final = 64 * 1024  # more is compressed: many kills in a row add up, and one record of the log takes 1 MiB

Sent: TypeAlias = SourceChange | GroupMirrored


class InFlight:
    """Save `begun` before something is sent, and `noted` with what is true once it was."""

    def __init__(self, cursor: Cursor) -> None:
        self.left = _read(cursor.get(MARK))  # by a sync that was killed

    def begun(self, changes: Iterable[Sent]) -> dict[str, bytes | None]:
        """Return the part of the cursor before these are sent."""
        return {MARK: _written(_joined(self.left, _unnoted(changes)))}

    def noted(self, changes: Iterable[Sent]) -> dict[str, bytes | None]:
        """Return the part of the cursor once these are submitted and noted."""
        these, left = _unnoted(changes), self.left
        self.left = Unnoted(
            documents=left.documents - these.external_ids,
            patched=left.patched - these.external_ids,
            groups=left.groups - these.groups,
        )
        return {MARK: _written(self.left) if self.left else None}

    def ended(self) -> dict[str, bytes | None]:
        """Return the part of the cursor once all that was left was looked at; nothing where nothing was."""
        was, self.left = self.left, Unnoted()
        return {MARK: None} if was else {}


def _unnoted(changes: Iterable[Sent]) -> Unnoted:
    whole, patched, groups = set(), set(), set()
    for change in changes:
        match change:
            case GroupMirrored():
                groups.add(change.group_id)
            case SourceChange(what=Patched()):
                patched.add(change.external_id)
            case _:
                whole.add(change.external_id)
    return Unnoted(documents=frozenset(whole), patched=frozenset(patched - whole), groups=frozenset(groups))


def _joined(one: Unnoted, other: Unnoted) -> Unnoted:
    documents = one.documents | other.documents
    return Unnoted(
        documents=documents,
        patched=(one.patched | other.patched) - documents,
        groups=one.groups | other.groups,
    )


def _written(unnoted: Unnoted) -> bytes:
    said = {name: sorted(getattr(unnoted, name)) for name in _FIELDS}
    raw = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return raw if len(raw) <= _PLAIN_BYTES else zlib.compress(raw)


def _read(state: bytes | None) -> Unnoted:
    raw = state or b"{}"
    said: Any = json.loads(raw if raw.startswith(b"{") else zlib.decompress(raw))
    return Unnoted(**{name: frozenset(said.get(name, ())) for name in _FIELDS})
