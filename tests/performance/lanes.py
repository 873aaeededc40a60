"""A live edit beside another tenant's backfill, and two tenants' backfills beside each other."""

import time
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from headwater.errors import FatalError
from schemas.ids import TenantId
from tests.performance.bench import PATIENCE_S, Bench
from tests.performance.edit import measured_edit
from tests.performance.figures import Figure, spread
from tests.performance.tenants import backfill, ingested, new_tenant

_DOCUMENTS = 5_000
_EDITS = 20
_SPREAD = 0.9  # the last edit begins before this part of the backfill is done: the backfill must outlast it
_SHARED = 0.2  # of these are the documents of each of two tenants
_POLL_S = 3.0


def measure_lanes(bench: Bench) -> list[Figure]:
    """Time edits of one tenant idle, then beside a backfill of another; then let two tenants backfill together.

    The edits are as in `edit`. The backfill is 5,000 documents of one chunk each, submitted by a tenant of its own; the
    first edit follows its submission, the others wait until another twentieth of nine tenths of it is searchable. Only
    edits during which it went on count. Of two backfills, one is submitted whole before the other.
    """
    documents = bench.documents or _DOCUMENTS
    bench.settle()
    with bench.filled("lanes", ()) as base:
        measured_edit(bench, base.name, 0)  # a document that is new is another matter
        idle = [measured_edit(bench, base.name, number).both for number in range(1, _EDITS + 1)]
        crowd = new_tenant(bench.settings, "crowd")
        backfill(bench.settings, crowd, documents)
        beside = []
        for number in range(_EDITS):
            _done(bench, crowd, due(number, documents))
            beside.append(measured_edit(bench, base.name, _EDITS + 1 + number).both)
        done = len(ingested(bench.settings, crowd))
        if done >= documents:
            raise FatalError(f"the backfill of {documents} was over before the edits were: ask for more `--documents`")
    bench.say(f"{done} of {documents} backfill documents were searchable when the last edit was")
    _done(bench, crowd, documents)  # minutes; the stack comes to rest only then
    p50, p95 = (float(np.quantile(beside, share) / np.quantile(idle, share)) for share in (0.50, 0.95))
    return [
        *spread("edit, idle", idle),
        *spread(f"edit, beside a backfill of {documents:,} documents", beside),
        Figure(name="edit beside a backfill / idle, p50", value=p50, unit="x", goal=3.0),
        Figure(name="edit beside a backfill / idle, p95", value=p95, unit="x"),
        Figure(name="backfill documents searchable meanwhile", value=done, unit="documents"),
        *_shares(bench, int(documents * _SHARED)),
    ]


def due(edit: int, documents: int) -> int:
    """Return how many documents of the backfill are searchable before an edit begins; edits count from 0."""
    return int(documents * _SPREAD * edit / _EDITS)


def _shares(bench: Bench, documents: int) -> list[Figure]:
    """Return the later tenant's share of what became searchable while both waited: half would be its due."""
    bench.settle()
    first, second = (new_tenant(bench.settings, name) for name in ("first", "second"))
    backfill(bench.settings, first, documents)
    backfill(bench.settings, second, documents)
    times = [_done(bench, tenant, documents) for tenant in (first, second)]
    share = later_share(*times)
    return [Figure(name="share of the later of two backfills", value=share, unit="", goal=0.4, bound="at least")]


def later_share(first: Sequence[datetime], second: Sequence[datetime]) -> float:
    """Return the second's part of all documents between its first one and the end of whichever ended first."""
    begin, end = second[0], min(first[-1], second[-1])
    mine, others = (sum(begin <= each <= end for each in times) for times in (second, first))
    return mine / (mine + others)


def _done(bench: Bench, tenant: TenantId, documents: int) -> Sequence[datetime]:
    """Wait for so many of a tenant's documents; return when each became searchable."""
    deadline, most = time.monotonic() + PATIENCE_S, -1
    while time.monotonic() < deadline:
        times = ingested(bench.settings, tenant)
        if len(times) >= documents:
            return times
        if len(times) > most:
            deadline, most = time.monotonic() + PATIENCE_S, len(times)
        time.sleep(_POLL_S)
    raise FatalError(
        f"{most} of {documents} documents are searchable, none followed: `headwater status` shows who waits"
    )
