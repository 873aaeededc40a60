"""A bucket behind a server that speaks S3, synced by a connector worker: how fast, and what it asks for."""

import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from headwater.clients.kafka.config import topic_of
from headwater.local.ports import free_ports
from schemas.codec import decode
from schemas.events.documents import DocumentIngested
from schemas.ids import SourceId, TenantId, document_id
from schemas.topics import Topic
from tests.performance.bench import PATIENCE_S, Bench, Components, until
from tests.performance.figures import Figure, spread
from tests.performance.installation import NO_MODEL, fixed_vectors, own_installation, worker
from tests.performance.site import READING, measure_site
from tests.performance.syncing import first_sync, sync_again
from tests.support.bucket_server import BUCKET, CREDENTIALS, REGION, BucketServer, bucket_server
from tests.support.own_loop import in_own_loop
from tests.support.platform import CONNECT, Platform
from tests.support.records import read_topic

ITEMS: Final = 2_000
_EDITS: Final = 30
_BYTES: Final = 2_048
_WORDS: Final = 12  # of a page, repeated to 2 kB
_SOURCE: Final = "bench-bucket"
_HOOK_SECRET: Final = secrets.token_hex(16)
_POLL_S: Final = 0.02
_SLOWEST_S: Final = 1.0  # an object: a quiet machine takes a tenth of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Initial:
    """An initial sync of so many objects: seconds until all were submitted, and until all were searchable."""

    items: int
    submitted_s: float
    searchable_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Seconds from before a delivery until it was answered, and until both stores had what it told of."""

    answered_s: float
    searchable_s: float


def measure_sources(components: Components) -> list[Figure]:
    """Sync 2,000 objects of 2 kB, then nothing new, then single ones that a signed notification names, one at a time.

    Then a Confluence site of as many pages: until all were submitted, and what it is asked for where nothing is new.

    The submissions of a sync and what the pipeline makes of them are timed apart. `--documents` for fewer. The initial
    sync is taken a second time in a new installation, with `embed` given fixed vectors: without the model's cost.
    """
    items = components.documents or ITEMS
    with in_own_loop(_bucket(items)) as server:
        with (
            own_installation(components) as (platform, bench),
            _connected(platform, server),
            _receiving(platform, bench) as hook,
        ):
            with_model = _initial(bench, items)
            asked = _asked_again(bench, server)
            edits = [_edited(bench, server, hook, number) for number in range(1, _EDITS + 1)]
            site = measure_site(platform, bench, items)
        with (
            own_installation(components) as (platform, bench),
            fixed_vectors(platform),
            _connected(platform, server),
        ):
            without_model = _initial(bench, items)
    return figures_of(with_model=with_model, without_model=without_model, asked=asked, edits=edits) + site


def figures_of(*, with_model: Initial, without_model: Initial, asked: int, edits: Sequence[Told]) -> list[Figure]:
    """Return both initial syncs in objects a second, what one asks for that finds nothing, and how quick edits are."""
    taken = {"model included": with_model, NO_MODEL: without_model}
    return [
        Figure(name="objects of 2 kB", value=with_model.items, unit="objects"),
        *(figure for label, initial in taken.items() for figure in _speeds(label, initial)),
        Figure(name="requests of an incremental sync with nothing new", value=asked, unit="requests"),
        *spread("webhook answered", [each.answered_s for each in edits]),
        *spread("webhook until searchable in both stores", [each.searchable_s for each in edits]),
    ]


def _speeds(label: str, initial: Initial) -> Iterator[Figure]:
    for what, seconds in (
        ("submitted", initial.submitted_s),
        ("searchable in both stores", initial.searchable_s),
    ):
        yield Figure(name=f"initial sync, all {what} ({label})", value=initial.items / seconds, unit="objects/s")


@contextmanager
def _connected(platform: Platform, server: BucketServer) -> Iterator[None]:
    """Make the bucket a source of an installation and run a connector worker that reads it."""
    _connect(platform, server)
    with worker(platform, *CONNECT, "worker", log="bench-connectors", **_secrets(), **READING):
        yield


@contextmanager
def _receiving(platform: Platform, bench: Bench) -> Iterator[str]:
    """Run a receiver of webhooks; yield where the source's are delivered."""
    port = free_ports()["webhooks"]
    with worker(platform, *CONNECT, "webhooks", log="bench-webhooks", **_secrets(), **_listening(port)):
        yield f"http://127.0.0.1:{port}/hooks/{bench.settings.api.default_tenant}/{_SOURCE}"


