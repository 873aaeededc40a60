"""What becomes of one delivery. It only ever asks for syncs: what it says is looked up at the source."""

import asyncio
import hashlib
import secrets as random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import uuid4

import structlog

from connectors.secrets import WEBHOOK_SECRETS, secret_of
from connectors.webhooks.deliveries import RecentDeliveries
from connectors.webhooks.kinds import Kind, kind_of
from connectors.webhooks.signatures import Headers, Scheme, is_signed
from connectors.work import Work
from connectors.worker.ports import Key, Sources
from headwater.errors import FatalError, HeadwaterError, RetryableError
from headwater.settings import Settings
from schemas.events.directory import Source
from schemas.events.syncs import SyncMode, SyncRequested

log = structlog.get_logger(__name__)

# Of one request, which is a record: a broker takes 1 MiB, and a character of a name up to four bytes.
_MAX_NAMED: Final = 1_000
_MAX_NAMED_BYTES: Final = 512 * 1024


class RefusedDeliveryError(HeadwaterError):
    """Not signed by the owner of a source, or no such source: which of them, nobody is told."""


class UnavailableError(RetryableError):
    """The log does not take the request now. The sender repeats it, or the next incremental sync makes it good."""


class Taken(StrEnum):
    """What became of a delivery that was believed. A closed set: safe as a metric label."""

    ACCEPTED = "accepted"  # the broker holds the request
    DUPLICATE = "duplicate"
    NOTHING = "nothing"  # it asks for nothing
    PAUSED = "paused"


class SyncRequests(Protocol):
    """Where requests go. `connectors.worker.synclog.KafkaSyncLog` is one."""

    async def ask(self, request: SyncRequested) -> None:
        """Return when the request is in the log; RetryableError where it is not."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Receiver:
    """Believes, reads and appends deliveries. `ready` says whether the directory has been read."""

    settings: Settings
    sources: Sources
    requests: SyncRequests
    ready: Callable[[], bool]
    recent: RecentDeliveries = field(default_factory=RecentDeliveries)
    now: Callable[[], datetime] = _utc_now
    _nobodys: bytes = field(default_factory=lambda: random.token_bytes(32))

    async def receive(self, key: Key, headers: Headers, body: bytes) -> Taken:
        """Append what a delivery asks for; the broker holds it when this returns.

        Raises RefusedDeliveryError, PoisonError naming what cannot be read, UnavailableError.
        """
        if not self.ready():
            raise UnavailableError("the directory has not been read yet")
        source = self.sources.get(key)
        kind = self._believed(key, source, headers, body)
        if source is None or kind is None:
            raise RefusedDeliveryError("signature: missing, wrong or too old, or there is no such source")
        if source.paused:
            return Taken.PAUSED  # the worker would drop it, and resuming makes it good
        delivery = _delivery(kind, headers)
        # With the body: who can guess a name, which is not signed, must not have the real delivery dropped.
        name = (*key, delivery, hashlib.sha256(body).digest())
        if name in self.recent:
            return Taken.DUPLICATE
        work = kind.work(source, headers, body)
        if work == Work():
            return Taken.NOTHING
        await self._append(key, work)
        if delivery:
            self.recent.add(name)
        return Taken.ACCEPTED

    def _believed(self, key: Key, source: Source | None, headers: Headers, body: bytes) -> Kind | None:
        """Return the source's kind where its owner signed. As much is computed where there is no source or secret."""
        known = () if source is None else self._secrets(key, source)
        scheme = Scheme.HEADWATER if source is None else kind_of(source).scheme
        signed = is_signed(
            scheme,
            headers,
            body,
            secrets=known or (self._nobodys,),
            now_s=self.now().timestamp(),
            window_s=self.settings.webhooks.replay_window_s,
        )
        return kind_of(source) if source is not None and known and signed else None

    def _secrets(self, key: Key, source: Source) -> tuple[bytes, ...]:
        """Return the secrets that there are: one, or during a rotation two. Read anew each time."""
        found: list[bytes] = []
        for name in WEBHOOK_SECRETS:
            if (reference := source.secrets.get(name)) is None:
                continue
            try:
                secret = secret_of(reference, tenant=key[0], folder=self.settings.connectors.secrets_folder)
            except FatalError as error:
                log.warning("webhook_secret_missing", tenant_id=key[0], source=key[1], error=type(error).__name__)
            else:
                found.append(secret.get_secret_value().encode())
        return tuple(found)

    async def _append(self, key: Key, work: Work) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.settings.webhooks.append_timeout_s):
                for request in requests_of(work, key, self.now()):
                    await self.requests.ask(request)
        except (TimeoutError, RetryableError, FatalError) as error:
            waited_s = round(time.monotonic() - began, 3)
            log.warning("webhook_not_appended", source=key[1], error=type(error).__name__, duration_s=waited_s)
            raise UnavailableError("the log does not answer") from error


def requests_of(work: Work, key: Key, now: datetime) -> tuple[SyncRequested, ...]:
    """Return the requests that together ask for some work; the worker makes one run of them."""
    tenant, source = key
    whole = {
        SyncMode.FULL: work.full,
        SyncMode.INCREMENTAL: work.changes,
        SyncMode.PERMISSIONS: work.permissions,
    }
    wanted: list[tuple[SyncMode, tuple[str, ...]]] = [(mode, ()) for mode, is_wanted in whole.items() if is_wanted]
    wanted += [(SyncMode.ITEMS, names) for names in _portions(sorted(work.items))]
    return tuple(
        SyncRequested(
            event_id=uuid4(),
            tenant_id=tenant,
            occurred_at=now,
            observed_at=now,
            source=source,
            mode=mode,
            actor=None,
            items=names,
        )
        for mode, names in wanted
    )


def _portions(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield the names in portions that a record takes."""
    portion, left = list[str](), _MAX_NAMED_BYTES
    for name in names:
        if portion and (len(portion) == _MAX_NAMED or len(name.encode()) > left):
            yield tuple(portion)
            portion, left = [], _MAX_NAMED_BYTES
        portion.append(name)
        left -= len(name.encode())
    if portion:
        yield tuple(portion)


def _delivery(kind: Kind, headers: Headers) -> str:
    """Return what names a delivery; empty where nothing does. A signature with a time is a name, too."""
    named = headers.get(kind.delivery, "")
    return named or (headers[kind.scheme.value] if kind.scheme is Scheme.HEADWATER else "")
