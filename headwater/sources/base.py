"""What the settings of all kinds have in common."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, Field

# Below the first a request waits for minutes that nobody sees; above the last ones a worker's own connections are the
# limit.
RequestsPerSecond: TypeAlias = Annotated[float, Field(ge=0.01, le=10_000.0)]
Concurrency: TypeAlias = Annotated[int, Field(ge=1, le=256)]


class SourceSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Base of each kind's settings; a field of this class is a setting of every kind.

    What is given may be a credential in the wrong place, so that no error quotes it; messages of validators must not
    either.
    """


class BudgetSettings(SourceSettings):
    """Settings of every kind that is asked over HTTP. None: what `HEADWATER_EGRESS__...` says for all sources."""

    requests_per_s: RequestsPerSecond | None = None  # all requests of the source together
    concurrency: Concurrency | None = None  # of them under way at once
