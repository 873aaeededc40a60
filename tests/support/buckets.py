"""Buckets as sources of the connectors' suite: over S3's protocol with each way to say access, and on obstore."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Generic, Protocol

import httpx
import yaml
from pydantic import SecretStr
from typing_extensions import TypeVar

from connectors.objects.access import READERS_TAG
from connectors.objects.client import s3_bucket, s3_credentials
from connectors.objects.connector import ObjectsConnector
from headwater.clients.egress.client import open_egress
from headwater.clients.listed_objects import ObstoreObjects
from headwater.clients.objects import open_objects
from headwater.clients.s3.client import S3Objects
from headwater.retry import RetryPolicy
from headwater.settings import EgressSettings
from headwater.sources.objects import RULES_KEY, SIDECARS, ObjectsSettings
from headwater.sources.rules import PrefixRules
from schemas.ids import KnowledgeBaseId
from tests.support.bucket_server import BUCKET, BucketServer, Version, bucket_server
from tests.support.cloud_server import AzureServer, GoogleServer, cloud_server
from tests.support.moto_server import MotoBucket, MotoServer

LOOPBACK = EgressSettings(allowed_hosts=("127.0.0.1",))
ONCE = RetryPolicy(attempts=1, first_delay_s=0.0)
PREFIX = "docs/"
# Below the prefix: all that a key may be.
ODD_KEYS = [
    "a b.txt", "ü/é.txt", "a//b.txt", "/lead.txt", "//", "x/../y.txt", "./z", "100%.txt", "100%25.txt", "c\x01.txt",
    "[test]?*.txt", "Why_is_the_sky_blue?.txt", "plus+x.txt", "#h?x=1&y.txt", "trail/", "\x7f", "~", "b\\s", "n\nx",
    ".", "..", "&<>\"'", "\U0001f600", "é" * 509, "Silent-Giant-(1).pdf",
]  # fmt: skip


class Bucket(Protocol):
    """A bucket that a test owns, on whichever server. What is set on it holds for the requests that follow."""

    name: str
    fails_after_pages: int | None
    lists_nothing: bool
    duplicates_pages: bool
    skew: timedelta
    expired: bool
    on_read: Callable[[str], None] | None

    @property
    def options(self) -> dict[str, SecretStr]: ...

    @property
    def requests(self) -> Sequence[str]: ...

    def put(self, key: str, content: bytes, *, ago: timedelta = ...) -> None: ...

    def delete(self, key: str) -> None: ...

    def tag(self, key: str, tags: Mapping[str, str]) -> None: ...

    def current(self) -> Mapping[str, Version]: ...


B = TypeVar("B", bound=Bucket, default=BucketServer)


class BucketSource(Generic[B]):
    """Implements SourceHarness on a bucket; access by the rules object at the prefix."""

    lacks: Final[Mapping[str, str]] = {}

    def __init__(self, server: B, http: httpx.AsyncClient) -> None:
        self.server, self._http = server, http
        self.shares: dict[str, tuple[str, ...]] = {}
        self.limits: dict[str, object] = {}  # settings from now on
        self.policy = ONCE  # of what is tried again
        self._acts: dict[str, Callable[[], None]] = {}
        server.on_read = self._about_to_read

    @property
    def downloads(self) -> int:
        gets = [each.removeprefix("GET ") for each in self.server.requests if each.startswith("GET ")]
        return sum(not each.startswith(f"{PREFIX}.headwater") for each in gets)

    @property
    def settings(self) -> ObjectsSettings:
        given = {"url": f"s3://{self.server.name}/{PREFIX}", "options": self.server.options}
        return ObjectsSettings.model_validate({**given, **self.access(), **self.limits})

    def access(self) -> dict[str, object]:
        return {}

    def connector(self) -> ObjectsConnector:
        settings = self.settings
        credentials = s3_credentials(settings)
        objects = S3Objects(self._http, s3_bucket(settings), credentials, policy=self.policy)
        return ObjectsConnector(objects=objects, settings=settings, knowledge_base=KnowledgeBaseId("files"))

    def put(self, name: str, text: str) -> None:
        self.server.put(PREFIX + name, text.encode())

    def put_late(self, name: str, text: str) -> None:
        self.server.put(PREFIX + name, text.encode(), ago=timedelta(days=1))  # a listing is compared, whatever it dates

    def repeat_items(self) -> None:
        self.server.duplicates_pages = True

    def set_clock(self, ahead: timedelta) -> None:
        self.server.skew = ahead

    def expire(self) -> None:
        self.server.expired = True

    def renew(self) -> None:
        self.server.expired = False

    def rename(self, old: str, new: str) -> None:
        content = self.server.current()[PREFIX + old].content
        assert content is not None
        self.server.put(PREFIX + new, content)
        self.server.delete(PREFIX + old)

    def delete(self, name: str) -> None:
        self.server.delete(PREFIX + name)

    def share(self, name: str, readers: Sequence[str]) -> None:
        self.shares[name] = tuple(readers)
        prefixes = {each: {"readers": list(its)} for each, its in self.shares.items()}
        self.server.put(PREFIX + RULES_KEY, yaml.safe_dump({"prefixes": prefixes}).encode())

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        self._acts[PREFIX + name] = act

    def break_listing(self) -> None:
        self.server.fails_after_pages = 2

    def empty_listing(self) -> None:
        self.server.lists_nothing = True

    def mend(self) -> None:
        self.server.fails_after_pages, self.server.lists_nothing = None, False

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {
            self.name_of(key): ((version.content or b"").decode(), self.shares.get(self.name_of(key), ()))
            for key, version in self.server.current().items()
            if key.startswith(PREFIX) and not key.startswith(f"{PREFIX}.headwater")
        }

    def name_of(self, external_id: str) -> str:
        return external_id.removeprefix(PREFIX)

    def _about_to_read(self, key: str) -> None:
        self._acts.pop(key, lambda: None)()


class SidecarSource(BucketSource[B]):
    """Access by a sidecar an object."""

    def access(self) -> dict[str, object]:
        return {"access": PrefixRules(), "access_sidecars": True}

    def share(self, name: str, readers: Sequence[str]) -> None:
        self.shares[name] = tuple(readers)
        self.server.put(f"{PREFIX}{SIDECARS}{name}", yaml.safe_dump({"readers": list(readers)}).encode())


class TaggedSource(BucketSource[B]):
    """Access by an object's tags."""

    def access(self) -> dict[str, object]:
        return {"access": PrefixRules(), "access_tags": True}

    def share(self, name: str, readers: Sequence[str]) -> None:
        self.shares[name] = tuple(readers)
        self.server.tag(PREFIX + name, {READERS_TAG: " ".join(readers)})


