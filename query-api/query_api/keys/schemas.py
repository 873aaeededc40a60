"""API keys as they are asked for and shown. A key itself is shown once; its hash never."""

from datetime import datetime
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from query_api.identity import Scope

YEAR_S: Final = 365 * 24 * 3600
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
UserId: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Lifetime: TypeAlias = Annotated[int, Field(ge=1, le=5 * YEAR_S)]


class KeyRequest(BaseModel):
    """A key to make. For another user than oneself: to give a service its own, or to act as someone for a while."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name = Field(examples=["laptop"])
    user: UserId | None = Field(default=None, description="Omitted: the caller.")
    scopes: frozenset[Scope] = Field(default=frozenset({Scope.READ}), min_length=1)
    expires_in_s: Lifetime = Field(default=YEAR_S, description="Give minutes to act as another user.")


class RotationRequest(BaseModel):
    """How to replace a key: the old one stays valid for a while beside the new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    overlap_s: int = Field(default=24 * 3600, ge=0, le=90 * 24 * 3600)
    expires_in_s: Lifetime = YEAR_S


class AdministratorRequest(BaseModel):
    """The first administrator of a tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    user: UserId = "admin"
    expires_in_s: Lifetime = YEAR_S


class KeyView(BaseModel, frozen=True):
    """A key without what makes it valid."""

    id: str
    name: str
    user: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None


class NewKey(KeyView, frozen=True):
    """A new key. `key` is shown here and nowhere else."""

    key: str = Field(examples=["hw_default.0123456789abcdef_..."])
    applied: bool = Field(description="Whether this replica takes the key already; it does within milliseconds.")
    token: str


class KeyList(BaseModel, frozen=True):
    """Keys, ordered by id."""

    keys: list[KeyView]


class KeyDeleted(BaseModel, frozen=True):
    """A deletion is in the log; once a replica has read it, the key is void there."""

    id: str
    token: str
