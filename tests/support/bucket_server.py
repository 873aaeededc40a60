"""A bucket as a source meets it: versions, tags, archives, pages, rights, signatures; any key. In the test's own loop.

Shapes of requests and answers: Amazon S3 API Reference, version 2006-03-01. What a client sent is verified: the
signature must be that of the bytes of the request line.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.sax.saxutils import escape

from aiohttp import web
from pydantic import SecretStr

from headwater.clients.s3.signing import Credentials, signed_headers

BUCKET, REGION = "papers", "eu-central-1"
CREDENTIALS = Credentials(access_key_id="AKIDEXAMPLE", secret_access_key=SecretStr("secret"))
BEGUN = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAX_REQUEST_BYTES = 16 * 1024 * 1024  # a part is 5 MiB
TOO_SKEWED = timedelta(minutes=15)
_XML = "application/xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an object; `content` None: a deletion marker."""

    content: bytes | None
    modified_at: datetime
    etag: str
    storage_class: str = "STANDARD"
    restored: bool = False


@dataclass(slots=True)
class BucketServer:
    """A versioned bucket and what happens to it. What is set on it holds for the requests that follow."""

    url: str = ""
    name: str = BUCKET
    versions: dict[str, list[Version]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    page_size: int = 3
    requests: list[str] = field(default_factory=list)  # METHOD key, LIST prefix, TAGS key
    denied: set[str] = field(default_factory=set)  # LIST, HEAD, GET, TAGS
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # by METHOD: what to answer, once each
    fails_after_pages: int | None = None
    duplicates_pages: bool = False
    lists_nothing: bool = False
    lists_backwards: bool = False  # each page, as a store that has no order
    skew: timedelta = timedelta()  # of its clock to the client's
    expired: bool = False  # the credentials
    on_read: Callable[[str], None] | None = None  # before an object is answered
    _clock: datetime = BEGUN

    @property
    def options(self) -> dict[str, SecretStr]:
        """What a client is opened with."""
        plain = {
            "endpoint": self.url,
            "allow_http": "true",
            "region": REGION,
            "access_key_id": CREDENTIALS.access_key_id,
        }
        secret = {"secret_access_key": CREDENTIALS.secret_access_key}
        return {name: SecretStr(value) for name, value in plain.items()} | secret

    def put(
        self,
        key: str,
        content: bytes,
        *,
        etag: str | None = None,
        storage_class: str = "STANDARD",
        ago: timedelta = timedelta(),
    ) -> None:
        """Store a new version, which it dates back by `ago`."""
        self._clock += timedelta(seconds=1)
        digest = f'"{etag or hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        version = Version(content=content, modified_at=self._clock - ago, etag=digest, storage_class=storage_class)
        self.versions.setdefault(key, []).append(version)

    def delete(self, key: str) -> None:
        """Put a deletion marker on top."""
        self._clock += timedelta(seconds=1)
        self.versions[key].append(Version(content=None, modified_at=self._clock, etag=""))

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Tag an object, or what will be stored under its key."""
        self.tags[key] = dict(tags)

    def archive(self, key: str) -> None:
        """Let the current version go to an archive, as a lifecycle rule does: nothing else of it changes."""
        self.versions[key][-1] = replace(self.versions[key][-1], storage_class="GLACIER")

    def restore(self, key: str) -> None:
        """Let the current version be readable though it lies in an archive."""
        self.versions[key][-1] = replace(self.versions[key][-1], restored=True)

    def undo(self, key: str) -> None:
        """Take the newest version away: the one before is current again, with its older time."""
        self.versions[key].pop()

    def current(self) -> dict[str, Version]:
        """Return what a listing shows, in the order of the keys' bytes."""
        newest = {key: versions[-1] for key, versions in self.versions.items() if versions}
        shown = {key: version for key, version in newest.items() if version.content is not None}
        return dict(sorted(shown.items(), key=lambda each: each[0].encode()))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        key = unquote(path.removeprefix(f"/{BUCKET}").removeprefix("/"))
        asked = dict(parse_qsl(query, keep_blank_values=True))
        method = "LIST" if "list-type" in asked else "TAGS" if "tagging" in asked else request.method
        self.requests.append(f"{method} {asked.get('prefix', key)}")
        refused = self._refused(method, request)
        if refused is not None:
            return refused
        if not path.startswith(f"/{BUCKET}"):
            return _error(404, "NoSuchBucket")
        if method == "LIST":
            return self._list(asked)
        if method == "TAGS":
            return self._tagging(key)
        return self._object(request, key)

    def _refused(self, method: str, request: web.Request) -> web.Response | None:
        if self.answers.get(method):
            return _error(*self.answers[method].pop(0))
        if self.expired:
            return _error(403, "ExpiredToken")
        if method in self.denied:
            return _error(403, "AccessDenied")
        stamp = request.headers["x-amz-date"]
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(self.skew) > TOO_SKEWED:
            return _error(403, "RequestTimeTooSkewed")
        names = re.search(r"SignedHeaders=([^,]+)", request.headers["authorization"])
        signed = names[1].split(";") if names else []
        headers = {
            name: request.headers[name] for name in signed if not name.startswith("x-amz-") or "optional" in name
        }
        expected = signed_headers(
            request.method, request.raw_path, headers=headers, credentials=CREDENTIALS, region=REGION, at=at
        )
        if expected["authorization"] != request.headers["authorization"]:
            return _error(403, "SignatureDoesNotMatch")
        return None

    def _list(self, asked: Mapping[str, str]) -> web.Response:
        if self.fails_after_pages is not None:
            if self.fails_after_pages == 0:
                return _error(500, "NotImplementedHere")
            self.fails_after_pages -= 1
        current = {} if self.lists_nothing else self.current()
        label, _, after = bytes.fromhex(asked.get("continuation-token", "")).decode().partition(":")
        names = [key for key in current if key.startswith(asked["prefix"]) and key > after]
        page = names[: min(self.page_size, int(asked["max-keys"]))]
        more, last = len(page) < len(names), page[-1] if page else ""
        if self.duplicates_pages and label != "again":
            label, last, more = "again", after, bool(page)  # the same page once more
        else:
            label = "on"
        if self.lists_backwards:
            page = page[::-1]
        head = f"<Name>{BUCKET}</Name><IsTruncated>{str(more).lower()}</IsTruncated><EncodingType>url</EncodingType>"
        head += f"<NextContinuationToken>{f'{label}:{last}'.encode().hex()}</NextContinuationToken>" if more else ""
        return _xml("ListBucketResult", head + "".join(self._listed(key, current[key]) for key in page))

    def _listed(self, key: str, version: Version) -> str:
        restored = "<RestoreStatus><RestoreExpiryDate>2026-04-01T00:00:00Z</RestoreExpiryDate></RestoreStatus>"
        modified = (version.modified_at + self.skew).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            f"<Contents><Key>{escape(quote_plus(key, safe='/'))}</Key><LastModified>{modified}</LastModified>"
            f"<ETag>{escape(version.etag)}</ETag><Size>{len(version.content or b'')}</Size>"
            f"<StorageClass>{version.storage_class}</StorageClass>{restored if version.restored else ''}</Contents>"
        )

    def _tagging(self, key: str) -> web.Response:
        if key not in self.current():
            return _error(404, "NoSuchKey")
        tags = (f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in self.tags.get(key, {}).items())
        return _xml("Tagging", f"<TagSet>{''.join(tags)}</TagSet>")

    def _object(self, request: web.Request, key: str) -> web.Response:
        if request.method == "GET" and self.on_read is not None:
            self.on_read(key)
        version = self.current().get(key)
        if version is None or version.content is None:
            return _error(404, "NoSuchKey")
        if request.headers.get("if-match", version.etag) != version.etag:
            return _error(412, "PreconditionFailed")
        archived = version.storage_class in {"GLACIER", "DEEP_ARCHIVE"} and not version.restored
        if archived and request.method == "GET":
            return _error(403, "InvalidObjectState")
        headers = {
            "ETag": version.etag,
            "Last-Modified": format_datetime(version.modified_at + self.skew, usegmt=True),
            "Content-Length": str(len(version.content)),
            "x-amz-storage-class": version.storage_class,
            "x-amz-version-id": f"v{len(self.versions[key])}",
        }
        if version.restored:
            headers["x-amz-restore"] = 'ongoing-request="false", expiry-date="Wed, 01 Apr 2026 00:00:00 GMT"'
        return web.Response(body=version.content, headers=headers, content_type="binary/octet-stream")


@asynccontextmanager
async def bucket_server() -> AsyncIterator[BucketServer]:
    """Serve a bucket on a free port of loopback."""
    server = BucketServer()
    async with served(server):
        yield server


@asynccontextmanager
async def served(server: BucketServer) -> AsyncIterator[None]:
    """Serve this bucket."""
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_route("*", r"/{key:[\s\S]*}", server.handle)  # a key may have line ends
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield
    finally:
        await runner.cleanup()


def _xml(root: str, body: str) -> web.Response:
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return web.Response(text=f'<?xml version="1.0"?><{root} xmlns="{namespace}">{body}</{root}>', content_type=_XML)


def _error(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, text=text, content_type=_XML)
