"""A document's state as sources describe it: taken from a record, normalised, patched, compared."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime

from schemas.events.documents import (
    NOBODY,
    Access,
    AttributeValue,
    Clause,
    DocumentChanged,
    DocumentPatch,
    DocumentState,
)
from streams.admit.outcomes import Refusal, RefusedError

_FIELDS = tuple(field.name for field in fields(DocumentState))
_SET_BY_PATCH = tuple(name for name in _FIELDS if name != "attributes")
_REQUIRED = frozenset({"knowledge_base", "title"})
_EMPTY: Mapping[str, object] = {"access": NOBODY, "attributes": {}, "links": (), "holds": ()}
_ATTRIBUTE = "attributes."


def state_of(record: DocumentChanged) -> DocumentState:
    """Return the state that a record of the log carries."""
    return DocumentState(**{name: getattr(record, name) for name in _FIELDS})


def normalised(state: DocumentState) -> DocumentState:
    """Bring what has no order into one, so that the same permissions always look the same."""
    clauses = {tuple(sorted(set(clause.principals))) for clause in state.access.clauses}
    access = Access(
        clauses=tuple(Clause(principals=principals) for principals in sorted(clauses)),
        deny=tuple(sorted(set(state.access.deny))),
    )
    return replace(state, access=access, holds=tuple(sorted(set(state.holds))))


def patched(state: DocumentState, patch: DocumentPatch) -> DocumentState:
    """Apply `clear`, then the fields that are set, then the attributes by name. Raises RefusedError for bad names."""
    changes: dict[str, object] = {}
    attributes = dict(state.attributes)
    for name in patch.clear:
        if name.startswith(_ATTRIBUTE):
            attributes.pop(name.removeprefix(_ATTRIBUTE), None)
        elif name == "attributes":
            attributes.clear()
        elif name in _FIELDS and name not in _REQUIRED:
            changes[name] = _EMPTY.get(name)
        else:
            raise RefusedError(
                Refusal.INVALID, f"patch.clear: {name!r} cannot be cleared; name an optional field or `attributes.NAME`"
            )
    changes |= {name: value for name in _SET_BY_PATCH if (value := getattr(patch, name)) is not None}
    changes["attributes"] = attributes | dict(patch.attributes)
    return replace(state, **changes)  # type: ignore[arg-type]  # values come from fields of the same names


def keeping_obligations(state: DocumentState, previous: DocumentState) -> DocumentState:
    """Carry holds and retention over a full-state write.

    A source does not know what the legal department has set on its documents. Only a patch that names these fields
    releases them.
    """
    return replace(
        state,
        holds=tuple(sorted({*state.holds, *previous.holds})),
        retain_until=_later(state.retain_until, previous.retain_until),
    )


def same(one: DocumentState, other: DocumentState) -> bool:
    """Say whether nothing differs: neither the content's hash, nor metadata, permissions or the type of a value."""
    return one == other and _typed(one.attributes) == _typed(other.attributes)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


def _typed(attributes: Mapping[str, AttributeValue]) -> dict[str, tuple[type, ...]]:
    # 1 == 1.0 == True in Python; they are different attributes.
    return {
        name: tuple(map(type, value)) if isinstance(value, tuple) else (type(value),)
        for name, value in attributes.items()
    }
