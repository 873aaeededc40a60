"""Google's and Azure's stores as obstore meets them, over the versioned bucket of `bucket_server`. On loopback.

Shapes: Cloud Storage, "XML API reference"; Azure Storage, "List Blobs" and "Get Blob". Signatures are not checked.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from tests.support.bucket_server import BUCKET, BucketServer, Version, served


class GoogleServer(BucketServer):
    """The same bucket, which lists as S3 does and asks for no signature."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        key = unquote(path.removeprefix(f"/{BUCKET}").removeprefix("/"))
        asked = {"prefix": "", "max-keys": "1000", **dict(parse_qsl(query, keep_blank_values=True))}
        method = request.method if key else "LIST"
        self.requests.append(f"{method} {asked['prefix'] if method == 'LIST' else key}")
        if self.answers.get(method):
            return web.Response(status=self.answers[method].pop(0)[0])
        return self._list(asked) if method == "LIST" else self._object(request, key)


class AzureServer(GoogleServer):
    """The same container, which lists as Azure does: pages by markers."""

    def _list(self, asked: Mapping[str, str]) -> web.Response:
        if self.fails_after_pages is not None:
            if self.fails_after_pages == 0:
                return web.Response(status=500)
            self.fails_after_pages -= 1
        current = {} if self.lists_nothing else self.current()
        names = [key for key in current if key.startswith(asked["prefix"]) and key > asked.get("marker", "")]
        page = names[: self.page_size]
        marker = escape(page[-1]) if len(page) < len(names) else ""
        blobs = "".join(self._blob(key, current[key]) for key in page)
        body = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
        return web.Response(text=f'<?xml version="1.0" encoding="utf-8"?>{body}', content_type="application/xml")

    def _blob(self, key: str, version: Version) -> str:
        modified = format_datetime(version.modified_at + self.skew, usegmt=True)
        return (
            f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{modified}</Last-Modified>"
            f"<Etag>{escape(version.etag)}</Etag><Content-Length>{len(version.content or b'')}</Content-Length>"
            "<Content-Type>binary/octet-stream</Content-Type></Properties></Blob>"
        )


@asynccontextmanager
async def cloud_server(kind: type[GoogleServer]) -> AsyncIterator[GoogleServer]:
    """Serve a bucket on a free port of loopback."""
    server = kind()
    async with served(server):
        yield server
