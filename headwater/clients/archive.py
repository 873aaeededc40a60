"""An archive on obstore: a folder, S3, GCS or Azure by its address."""

from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import obstore

from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.objects import ObjectMissingError, list_objects, open_objects, translated
from headwater.settings import BackupSettings, BlobSettings

T = TypeVar("T")
_WHAT: Final = "the archive"
_OPTIONS: Final = "HEADWATER_BACKUP__OPTIONS"
_NO_LIMIT: Final = 2**63  # what was admitted is copied, whatever the limit is today
_BLOBS: Final = "blobs"


class ObjectArchive:
    """Implements the port ArchiveStore. `address` is a folder's path or a bucket's URL."""

    def __init__(self, address: str, settings: BackupSettings) -> None:
        url = (address if "://" in address or address.startswith("file:") else f"file:{address}").rstrip("/")
        self._store = open_objects(url, settings.options, setting=_WHAT, options_setting=_OPTIONS)
        self.blobs = ObjectBlobStore(
            BlobSettings(url=f"{url}/{_BLOBS}", options=settings.options, max_content_bytes=_NO_LIMIT)
        )

    @property
    def inventory(self) -> ObjectBlobStore:
        """See the port."""
        return self.blobs

    async def put(self, name: str, data: bytes) -> None:
        """See the port: obstore writes beside the name and renames, or puts in one request."""
        await _translated(obstore.put_async(self._store, name, data, use_multipart=False))

    async def get(self, name: str) -> bytes:
        """See the port."""
        try:
            result = await _translated(obstore.get_async(self._store, name))
            return bytes(await _translated(result.bytes_async()))
        except ObjectMissingError as error:
            raise ObjectMissingError(f"the archive lacks {name}: use another run") from error

    async def names(self, folder: str) -> Sequence[str]:
        """See the port."""
        listing = list_objects(self._store, folder, what=_WHAT, options_setting=_OPTIONS)
        return sorted([each.name.removeprefix(f"{folder}/") async for each in listing])

    async def remove(self, names: Collection[str]) -> None:
        """See the port."""
        for name in names:
            with suppress(ObjectMissingError):
                await _translated(obstore.delete_async(self._store, name))


async def _translated(call: Awaitable[T]) -> T:
    return await translated(call, what=_WHAT, options_setting=_OPTIONS)
