"""The staleness budget: a replica that is further behind the log refuses."""

from datetime import datetime, timedelta

from query_api.problems import StaleReplicaError
from query_api.runtime import Runtime


def require_current(runtime: Runtime) -> datetime:
    """Return as of when the replica is current; raise StaleReplicaError past the budget.

    A replica that is being rebuilt is as of 1970. Asked after a look at heads or directory, it therefore also says that
    the look was not at what a lost folder or a half-read log made of them (ADR 0074).
    """
    as_of = runtime.heads.as_of()
    if runtime.now() - as_of > timedelta(seconds=runtime.settings.heads.staleness_budget_s):
        raise StaleReplicaError(f"this replica is current as of {as_of.isoformat()} only")
    return as_of
