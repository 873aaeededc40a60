"""A receiver of webhooks without Kafka, and deliveries as senders make them."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from connectors.webhooks.app import create_app
from connectors.webhooks.deliveries import RecentDeliveries
from connectors.webhooks.receiver import Receiver
from connectors.worker.ports import Key
from headwater.errors import HeadwaterError
from headwater.settings import Settings
from schemas.events.directory import Source
from schemas.events.syncs import SyncRequested
from schemas.ids import KnowledgeBaseId, SourceId, TenantId
from tests.support.syncing import Clock, FakeSources

SECRET = "It's a Secret to Everybody"
WIKI: Key = (TenantId("acme"), SourceId("wiki"))


def source(kind: str = "wiki", *, paused: bool = False, **secrets: str) -> Source:
    """Return a source whose webhooks are signed with what `file:hook` holds."""
    return Source(
        name="Wiki",
        kind=kind,
        knowledge_base=KnowledgeBaseId("handbook"),
        settings={"url": "s3://papers/x/"} if kind == "objects" else {},
        paused=paused,
        secrets=secrets or {"webhook": "file:hook"},
    )


def digest(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(body: bytes, *, at: float, secret: str = SECRET) -> dict[str, str]:
    """Sign in Headwater's form."""
    return {"Headwater-Signature": f"t={int(at)},v1={digest(b'%d.' % int(at) + body, secret)}"}


@dataclass
class RecordingRequests:
    """Implements SyncRequests."""

    taken: list[SyncRequested] = field(default_factory=list)
    failing: HeadwaterError | None = None

    async def ask(self, request: SyncRequested) -> None:
        if self.failing is not None:
            raise self.failing
        self.taken.append(request)


@dataclass
class Post:
    """The receiver behind HTTP, and what it has appended. Secrets are files of the tenant."""

    folder: Path
    sources: FakeSources
    clock: Clock = field(default_factory=Clock)
    requests: RecordingRequests = field(default_factory=RecordingRequests)
    limits: Mapping[str, Any] = field(default_factory=dict)
    is_ready: bool = True
    remembered: int = 100

    def __post_init__(self) -> None:
        settings = Settings.model_validate({"connectors": {"secrets_folder": self.folder}, "webhooks": self.limits})
        self.secret("hook", SECRET)
        receiver = Receiver(
            settings=settings,
            sources=self.sources,
            requests=self.requests,
            ready=lambda: self.is_ready,
            recent=RecentDeliveries(most=self.remembered, monotonic=self.clock.monotonic),
            now=self.clock.now,
        )
        self.app = create_app(receiver, settings.webhooks)

    def secret(self, name: str, value: str) -> None:
        path = self.folder / WIKI[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)

    async def send(
        self, body: bytes | AsyncIterator[bytes], headers: Mapping[str, str], *, to: str = "/hooks/acme/wiki"
    ) -> httpx.Response:
        async with self.client() as client:
            return await client.post(to, content=body, headers=dict(headers))

    async def tell(self, body: bytes = b"{}", **headers: str) -> httpx.Response:
        """Send what is signed now, in Headwater's form; `delivery=` names it."""
        extra = {f"Headwater-{name.title()}": value for name, value in headers.items()}
        return await self.send(body, {**signed(body, at=self.clock.at.timestamp()), **extra})

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://hooks")

    def asked(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return mode and items of what was appended."""
        return [(each.mode.value, each.items) for each in self.requests.taken]
