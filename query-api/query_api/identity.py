"""Who calls: tenant, user and principals, from credentials only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from headwater.ports.heads import Directory, DirectoryEntry
from query_api.credentials import PresentedKey, ServerSecret, parse_key
from query_api.problems import ForbiddenError, UnauthenticatedError
from query_api.runtime import Runtime
from schemas.events.directory import ApiKey, DirectoryKind
from schemas.ids import SYSTEM_TENANT, Principal, TenantId


class Scope(StrEnum):
    """What a key is for. Scopes do not imply one another."""

    READ = "read"  # search, ask, read documents; still only what the user may read
    WRITE = "write"  # maintain the documents of API sources, whoever may read them
    ADMIN = "admin"  # the tenant's directory and keys
    SYSTEM = "system"  # tenants themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An authenticated caller."""

    tenant_id: TenantId
    user: str
    key_id: str
    scopes: frozenset[Scope]
    principals: frozenset[Principal]

    @property
    def principal(self) -> Principal:
        """Return `user:ID`: the actor in the audit trail."""
        return Principal(f"user:{self.user}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Turns an Authorization header into an identity, by the directory as this replica knows it."""

    directory: Directory
    secret: ServerSecret
    max_principals: int

    @classmethod
    def of(cls, runtime: Runtime) -> "Authenticator":
        """Build one on what this replica knows."""
        return cls(
            directory=runtime.directory, secret=runtime.secret, max_principals=runtime.settings.api.max_principals
        )

    def authenticate(self, authorization: str | None, *, now: datetime) -> Identity:
        """Raise UnauthenticatedError without saying which part was wrong, ForbiddenError for too many groups."""
        key = _bearer(authorization)
        entry = self.directory.get(key.tenant_id, DirectoryKind.API_KEY, key.key_id)
        record = entry.record if entry else None
        if not isinstance(record, ApiKey) or not self.secret.matches(key, record.hash):
            raise UnauthenticatedError("the API key is not valid")
        if record.expires_at is not None and record.expires_at <= now:
            raise UnauthenticatedError("the API key has expired")
        return self._identity(key, record)

    def _identity(self, key: PresentedKey, record: ApiKey) -> Identity:
        principals = self.directory.principals(key.tenant_id, record.user)
        if not principals or not self._tenant_exists(key.tenant_id):
            raise UnauthenticatedError("the API key's user or tenant does not exist any more")
        if len(principals) > self.max_principals:
            raise ForbiddenError(
                f"the caller is in more than {self.max_principals} groups",
                remedy="Take the user out of groups, nest fewer of them, or raise HEADWATER_API__MAX_PRINCIPALS.",
            )
        return Identity(
            tenant_id=key.tenant_id,
            user=record.user,
            key_id=key.key_id,
            scopes=frozenset(scope for scope in Scope if scope in record.scopes),
            principals=principals,
        )

    def _tenant_exists(self, tenant: TenantId) -> bool:
        return tenant_entry(self.directory, tenant) is not None


def tenant_entry(directory: Directory, tenant: TenantId) -> DirectoryEntry | None:
    """Return a tenant's own record, which belongs to the system tenant."""
    return directory.get(SYSTEM_TENANT, DirectoryKind.TENANT, tenant)


def _bearer(authorization: str | None) -> PresentedKey:
    scheme, _, text = (authorization or "").partition(" ")
    key = parse_key(text) if scheme.lower() == "bearer" else None
    if key is None:
        raise UnauthenticatedError("no API key in the Authorization header")
    return key
