"""A bucket over S3's protocol: Amazon's, MinIO, and Google's by its XML interface."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from headwater.clients.s3.answers import head_of, page_of, refusal, says_untagged, tags_of
from headwater.clients.s3.signing import Credentials, encoded_path, encoded_query, signed_headers
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.ports.objects import ListedObject, ObjectChangedError
from headwater.retry import RetryPolicy, retry

_PAGE: Final = 1000  # the most that S3 gives at once
_MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024  # a page of a thousand keys of 1,024 bytes, each byte written as three
_MAX_REFUSAL_BYTES: Final = 64 * 1024
# Of a page, a look, tags: 0.5 + 1 + 2 + ... s. Contents are tried again by whoever stores them.
RETRY: Final = RetryPolicy(attempts=8, first_delay_s=0.5, max_delay_s=20.0, budget_s=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where a bucket is. `endpoint`: https://host[:port]; `virtual_host`: the bucket is the host's first label."""

    endpoint: str
    region: str
    name: str
    virtual_host: bool = False

    @property
    def base(self) -> httpx.URL:
        """Return scheme, host and port of every request."""
        url = httpx.URL(self.endpoint)
        return url.copy_with(host=f"{self.name}.{url.host}") if self.virtual_host else url

    def path(self, key: str) -> str:
        """Return the encoded path of a key, or of the bucket for an empty one."""
        return encoded_path(f"/{key}" if self.virtual_host else f"/{self.name}" + (f"/{key}" if key else ""))


class S3Objects:
    """Implements the port Objects. Requests are signed unless there are no credentials (a public bucket).

    How long an answer may take is the HTTP client's to say.
    """

    def __init__(
        self, http: httpx.AsyncClient, bucket: Bucket, credentials: Credentials | None, *, policy: RetryPolicy = RETRY
    ) -> None:
        self._http, self._bucket, self._credentials, self._policy = http, bucket, credentials, policy
        self._where = f"s3://{bucket.name}"

    async def check(self, prefix: str) -> None:
        """See the port: lists one key, and looks at it."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": "1", "encoding-type": "url"}
        try:
            content, seen_ns = await self._asked(query, right="s3:ListBucket")
            for listed in page_of(content, seen_ns=seen_ns).objects:
                await self.head(listed.key)
        except PoisonError as error:
            raise FatalError(f"{self._where}: lists, but cannot be read: {error}") from error

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """See the port."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(_PAGE), "encoding-type": "url"}
        token: str | None = ""
        while token is not None:
            asked = query | ({"continuation-token": token} if token else {})

            async def ask(asked: Mapping[str, str] = asked) -> tuple[tuple[ListedObject, ...], str | None]:
                content, seen_ns = await self._request(asked, right="s3:ListBucket")
                page = page_of(content, seen_ns=seen_ns)
                return page.objects, page.token

            objects, following = await retry(ask, policy=self._policy)
            yield objects
            if token and following == token:  # for ever, each page as one that came twice
                raise RetryableError(f"{self._where}: its listing stands still; nothing is deleted on its word")
            token = following

    async def head(self, key: str) -> ListedObject | None:
        """See the port."""

        async def look() -> ListedObject | None:
            seen_ns = time.time_ns()
            async with self._open("HEAD", key) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.is_success:
                    return head_of(key, response.headers, seen_ns=seen_ns)
            # The answer to a look says no reason: one to the first byte does.
            async with self._open("GET", key, headers={"range": "bytes=0-0"}) as response:
                await self._raise_for(response, right="s3:GetObject", key=key)
            raise RetryableError(
                f"{self._where}: answered a look at {key} with an error, and the object itself without"
            )

        return await retry(look, policy=self._policy)

    async def read(self, listed: ListedObject) -> AsyncIterator[bytes]:
        """See the port. What is stored is what is yielded: a declared content encoding is not undone."""
        headers = {"if-match": listed.etag} if listed.etag else {}
        count = 0
        async with self._open("GET", listed.key, headers=headers) as response:
            await self._raise_for(response, right="s3:GetObject", key=listed.key)
            async for piece in response.aiter_raw():
                count += len(piece)
                if count > listed.size_bytes:  # the listed size is what was judged; without end there is none
                    break
                yield piece
        if count != listed.size_bytes:
            raise ObjectChangedError(f"{listed.key}: {count} bytes where {listed.size_bytes} were listed; tried again")

    async def tags(self, key: str) -> Mapping[str, str]:
        """See the port."""

        async def ask() -> Mapping[str, str]:
            async with self._open("GET", key, query={"tagging": ""}) as response:
                content = await self._whole(response)
            if response.is_success:
                return tags_of(content)
            if says_untagged(content):
                return {}
            raise refusal(response.status_code, content, where=self._where, right="s3:GetObjectTagging", key=key)

        return await retry(ask, policy=self._policy)

    async def _asked(self, query: Mapping[str, str], *, right: str) -> tuple[bytes, int]:
        return await retry(lambda: self._request(query, right=right), policy=self._policy)

    async def _request(self, query: Mapping[str, str], *, right: str) -> tuple[bytes, int]:
        """Ask the bucket itself; with the answer comes when it was asked."""
        seen_ns = time.time_ns()
        # Without it a restored object of an archive looks like one that is not.
        headers = {"x-amz-optional-object-attributes": "RestoreStatus"}
        async with self._open("GET", "", query=query, headers=headers) as response:
            await self._raise_for(response, right=right, key=None)
            return await self._whole(response), seen_ns

    @asynccontextmanager
    async def _open(
        self, method: str, key: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[httpx.Response, None]:
        """Send one signed request. Raise RetryableError where no whole answer comes."""
        base = self._bucket.base
        target = self._bucket.path(key) + (f"?{encoded_query(query)}" if query else "")
        sent = {"host": base.netloc.decode(), "accept-encoding": "identity", **(headers or {})}
        if self._credentials is not None:
            sent = signed_headers(
                method,
                target,
                headers=sent,
                credentials=self._credentials,
                region=self._bucket.region,
                at=datetime.now(UTC),
            )
        # As the target, because an HTTP client tidies paths: keys may hold `//`, `..` and `%`.
        request = self._http.build_request(method, base, headers=sent, extensions={"target": target.encode()})
        try:
            response = await self._http.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise RetryableError(f"{self._where}: {type(error).__name__}; is it reachable?") from error

    async def _raise_for(self, response: httpx.Response, *, right: str, key: str | None) -> None:
        if response.is_success:
            return
        content = await _up_to(response, _MAX_REFUSAL_BYTES)
        raise refusal(response.status_code, content, where=self._where, right=right, key=key)

    async def _whole(self, response: httpx.Response) -> bytes:
        content = await _up_to(response, _MAX_ANSWER_BYTES + 1)
        if len(content) > _MAX_ANSWER_BYTES:
            raise FatalError(
                f"{self._where}: an answer of more than {_MAX_ANSWER_BYTES} bytes; is this an S3 endpoint?"
            )
        return content


async def _up_to(response: httpx.Response, limit: int) -> bytes:
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) >= limit:
            break
    return bytes(content[:limit])
