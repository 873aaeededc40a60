"""Writing documents from files: what is submitted, what is refused, and what stays out of memory."""

import json
import tracemalloc
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any

import pytest

from headwater.settings import BlobSettings, Settings
from schemas.events import BlobRef
from schemas.ids import TenantId
from tests.support.api import FakeApi, fake_api
from tests.support.document_writes import EVERYONE, only_submission, path_of


class CountingBlobs:
    """A blob store that keeps nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def write(self, tenant: TenantId, pieces: AsyncIterable[bytes]) -> BlobRef:
        self.sizes = [len(piece) async for piece in pieces]
        return BlobRef(sha256="0" * 64, size_bytes=sum(self.sizes))

    def read(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def exists(self, tenant: TenantId, ref: BlobRef) -> bool:
        return True


def multipart(
    metadata: Mapping[str, Any], content: AsyncIterator[bytes], *, name: str = "a.pdf"
) -> AsyncIterator[bytes]:
    async def body() -> AsyncIterator[bytes]:
        yield b'--frontier\r\nContent-Disposition: form-data; name="document"\r\n\r\n'
        yield json.dumps(metadata).encode()
        yield f'\r\n--frontier\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n\r\n'.encode()
        async for piece in content:
            yield piece
        yield b"\r\n--frontier--\r\n"

    return body()


async def zeros(total: int) -> AsyncIterator[bytes]:
    yield b"%PDF-1.7\n"
    for _ in range(total // 65_536):
        yield bytes(65_536)


MULTIPART = {"Content-Type": "multipart/form-data; boundary=frontier"}
METADATA = {"title": "Report", "access": EVERYONE}


class TestUploads:
    """multipart/form-data."""

    async def test_content_is_streamed_in_pieces_and_never_whole_in_memory(self) -> None:
        blobs = CountingBlobs()
        async with fake_api(blobs=blobs) as api:
            headers = await api.key() | MULTIPART
            tracemalloc.start()
            response = await api.client.put(
                path_of(), content=multipart(METADATA, zeros(64 * 1024 * 1024)), headers=headers
            )
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert response.status_code == 202
            assert set(blobs.sizes[:-1]) == {1024 * 1024}
            assert peak < 8 * 1024 * 1024
            state = only_submission(api).state
            assert state is not None
            assert (state.media_type, state.title) == ("application/pdf", "Report")

    async def test_an_upload_above_the_limit_is_refused_while_it_arrives(self) -> None:
        settings = Settings(blobs=BlobSettings(max_content_bytes=1024 * 1024))
        async with fake_api(settings) as api:
            api.blobs._limit = 1024 * 1024
            headers = await api.key() | MULTIPART
            response = await api.client.put(
                path_of(), content=multipart(METADATA, zeros(2 * 1024 * 1024)), headers=headers
            )
            assert (response.status_code, response.json()["code"]) == (413, "content_too_large")
            assert api.log.events == []

    async def test_the_type_comes_from_the_content_not_from_the_name(self, api: FakeApi) -> None:
        headers = await api.key() | MULTIPART
        await api.client.put(path_of(), content=multipart(METADATA, zeros(0), name="notes.md"), headers=headers)
        state = only_submission(api).state
        assert state is not None
        assert state.media_type == "application/pdf"

    async def test_a_wrong_field_of_the_metadata_part_is_named(self, api: FakeApi) -> None:
        headers = await api.key() | MULTIPART
        response = await api.client.put(path_of(), content=multipart({"titel": "x"}, zeros(0)), headers=headers)
        assert (response.status_code, response.json()["field"]) == (422, "document.title")

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            (b'--frontier\r\nContent-Disposition: form-data; name="document"\r\n\r\n{"title": "x"}', 400, None),
            (b"no multipart at all", 400, None),
            (
                (
                    b'--frontier\r\nContent-Disposition: form-data; name="document"\r\n\r\n{"title": "x"}'
                    b"\r\n--frontier--\r\n"
                ),
                422,
                "content",
            ),
            (
                b'--frontier\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--frontier--\r\n',
                422,
                "body",
            ),
        ],
    )
    async def test_what_is_missing_or_malformed_is_said(
        self, api: FakeApi, body: bytes, status: int, field: str | None
    ) -> None:
        response = await api.client.put(path_of(), content=body, headers=await api.key() | MULTIPART)
        assert (response.status_code, response.json().get("field")) == (status, field)
        assert api.log.events == []

    async def test_another_content_type_is_refused(self, api: FakeApi) -> None:
        response = await api.client.put(
            path_of(), content=b"x", headers=await api.key() | {"Content-Type": "text/plain"}
        )
        assert (response.status_code, response.json()["field"]) == (415, "Content-Type")

    async def test_nothing_is_read_before_the_caller_may_write(self, api: FakeApi) -> None:
        async def never() -> AsyncIterator[bytes]:
            yield b""
            raise AssertionError("the body was read")

        headers = await api.key(scopes=("read",)) | MULTIPART
        response = await api.client.put(path_of(), content=never(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