class CloudSource(BucketSource):
    """A bucket of Google's or Azure's, read by obstore over the wire."""

    @property
    def settings(self) -> ObjectsSettings:
        given = {"url": f"{self._scheme}://{BUCKET}/{PREFIX}", **self.limits}
        return ObjectsSettings.model_validate(given)

    @property
    def _scheme(self) -> str:
        return "az" if isinstance(self.server, AzureServer) else "gs"

    def connector(self) -> ObjectsConnector:
        settings = self.settings
        store = open_objects(settings.root, self.server.options, setting="url", options_setting="options")
        return ObjectsConnector(
            objects=ObstoreObjects(store, url=settings.url, options_setting="options"),
            settings=settings,
            knowledge_base=KnowledgeBaseId("files"),
        )


@asynccontextmanager
async def bucket_source(kind: type[BucketSource] = BucketSource) -> AsyncIterator[BucketSource]:
    """Run a server that speaks S3 until the end of the block, and yield a bucket of it."""
    async with bucket_server() as server, open_egress(LOOPBACK) as egress:
        yield kind(server, egress.httpx_client())


@asynccontextmanager
async def moto_source(
    server: MotoServer, kind: type[BucketSource[MotoBucket]] = BucketSource[MotoBucket]
) -> AsyncIterator[BucketSource[MotoBucket]]:
    """Yield a bucket of moto's server, gone at the end of the block."""
    with server.bucket() as bucket:
        async with open_egress(LOOPBACK) as egress:
            yield kind(bucket, egress.httpx_client())


@asynccontextmanager
async def cloud_source(kind: type[GoogleServer]) -> AsyncIterator[CloudSource]:
    """Run a server that speaks as Google's or Azure's store does, and yield a bucket of it."""
    async with cloud_server(kind) as server, open_egress(LOOPBACK) as egress:
        yield CloudSource(server, egress.httpx_client())
