"""The first start: a tenant, an administrator and a key in a 0600 file, so that a fresh installation can be used."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from uuid import uuid4

import structlog

from headwater.access.tokens import merge_tokens
from headwater.errors import FatalError, RetryableError
from headwater.ports.heads import Positions
from headwater.retry import RetryPolicy, retry
from query_api.credentials import PresentedKey, new_key, parse_key, write_once
from query_api.identity import Scope, tenant_entry
from query_api.runtime import Runtime
from schemas.events.directory import (
    ApiKey,
    DirectoryKind,
    DirectoryOp,
    DirectoryRecord,
    DirectorySubmitted,
    KnowledgeBase,
    Source,
    Tenant,
    User,
)
from schemas.ids import SYSTEM_TENANT, KnowledgeBaseId, Principal, Revision, TenantId

log = structlog.get_logger(__name__)

ADMINISTRATOR: Final = "admin"
KNOWLEDGE_BASE: Final = KnowledgeBaseId("default")
SOURCE: Final = "api"
_LOOK_EVERY_S: Final = 0.1
_APPLY_TIMEOUT_S: Final = 20.0
# Admission and the follower start beside the API and may take a minute on a busy machine; the API is unready meanwhile.
_RETRY: Final = RetryPolicy(attempts=60, first_delay_s=0.5, max_delay_s=5.0, budget_s=300.0)


async def bootstrap(runtime: Runtime) -> None:
    """Return once the installation has a tenant with a key; do nothing where it has.

    Safe to repeat and with several replicas starting: on one host they share the key's file, and what one has put the
    other's command leaves alone. Raise RetryableError when the log does not take it within minutes.
    """
    await _until_current(runtime)
    await retry(lambda: _attempt(runtime), policy=_RETRY)


def is_bootstrapped(runtime: Runtime) -> bool:
    """Say whether the tenant exists and anyone holds a key to it."""
    tenant = TenantId(runtime.settings.api.default_tenant)
    return tenant_entry(runtime.directory, tenant) is not None and bool(
        runtime.directory.list(tenant, DirectoryKind.API_KEY)
    )


async def _attempt(runtime: Runtime) -> None:
    if is_bootstrapped(runtime):
        return
    key = _bootstrap_key(runtime)
    positions: Positions = {}
    for command in _commands(runtime, key):
        position = await runtime.events.send(command)
        positions = merge_tokens(positions, {position.topic: {position.partition: position.offset}})
    await runtime.applied.wait(positions, timeout_s=_APPLY_TIMEOUT_S)
    if not is_bootstrapped(runtime):
        raise RetryableError("bootstrap: admission has not taken the first records; see the audit trail")
    log.info("bootstrapped", tenant_id=key.tenant_id)


def _bootstrap_key(runtime: Runtime) -> PresentedKey:
    settings = runtime.settings.api
    tenant = TenantId(settings.default_tenant)
    key = parse_key(write_once(settings.bootstrap_key_file, new_key(tenant).text()))
    if key is None or key.tenant_id != tenant:
        raise FatalError(
            f"HEADWATER_API__BOOTSTRAP_KEY_FILE {settings.bootstrap_key_file}: holds no key of the tenant {tenant!r}; "
            "move the file away and start again"
        )
    return key


def _commands(runtime: Runtime, key: PresentedKey) -> Iterator[DirectorySubmitted]:
    """Yield the commands in the order in which each finds what it refers to. The key comes last: it is the sign."""
    tenant, now = key.tenant_id, runtime.now()
    api_key = ApiKey(
        name="bootstrap",
        hash=runtime.secret.hash_key(key),
        user=ADMINISTRATOR,
        scopes=tuple(sorted(Scope)),
        created_at=now,
    )
    records: list[tuple[TenantId, DirectoryKind, str, DirectoryRecord]] = [
        (SYSTEM_TENANT, DirectoryKind.TENANT, tenant, Tenant(name=tenant)),
        (tenant, DirectoryKind.USER, ADMINISTRATOR, User(name="Administrator")),
        (tenant, DirectoryKind.KNOWLEDGE_BASE, KNOWLEDGE_BASE, KnowledgeBase(name="Default")),
        (tenant, DirectoryKind.SOURCE, SOURCE, Source(name="API", kind="api", knowledge_base=KNOWLEDGE_BASE)),
        (tenant, DirectoryKind.API_KEY, key.key_id, api_key),
    ]
    for owner, kind, record_id, record in records:
        yield DirectorySubmitted(
            event_id=uuid4(),
            tenant_id=owner,
            occurred_at=now,
            observed_at=now,
            kind=kind,
            record_id=record_id,
            op=DirectoryOp.PUT,
            record=record,
            expected_revision=Revision(0),  # what another replica has put is left alone
            actor=Principal("system"),
        )


async def _until_current(runtime: Runtime) -> None:
    """Wait for the follower: a replica that is behind would take an old installation for a new one."""
    budget = timedelta(seconds=runtime.settings.heads.staleness_budget_s)
    while runtime.now() - runtime.heads.as_of() > budget:  # noqa: ASYNC110 - another process changes it
        await asyncio.sleep(_LOOK_EVERY_S)
