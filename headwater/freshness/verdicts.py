"""Verdicts as metrics: live edits counted against their objectives."""

from collections.abc import Iterable
from typing import Final

from headwater.freshness.objectives import Promise, View
from headwater.telemetry.metrics import FRESHNESS_JUDGED

_WITHIN: Final = "within"
_LATE: Final = "late"


def start_at_zero(view: View, promises: Iterable[Promise]) -> None:
    """Show every counter of a view from the start: Prometheus sees no increase in a series that begins at one."""
    for promise in promises:
        for verdict in (_WITHIN, _LATE):
            FRESHNESS_JUDGED.labels(objective=promise.value, view=view.value, verdict=verdict)


def count(promise: Promise, view: View, *, within: bool) -> None:
    """Count one event that a promise is about."""
    FRESHNESS_JUDGED.labels(objective=promise.value, view=view.value, verdict=_WITHIN if within else _LATE).inc()
