"""Google's and Azure's stores as obstore meets them, over the versioned bucket of `bucket_server`. On loopback.

Shapes: Cloud Storage, "XML API reference"; Azure Storage, "List Blobs", "Get Blob", "Put Blob", "Put Block", "Put Block
List", "Copy Blob", "Blob Batch", as Azurite 3.35.0 answers them. Signatures are not checked.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import web
from pydantic import SecretStr

from tests.support.bucket_server import BUCKET, BucketServer, Version, served
from tests.support.s3_server import listed_as


class GoogleServer(BucketServer):
    """The same bucket, which lists as S3 does and asks for no signature."""

    @property
    def options(self) -> dict[str, SecretStr]:
        """What a client is opened with."""
        return google_options(self.url)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        key = unquote(path.removeprefix(f"/{BUCKET}").removeprefix("/"))
        asked = {"prefix": "", "max-keys": "1000", **dict(parse_qsl(query, keep_blank_values=True))}
        method = request.method if key else "LIST"
        self.requests.append(f"{method} {asked['prefix'] if method == 'LIST' else key}")
        if self.answers.get(method):
            return web.Response(status=self.answers[method].pop(0)[0])
        if self.expired:
            return self._expired()
        return self._list(asked) if method == "LIST" else self._object(request, key)

    def _expired(self) -> web.Response:
        """Refuse a token whose hour is over."""
        code, said = "AuthenticationRequired", "Authentication required."
        text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{said}</Message></Error>'
        return web.Response(status=401, text=text, content_type="application/xml")


class AzureServer(GoogleServer):
    """The same container, which lists as Azure does, pages by markers, and is written as Azure's are, by blocks."""

    def __init__(self) -> None:
        super().__init__(name=BUCKET)
        self.blocks: dict[str, dict[str, bytes]] = {}  # by key and id: put, and in no blob yet

    @property
    def options(self) -> dict[str, SecretStr]:
        """What a client is opened with."""
        plain = {"account_name": "acct", "account_key": "a2V5", "endpoint": self.url, "allow_http": "true"}
        return {name: SecretStr(value) for name, value in plain.items()}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.method not in {"PUT", "POST"}:
            return await super().handle(request)
        key, operation = _key(request.raw_path.partition("?")[0]), request.query.get("comp", "")
        self.requests.append(f"{request.method} {key}" + (f"?{operation}" if operation else ""))
        content = await request.read()
        if request.method == "POST":
            return self._batch(request.headers["content-type"].partition("boundary=")[2], content.decode())
        if operation == "block":
            self.blocks.setdefault(key, {})[request.query["blockid"]] = content
            return web.Response(status=201)
        return self._put(request, key, content)

    def _batch(self, boundary: str, content: str) -> web.Response:
        """Delete what a batch names, each with an answer of its own, the missing ones too."""
        answers = []
        for number, path in enumerate(re.findall(r"^DELETE (\S+) ", content, re.MULTILINE)):
            is_there = (key := _key(path)) in self.current()
            if is_there:
                self.delete(key)
            status = "202 Accepted" if is_there else "404 The specified blob does not exist."
            head = f"Content-Type: application/http\r\nContent-ID: {number}"
            answers.append(f"--{boundary}\r\n{head}\r\n\r\nHTTP/1.1 {status}\r\nx-ms-version: 2023-11-03\r\n\r\n")
        body = ("".join(answers) + f"--{boundary}--\r\n").encode()
        return web.Response(status=202, body=body, headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})

    def _put(self, request: web.Request, key: str, content: bytes) -> web.Response:
        headers, status = {}, 201
        if request.query.get("comp") == "blocklist":
            blocks = self.blocks.pop(key, {})
            ids = [each.text or "" for each in ET.fromstring(content)]  # noqa: S314 - of our own client
            if not blocks.keys() >= set(ids):
                return web.Response(status=400, text="InvalidBlockList")
            content = b"".join(blocks[each] for each in ids)
        elif source := request.headers.get("x-ms-copy-source"):
            copied = self.current().get(_key(urlsplit(source).path))
            if copied is None or copied.content is None:
                return web.Response(status=404)
            content, headers, status = copied.content, {"x-ms-copy-status": "success"}, 202
        elif request.headers.get("x-ms-blob-type") != "BlockBlob":
            return web.Response(status=400, text="x-ms-blob-type: missing or of another type")
        self.put(key, content)
        return web.Response(status=status, headers=headers | {"ETag": self.versions[key][-1].etag})

    def _list(self, asked: Mapping[str, str]) -> web.Response:
        if self.fails_after_pages is not None:
            if self.fails_after_pages == 0:
                return web.Response(status=500)
            self.fails_after_pages -= 1
        current = {} if self.lists_nothing else self.current()
        prefix, delimiter = asked["prefix"], asked.get("delimiter", "")
        names = {listed_as(key, prefix, delimiter) for key in current if key.startswith(prefix)}
        label, _, after = asked.get("marker", "").partition(":")
        left = sorted(name for name in names if name > after)
        page = left[: self.page_size]
        if self.duplicates_pages and label != "again" and page:
            marker = f"again:{after}"  # the same page once more
        else:
            marker = f"on:{page[-1]}" if len(page) < len(left) else ""
        blobs = "".join(self._blob(name, current.get(name)) for name in page)
        on = f"<NextMarker>{escape(marker)}</NextMarker>"
        body = f"<EnumerationResults><Blobs>{blobs}</Blobs>{on}</EnumerationResults>"
        return web.Response(text=f'<?xml version="1.0" encoding="utf-8"?>{body}', content_type="application/xml")

    def _expired(self) -> web.Response:
        """Refuse a shared access signature whose time is over: with 403, as what is not granted."""
        said = "Server failed to authenticate the request."
        detail = "Signature not valid in the specified time frame"
        text = (
            f"<Error><Code>AuthenticationFailed</Code><Message>{said}</Message>"
            f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
        )
        headers = {"x-ms-error-code": "AuthenticationFailed"}
        return web.Response(status=403, text=text, headers=headers, content_type="application/xml")

    def _blob(self, name: str, version: Version | None) -> str:
        if version is None:
            return f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"
        modified = format_datetime(version.modified_at + self.skew, usegmt=True)
        return (
            f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{modified}</Last-Modified>"
            f"<Etag>{escape(version.etag)}</Etag><Content-Length>{len(version.content or b'')}</Content-Length>"
            "<Content-Type>binary/octet-stream</Content-Type></Properties></Blob>"
        )


def _key(path: str) -> str:
    return unquote(path.removeprefix(f"/{BUCKET}").removeprefix("/"))


def google_options(url: str) -> dict[str, SecretStr]:
    """Return what leads obstore's client of Google elsewhere: what a source of the directory may not say."""
    key = {"gcs_base_url": url, "disable_oauth": True, "private_key": "", "private_key_id": "", "client_email": ""}
    return {"service_account_key": SecretStr(json.dumps(key)), "allow_http": SecretStr("true")}


@asynccontextmanager
async def cloud_server(kind: type[GoogleServer]) -> AsyncIterator[GoogleServer]:
    """Serve a bucket on a free port of loopback."""
    server = kind()
    async with served(server):
        yield server
