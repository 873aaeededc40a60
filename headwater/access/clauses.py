"""Access rules: what they mean, and the part of them that a row carries for the stores' own filters."""

import re
from collections.abc import Set as AbstractSet
from typing import Final

from headwater.errors import PoisonError
from schemas.events.documents import Access, Clause
from schemas.ids import EVERYONE, Principal

# Held by every caller in a store's filter, and by no one at the gate: stands for a clause too large for a row.
ANYONE: Final = Principal("*")
# Milvus caps an array field; a filter is a superset anyway, so a larger clause is left to the gate.
MAX_ROW_READERS: Final = 256
MAX_CLAUSES: Final = 32
MAX_PRINCIPALS: Final = 10_000

_PRINCIPAL = re.compile(r"(user:[^\s]{1,200}|group:[^\s:]{1,100}:[^\s]{1,200}|everyone)")


class AccessRuleError(PoisonError):
    """An access rule is not well-formed."""


def permits(access: Access, principals: AbstractSet[Principal]) -> bool:
    """Say whether a caller with these principals may read: every clause matches, `deny` does not.

    A rule without clauses is for nobody: permissions that are not known admit no one.
    """
    if not access.clauses or not principals.isdisjoint(access.deny):
        return False
    return all(not principals.isdisjoint(clause.principals) for clause in access.clauses)


def check_access(access: Access) -> None:
    """Raise AccessRuleError where a rule is malformed; the text names the part and the remedy."""
    if len(access.clauses) > MAX_CLAUSES:
        raise AccessRuleError(f"access.clauses: {len(access.clauses)} clauses, at most {MAX_CLAUSES}; merge some")
    total = len(access.deny) + sum(len(clause.principals) for clause in access.clauses)
    if total > MAX_PRINCIPALS:
        raise AccessRuleError(f"access: {total} principals, at most {MAX_PRINCIPALS}; name groups instead of users")
    parts = [(f"access.clauses[{n}]", clause.principals) for n, clause in enumerate(access.clauses)]
    for name, principals in [*parts, ("access.deny", access.deny)]:
        for principal in principals:
            if not _PRINCIPAL.fullmatch(principal):
                raise AccessRuleError(
                    f"{name}: {principal[:80]!r} is not a principal; write user:ID, group:SOURCE:ID or everyone"
                )


def row_readers(access: Access) -> tuple[tuple[Principal, ...], tuple[Principal, ...]]:
    """Return the readers of the two most selective clauses, for the stores' filters; a superset, never a loss.

    With one clause the second is the first again; without clauses both are empty: nobody.
    """
    ordered = sorted(access.clauses, key=_breadth)[:2]
    if not ordered:
        return (), ()
    first, *rest = (_row_principals(clause) for clause in ordered)
    return first, rest[0] if rest else first


def _breadth(clause: Clause) -> tuple[bool, int, tuple[Principal, ...]]:
    """Sort key: the narrowest clause first; the principals themselves make the order total."""
    return EVERYONE in clause.principals, len(clause.principals), clause.principals


def _row_principals(clause: Clause) -> tuple[Principal, ...]:
    if len(clause.principals) > MAX_ROW_READERS:
        return (ANYONE,)
    return tuple(sorted(set(clause.principals)))
