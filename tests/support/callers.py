"""Who a user is once a source's groups are mirrored."""

from collections.abc import Mapping, Sequence

from schemas.ids import EVERYONE, Principal


def principals(groups: Mapping[str, Sequence[Principal]], user: str, *, source: str) -> set[Principal]:
    """Close a user's groups, as the directory does. `groups`: members by the source's own id."""
    found = {Principal(f"user:{user}"), EVERYONE}
    while True:
        outer = {Principal(f"group:{source}:{name}") for name, members in groups.items() if found & set(members)}
        if outer <= found:
            return found
        found |= outer