def _initial(bench: Bench, items: int) -> Initial:
    first = first_sync(bench, _SOURCE, items)
    searchable_s = _searchable(bench, items, since=first.started_at)
    return Initial(items=items, submitted_s=first.took_s, searchable_s=searchable_s)


def _asked_again(bench: Bench, server: BucketServer) -> int:
    server.requests.clear()
    sync_again(bench, _SOURCE)
    return len(server.requests)


@asynccontextmanager
async def _bucket(items: int) -> AsyncIterator[BucketServer]:
    """Serve a bucket of so many objects."""
    async with bucket_server() as server:
        server.page_size = 1_000
        for number in range(items):
            server.put(f"docs/{number:05}.md", _text(number, "first"))
        yield server


def _text(number: int, edition: str) -> bytes:
    words = " ".join(f"word{number}x{each}" for each in range(_WORDS))
    text = f"# Page {number}\n\nEdition {edition}. {words}. " + "And so on. " * 200
    return text.encode()[:_BYTES]


def _secrets() -> dict[str, str]:
    return {
        "HEADWATER_SECRET__DEFAULT__KEY": CREDENTIALS.access_key_id,
        "HEADWATER_SECRET__DEFAULT__SECRET": CREDENTIALS.secret_access_key.get_secret_value(),
        "HEADWATER_SECRET__DEFAULT__HOOK": _HOOK_SECRET,
    }


def _listening(port: int) -> dict[str, str]:
    return {"HEADWATER_WEBHOOKS__PORT": str(port)}


def _connect(platform: Platform, server: BucketServer) -> None:
    settings = {
        "url": f"s3://{BUCKET}/docs/",
        "endpoint": server.url,
        "region": REGION,
        "allow_http": "true",
        "access": "{readers: [everyone]}",
    }
    body = {
        "name": "Bucket",
        "kind": "objects",
        "knowledge_base": _SOURCE,
        "settings": settings,
        "secrets": {"access_key_id": "env:key", "secret_access_key": "env:secret", "webhook": "env:hook"},
    }
    platform.directory((f"knowledge-bases/{_SOURCE}", {"name": _SOURCE}), (f"sources/{_SOURCE}", body))


def _searchable(bench: Bench, items: int, *, since: datetime) -> float:
    """Wait until all documents are searchable; return the seconds since then until the last one was."""
    topic = topic_of(bench.settings, Topic.DOCUMENTS_INGESTED)

    def all_facts() -> list[datetime] | None:
        facts = [decode(raw, DocumentIngested) for raw in read_topic(bench.settings.kafka.bootstrap_servers, topic)]
        times = {
            fact.document_id: max(fact.searchable_by_words_at, fact.searchable_by_meaning_at)
            for fact in facts
            if fact.source == _SOURCE
        }
        return list(times.values()) if len(times) == items else None

    times = until(all_facts, every_s=1.0, patience_s=PATIENCE_S + items * _SLOWEST_S)
    return float((max(times) - since).total_seconds())


def _edited(bench: Bench, server: BucketServer, hook: str, number: int) -> Told:
    """Edit an object, tell of it as a relay of the store's events does, and wait until both stores have it."""
    key = f"docs/{number:05}.md"
    before = _times(bench, key)
    server.put(key, _text(number, secrets.token_hex(8)))
    body = json.dumps({"Records": [{"s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}]}).encode()
    began, ticks = datetime.now(UTC), time.perf_counter()
    httpx.post(hook, content=body, headers=_signature(body, began)).raise_for_status()
    answered_s = time.perf_counter() - ticks

    def both() -> list[datetime] | None:
        times = _times(bench, key)
        return times if len(times) == len(before) and min(times) > max(before) else None

    return Told(answered_s=answered_s, searchable_s=(max(until(both, every_s=_POLL_S)) - began).total_seconds())


def _signature(body: bytes, at: datetime) -> dict[str, str]:
    now = str(int(at.timestamp()))
    mac = hmac.digest(_HOOK_SECRET.encode(), f"{now}.".encode() + body, "sha256").hex()
    return {"Headwater-Signature": f"t={now},v1={mac}"}


def _times(bench: Bench, key: str) -> list[datetime]:
    """Return when a document became searchable by words and by meaning; nothing while it is on its way."""
    document = document_id(TenantId(bench.settings.api.default_tenant), SourceId(_SOURCE), key)
    times = bench.api.call("GET", f"/documents/{document}")["times"]
    found = [times[f"searchable_by_{way}_at"] for way in ("words", "meaning")]
    return [datetime.fromisoformat(at) for at in found if at is not None]
