"""API keys: made, rotated, withdrawn. What is stored is a keyed hash."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from headwater.access.tokens import merge_tokens
from headwater.errors import RetryableError
from headwater.ports.heads import DirectoryEntry, Positions
from query_api.authorization import Action, RefusedError, Resource, authorize
from query_api.changes import Origin
from query_api.credentials import PresentedKey, new_key
from query_api.directory.service import DirectoryService
from query_api.identity import Identity, Scope, tenant_entry
from query_api.problems import InvalidRequestError, NotFoundError
from query_api.runtime import Runtime
from schemas.events.directory import ApiKey, DirectoryKind, DirectoryOp, User
from schemas.ids import TenantId

# Long enough for admission and this replica on a busy day; a caller who gets `applied: false` only tries again.
APPLY_WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key that was submitted, with its plain text for the one time it is shown."""

    plain: PresentedKey
    record: ApiKey
    positions: Positions
    applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyService:
    """Manages keys for one caller."""

    runtime: Runtime
    commands: DirectoryService

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "KeyService":
        """Build one for a request."""
        return cls(runtime=runtime, commands=DirectoryService.of(runtime, origin))

    @property
    def caller(self) -> Identity:
        """Return who asks."""
        return self.commands.origin.caller

    async def create(self, *, name: str, user: str | None, scopes: Iterable[Scope], lifetime: timedelta) -> MadeKey:
        """Make a key, for oneself or another user of the tenant, with no more scopes than the caller's."""
        authorize(self.caller, Action.MANAGE_KEYS, self._resource("*"))
        owner = user or self.caller.user
        if self.runtime.directory.get(self.caller.tenant_id, DirectoryKind.USER, owner) is None:
            raise InvalidRequestError(f"user: there is no {owner!r}; put the user first", field="user")
        self._check_scopes(scopes)
        now = self.runtime.now()
        return await self._make(
            self.caller.tenant_id, name=name, user=owner, scopes=scopes, expires_at=now + lifetime, action="keys.create"
        )

    async def rotate(self, key_id: str, *, overlap: timedelta, lifetime: timedelta) -> MadeKey:
        """Make a key like this one; let the old one expire after `overlap`, if it does not sooner.

        Cut off in between, both are valid and the rotation can be repeated.
        """
        authorize(self.caller, Action.MANAGE_KEYS, self._resource(key_id))
        entry, old = self._get(key_id)
        scopes = [Scope(scope) for scope in old.scopes]
        self._check_scopes(scopes)
        now = self.runtime.now()
        made = await self._make(
            self.caller.tenant_id,
            name=old.name,
            user=old.user,
            scopes=scopes,
            expires_at=now + lifetime,
            action="keys.rotate",
        )
        end = now + overlap
        ending = replace(old, expires_at=end if old.expires_at is None else min(end, old.expires_at))
        positions = await self.commands.submit(
            self._resource(key_id),
            DirectoryKind.API_KEY,
            DirectoryOp.PUT,
            record=ending,
            expected=entry.revision,
            action="keys.expire",
        )
        return replace(made, positions=merge_tokens(made.positions, positions))

    async def delete(self, key_id: str) -> Positions:
        """Withdraw a key: anyone their own, administrators all."""
        _, record = self._get(key_id)
        self._authorize(key_id, record)
        return await self.commands.submit(
            self._resource(key_id), DirectoryKind.API_KEY, DirectoryOp.DELETE, record=None, action="keys.delete"
        )

    def list(self) -> list[tuple[str, ApiKey]]:
        """Return the tenant's keys to an administrator, their own to anyone else."""
        authorize(self.caller, Action.MANAGE_OWN_KEYS, self._resource("*"))
        entries = self.runtime.directory.list(self.caller.tenant_id, DirectoryKind.API_KEY)
        records = [(entry.record_id, entry.record) for entry in entries if isinstance(entry.record, ApiKey)]
        return [(key_id, record) for key_id, record in records if self._may_see(record)]

    async def create_administrator(self, tenant: TenantId, *, user: str, lifetime: timedelta) -> MadeKey:
        """Give a new tenant its first administrator: a user and a key with all of a tenant's scopes."""
        resource = Resource(tenant_id=tenant, kind=DirectoryKind.USER.value, id=user)
        authorize(self.caller, Action.MANAGE_TENANTS, resource)
        if tenant_entry(self.runtime.directory, tenant) is None:
            raise NotFoundError(f"tenants/{tenant}: not found")
        await self.commands.submit(
            resource, DirectoryKind.USER, DirectoryOp.PUT, record=User(name=user), action="tenants.administrator"
        )
        return await self._make(
            tenant,
            name="administrator",
            user=user,
            scopes=(Scope.READ, Scope.WRITE, Scope.ADMIN),
            expires_at=self.runtime.now() + lifetime,
            action="keys.create",
        )

    async def _make(
        self,
        tenant: TenantId,
        *,
        name: str,
        user: str,
        scopes: Iterable[Scope],
        expires_at: datetime,
        action: str,
    ) -> MadeKey:
        plain = new_key(tenant)
        record = ApiKey(
            name=name,
            hash=self.runtime.secret.hash_key(plain),
            user=user,
            scopes=tuple(sorted(scopes)),
            created_at=self.runtime.now(),
            expires_at=expires_at,
        )
        resource = Resource(tenant_id=tenant, kind=DirectoryKind.API_KEY.value, id=plain.key_id)
        positions = await self.commands.submit(
            resource, DirectoryKind.API_KEY, DirectoryOp.PUT, record=record, action=action
        )
        return MadeKey(plain=plain, record=record, positions=positions, applied=await self._applied(positions))

    async def _applied(self, positions: Positions) -> bool:
        try:
            await self.runtime.applied.wait(positions, timeout_s=APPLY_WAIT_S)
        except RetryableError:
            return False
        return True

    def _get(self, key_id: str) -> tuple[DirectoryEntry, ApiKey]:
        entry = self.runtime.directory.get(self.caller.tenant_id, DirectoryKind.API_KEY, key_id)
        if entry is None or not isinstance(entry.record, ApiKey) or not self._may_see(entry.record):
            raise NotFoundError(f"{self._resource(key_id)}: not found")
        return entry, entry.record

    def _may_see(self, record: ApiKey) -> bool:
        return record.user == self.caller.user or Scope.ADMIN in self.caller.scopes

    def _authorize(self, key_id: str, record: ApiKey) -> None:
        own = record.user == self.caller.user
        authorize(self.caller, Action.MANAGE_OWN_KEYS if own else Action.MANAGE_KEYS, self._resource(key_id))

    def _check_scopes(self, scopes: Iterable[Scope]) -> None:
        beyond = sorted(set(scopes) - self.caller.scopes)
        if beyond:
            raise RefusedError(
                f"scopes: the caller's own key has no {', '.join(beyond)}; ask for scopes that it has",
                caller=self.caller,
                action=Action.MANAGE_KEYS,
                resource=self._resource("*"),
                field="scopes",
            )

    def _resource(self, key_id: str) -> Resource:
        return Resource(tenant_id=self.caller.tenant_id, kind=DirectoryKind.API_KEY.value, id=key_id)
