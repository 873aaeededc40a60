"""An S3 server in memory: what obstore's client asks of one bucket. Signatures are not checked, ranges not served.

Shapes of requests and answers: Amazon S3 API Reference, version 2006-03-01.
"""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import uuid4

from aiohttp import web
from pydantic import SecretStr

WRITTEN_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)  # whatever the test's clock says
LISTED_AT_ONCE = 3  # a thousand at Amazon: listings of a few objects have pages here
MAX_REQUEST_BYTES = 16 * 1024 * 1024  # a part is 5 MiB
_XML = "application/xml"


@dataclass(slots=True)
class S3Server:
    """A bucket and what happens to it. `failing`: the status that every request is answered with.

    `full`: nothing is stored any more, and `refused` counts what was not; all else works.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)  # begun and neither completed nor aborted
    requests: list[str] = field(default_factory=list)  # METHOD key?operation
    failing: int | None = None
    full: bool = False
    refused: int = 0

    @property
    def options(self) -> dict[str, SecretStr]:
        """What a client of this server is opened with."""
        options = {
            "endpoint": self.url,
            "allow_http": "true",
            "region": "eu-central-1",
            "access_key_id": "test",
            "secret_access_key": "test",
        }
        return {name: SecretStr(value) for name, value in options.items()}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        key, query = request.match_info["key"].lstrip("/"), request.query
        operation = next((name for name in ("uploads", "uploadId", "delete") if name in query), "")
        self.requests.append(f"{request.method} {key}?{operation}")
        if self.failing is not None:
            return _error(self.failing, "Refused")
        if "list-type" in query:
            return self._list(query)
        content = await request.read()
        if operation == "delete":
            return self._delete_all(re.findall(r"<Key>([^<]+)</Key>", content.decode()))
        if self.full and request.method in {"PUT", "POST"}:
            self.refused += 1
            return _error(507, "InsufficientStorage")
        if operation:
            return self._multipart(request.method, key, query, content)
        return self._single(request, key, content)

    def _list(self, query: Mapping[str, str]) -> web.Response:
        prefix, delimiter, after = (query.get(name, "") for name in ("prefix", "delimiter", "continuation-token"))
        names = sorted({listed_as(key, prefix, delimiter) for key in self.objects if key.startswith(prefix)})
        left = [name for name in names if name > after]
        page, more = left[:LISTED_AT_ONCE], len(left) > LISTED_AT_ONCE
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return _xml("ListBucketResult", truncated + token + "".join(map(self._listed, page)))

    def _listed(self, name: str) -> str:
        if name not in self.objects:
            return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        content = self.objects[name]
        return (
            f"<Contents><Key>{name}</Key><LastModified>{WRITTEN_AT.isoformat()}</LastModified>"
            f"<ETag>{_etag(content)}</ETag><Size>{len(content)}</Size></Contents>"
        )

    def _multipart(self, method: str, key: str, query: Mapping[str, str], content: bytes) -> web.Response:
        if "uploads" in query:
            return self._begin(key)
        if method == "PUT":
            self.uploads[query["uploadId"]][int(query["partNumber"])] = content
            return web.Response(headers={"ETag": _etag(content)})
        parts = self.uploads.pop(query["uploadId"])
        if method == "DELETE":
            return web.Response(status=204)
        return self._completed(key, b"".join(part for _, part in sorted(parts.items())))

    def _single(self, request: web.Request, key: str, content: bytes) -> web.Response:
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return web.Response(status=204)
        if request.method != "PUT":
            return self._get(key)
        if source := request.headers.get("x-amz-copy-source"):
            return self._copy(source, key)
        self.objects[key] = content
        return web.Response(headers={"ETag": _etag(content)})

    def _delete_all(self, keys: Sequence[str]) -> web.Response:
        for key in keys:
            self.objects.pop(key, None)
        return _xml("DeleteResult", "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys))

    def _begin(self, key: str) -> web.Response:
        upload = uuid4().hex
        self.uploads[upload] = {}
        return _xml("InitiateMultipartUploadResult", f"<Key>{key}</Key><UploadId>{upload}</UploadId>")

    def _completed(self, key: str, content: bytes) -> web.Response:
        self.objects[key] = content
        return _xml("CompleteMultipartUploadResult", f"<Key>{key}</Key><ETag>{_etag(content)}</ETag>")

    def _copy(self, source: str, key: str) -> web.Response:
        content = self.objects.get(source.lstrip("/").partition("/")[2])
        if content is None:
            return _error(404, "NoSuchKey")
        self.objects[key] = content
        return _xml("CopyObjectResult", f"<ETag>{_etag(content)}</ETag>")

    def _get(self, key: str) -> web.Response:
        content = self.objects.get(key)
        if content is None:
            return _error(404, "NoSuchKey")
        headers = {
            "ETag": _etag(content),
            "Last-Modified": format_datetime(WRITTEN_AT, usegmt=True),
            "Content-Length": str(len(content)),  # of a HEAD as well, and of nothing
        }
        return web.Response(body=content, headers=headers, content_type="application/octet-stream")


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Serve bucket `blobs` on a free port of loopback, in a thread of its own: obstore's client blocks no loop."""
    server, loop, ready = S3Server(), asyncio.new_event_loop(), threading.Event()
    ending = asyncio.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_route("*", "/blobs{key:.*}", server.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        ready.set()
        await ending.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="s3")
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("the S3 server did not start")
        yield server
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        loop.close()


def listed_as(key: str, prefix: str, delimiter: str) -> str:
    """Return what a listing shows for a key: itself, or the folder that it lies in."""
    if not delimiter:
        return key
    folder, cut, _ = key.removeprefix(prefix).partition(delimiter)
    return f"{prefix}{folder}{cut}" if cut else key


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _xml(root: str, body: str) -> web.Response:
    return web.Response(text=f'<?xml version="1.0"?><{root}>{body}</{root}>', content_type=_XML)


def _error(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, text=text, content_type=_XML)
