"""Which of a connector's readings bring about a piece of work."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from connectors.protocol import (
    Connector,
    Cursor,
    FullConnector,
    ItemConnector,
    Observed,
    PermissionsConnector,
)
from connectors.work import Work

# Past this many named items a listing that is compared is made instead: a bucket lists a thousand keys a request.
MOST_LOOKS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One reading. After a `complete` one the source is as the cursor says; a `whole` one lists everything."""

    of: Callable[[Cursor], AsyncIterator[Observed]]
    complete: bool
    whole: bool = False


def passes_of(connector: Connector, work: Work) -> Sequence[Pass]:
    """Return the readings in their order. What a connector cannot do alone is part of a wider reading that it can."""
    if isinstance(connector, FullConnector):
        changes = Pass(of=connector.changes, complete=True)
        everything = Pass(of=connector.everything, complete=True, whole=True)
    else:
        changes = everything = Pass(of=connector.changes, complete=True, whole=True)
    if work.full:
        return [everything]
    passes = [changes] if work.changes else []
    if work.permissions:
        if not isinstance(connector, PermissionsConnector):
            return [everything]
        passes.append(Pass(of=connector.permissions, complete=False))
    # A source that tells its changes may tell no deletion; a listing that is compared sees each item.
    covered = not isinstance(connector, FullConnector) and (work.changes or len(work.items) > MOST_LOOKS)
    if work.items and isinstance(connector, ItemConnector) and not covered:
        passes.append(Pass(of=partial(connector.items, work.items), complete=False))
    elif work.items and not work.changes:
        passes = [changes, *passes]
    return passes


def looks_of(connector: Connector, work: Work, left: frozenset[str]) -> Sequence[Pass]:
    """Return the readings that look at what the work has left; none where it met all that there is."""
    by_name = isinstance(connector, FullConnector) and isinstance(connector, ItemConnector)
    is_met = work.full or (work.changes and not by_name)
    return () if is_met or not left else passes_of(connector, Work(items=left))
