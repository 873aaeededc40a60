"""The API on fakes: an application, a client to it, callers with keys."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import create_autospec
from uuid import uuid4

import httpx
from fastapi import FastAPI

from headwater.settings import Settings
from query_api.app import create_app
from query_api.credentials import ServerSecret, new_key
from query_api.runtime import Generations, Models, Runtime
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
from schemas.ids import SYSTEM_TENANT, KnowledgeBaseId, TenantId
from tests.support.api_log import (
    FakeClock,
    FakeDirectory,
    FakeHeads,
    FakeLog,
    FakeOriginals,
    FakeQuarantine,
    FakeSyncStates,
)
from tests.support.archive import MemoryLog
from tests.support.backlogs import FakeBacklogs
from tests.support.blobs import FakeBlobStore
from tests.support.cache import FakeCache
from tests.support.consistency import KeptReports
from tests.support.freshness import FakeFreshness, FakeLags
from tests.support.read_model import FakeAnalytics, FakeDocuments

ACME = TenantId("acme")
ALL_SCOPES = ("read", "write", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeApi:
    """One replica on fakes: the tenant `acme` with knowledge base `handbook` and API source `wiki`."""

    app: FastAPI
    runtime: Runtime
    clock: FakeClock
    directory: FakeDirectory
    heads: FakeHeads
    log: FakeLog
    blobs: FakeBlobStore
    documents: FakeDocuments
    originals: FakeOriginals
    backlogs: FakeBacklogs
    syncs: FakeSyncStates
    quarantine: FakeQuarantine
    history: MemoryLog
    client: httpx.AsyncClient

    async def put(
        self, kind: DirectoryKind, record_id: str, record: DirectoryRecord, *, tenant: TenantId = ACME
    ) -> None:
        """Put a directory record as admission would."""
        now = self.clock()
        await self.log.send(
            DirectorySubmitted(
                event_id=uuid4(),
                tenant_id=tenant,
                occurred_at=now,
                observed_at=now,
                kind=kind,
                record_id=record_id,
                op=DirectoryOp.PUT,
                record=record,
                expected_revision=None,
                actor=None,
            )
        )
        self.log.events.pop()  # what a test looks for is what the API appended

    async def tenant(self, tenant: TenantId) -> None:
        """Make a tenant with what a first document needs."""
        await self.put(DirectoryKind.TENANT, tenant, Tenant(name=tenant), tenant=SYSTEM_TENANT)
        await self.put(DirectoryKind.KNOWLEDGE_BASE, "handbook", KnowledgeBase(name="Handbook"), tenant=tenant)
        source = Source(name="Wiki", kind="api", knowledge_base=KnowledgeBaseId("handbook"))
        await self.put(DirectoryKind.SOURCE, "wiki", source, tenant=tenant)

    async def key(
        self,
        user: str = "ada",
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        tenant: TenantId = ACME,
        expires_in: timedelta | None = None,
        guest: bool = False,
    ) -> dict[str, str]:
        """Make a user with a key; return the header to send."""
        expires_at: datetime | None = self.clock() + expires_in if expires_in is not None else None
        key = new_key(tenant)
        record = ApiKey(
            name=user,
            hash=self.runtime.secret.hash_key(key),
            user=user,
            scopes=tuple(scopes),
            created_at=self.clock(),
            expires_at=expires_at,
        )
        await self.put(DirectoryKind.USER, user, User(name=user, guest=guest), tenant=tenant)
        await self.put(DirectoryKind.API_KEY, key.key_id, record, tenant=tenant)
        return {"Authorization": f"Bearer {key.text()}"}


@asynccontextmanager
async def fake_api(settings: Settings | None = None, **overrides: Any) -> AsyncIterator[FakeApi]:
    """Run one replica on fakes. `overrides` replace fields of the runtime (models, generations, ...)."""
    settings = settings or Settings()
    clock, directory, blobs, documents = FakeClock(), FakeDirectory(), FakeBlobStore(), FakeDocuments()
    heads, originals, backlogs = FakeHeads(clock), FakeOriginals(), FakeBacklogs()
    syncs = FakeSyncStates()
    quarantine, history = FakeQuarantine(), MemoryLog()
    log = FakeLog(clock=clock, directory=directory, heads=heads)
    runtime = Runtime(
        settings=settings,
        secret=ServerSecret(b"s" * 32),
        heads=heads,
        directory=directory,
        applied=log,
        events=log,
        blobs=blobs,
        cache=FakeCache(),
        documents=documents,
        originals=originals,
        backlogs=backlogs,
        freshness=FakeFreshness(FakeAnalytics()),
        lags=FakeLags(),
        consistency=KeptReports(),
        syncs=syncs,
        quarantine=quarantine,
        history=history,
        generations=create_autospec(Generations, instance=True),
        models=create_autospec(Models, instance=True),
        now=clock,
    )
    runtime = replace(runtime, **overrides)
    app = create_app(runtime)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:
        api = FakeApi(
            app=app,
            runtime=runtime,
            clock=clock,
            directory=directory,
            heads=heads,
            log=log,
            blobs=blobs,
            documents=documents,
            originals=originals,
            backlogs=backlogs,
            syncs=syncs,
            quarantine=quarantine,
            history=history,
            client=client,
        )
        await api.tenant(ACME)
        yield api
