"""Git over HTTP, as far as a wiki needs it: the newest commit, its files by name, single contents (ADR 0145).

Source: git-scm.com, "gitprotocol-v2" and "gitprotocol-http". Packets and packs are read by dulwich; what is asked for
goes by the egress client like everything else.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dulwich.protocol import SIDE_BAND_CHANNEL_DATA, SIDE_BAND_CHANNEL_FATAL, pkt_line

from connectors.github.models import Repository
from connectors.github.packs import BrokenPackError, PackTooLargeError, packets, tree_files, unpacked
from headwater.clients.egress.errors import ResponseTooLargeError, SourceAwayError
from headwater.clients.egress.requests import EgressRequest, NotModified
from headwater.clients.egress.source import EgressSource
from headwater.errors import PoisonError

ANSWER_BYTES: Final = 64 * 1024  # of a question for one name
READ_AT_ONCE: Final = 4  # contents in memory
_ASKED: Final = "application/x-git-upload-pack-request"
_ANSWERED: Final = "application/x-git-upload-pack-result"
_HEADERS: Final = {"Git-Protocol": "version=2", "Content-Type": _ASKED, "Accept": _ANSWERED}
_SHA: Final = re.compile(rb"[0-9a-f]{40}")
_DELIMITER: Final = b"0001"
# zlib and the packets around a pack add less than this to what cannot be compressed.
_OVERHEAD: Final = 64 * 1024


class GitRefusedError(PoisonError):
    """Git's server does not give what it was asked for, or does not answer as git does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFile:
    """A file of a commit; `path` from its root, `sha` of its content."""

    path: str
    sha: str


class GitClient:
    """Calls of one source's repositories, those of its wikis. `source` is at home where they are cloned from."""

    def __init__(self, source: EgressSource) -> None:
        self._source = source
        self.reading = asyncio.Semaphore(READ_AT_ONCE)  # to be held by who has a content in memory

    async def head(self, repository: Repository) -> str | None:
        """Return the newest commit of a wiki's branch; None where nothing was ever written.

        Raises MissingError where there is no such wiki, or the caller may not know of it.
        """
        answer = await self._answer(repository, "ls-refs", (b"ref-prefix HEAD\n",), max_bytes=ANSWER_BYTES)
        for packet in _believed(answer):
            sha, _, name = (packet or b"").rstrip(b"\n").partition(b" ")
            if name.split(b" ")[0] == b"HEAD" and _SHA.fullmatch(sha):
                return sha.decode()
        return None

    async def files(self, repository: Repository, commit: str, *, max_bytes: int) -> Sequence[GitFile]:
        """Return all files of a commit by the order of their paths, without their contents: no links, no submodules.

        Raises PackTooLargeError where that is more than `max_bytes`, as sent or unpacked.
        """
        arguments = (f"want {commit}\n".encode(), b"deepen 1\n", b"filter blob:none\n")
        pack = await self._pack(repository, arguments, max_bytes=max_bytes)

        def found() -> Sequence[GitFile]:
            listed = tree_files(unpacked(pack, max_bytes=max_bytes), commit, max_bytes=max_bytes)
            return [GitFile(path=path, sha=sha) for path, sha in sorted(listed.items())]

        return await asyncio.to_thread(found)

    async def content(self, repository: Repository, sha: str, *, max_bytes: int) -> bytes:
        """Return a content. Raises PackTooLargeError above the limit, GitRefusedError where it is gone by now."""
        pack = await self._pack(repository, (f"want {sha}\n".encode(),), max_bytes=max_bytes)

        def found() -> bytes:
            held = unpacked(pack, max_bytes=max_bytes).get(sha)
            if held is None:
                raise BrokenPackError("git's server sent another content than it was asked for; try again later")
            return held.as_raw_string()

        return await asyncio.to_thread(found)

    async def _pack(self, repository: Repository, wanted: Sequence[bytes], *, max_bytes: int) -> bytes:
        arguments = (b"no-progress\n", *wanted, b"done\n")
        limit = max_bytes + max_bytes // 64 + _OVERHEAD
        try:
            answer = await self._answer(repository, "fetch", arguments, max_bytes=limit)
        except ResponseTooLargeError as error:
            raise PackTooLargeError(f"more than {max_bytes} bytes") from error
        pack: bytearray | None = None
        for packet in _believed(answer):
            if pack is None:
                pack = bytearray() if packet is not None and packet.rstrip(b"\n") == b"packfile" else None
            elif packet is None:
                return bytes(pack)
            elif packet[:1] == bytes([SIDE_BAND_CHANNEL_FATAL]):
                raise GitRefusedError("git's server broke off a pack; try again later")
            elif packet[:1] == bytes([SIDE_BAND_CHANNEL_DATA]):
                pack += packet[1:]
        raise BrokenPackError("git's server sent no whole pack; try again later")

    async def _answer(
        self, repository: Repository, command: str, arguments: Sequence[bytes], *, max_bytes: int
    ) -> bytes:
        """Ask. Commands change nothing, so they may be repeated."""
        asked = [pkt_line(f"command={command}\n".encode()), _DELIMITER, *map(pkt_line, arguments), pkt_line(None)]
        answer = await self._source.fetch(
            EgressRequest(
                url=f"{quote(repository.full_name)}.wiki.git/git-upload-pack",
                method="POST",
                headers=_HEADERS,
                content=b"".join(asked),
                max_bytes=max_bytes,
                repeatable=True,
            )
        )
        if isinstance(answer, NotModified):
            raise SourceAwayError("answered with 304 without a condition; try again later")
        if answer.headers.get("content-type") != _ANSWERED:
            raise GitRefusedError("what answers where wikis are cloned is not git; is settings.url GitHub's API?")
        return answer.content


def _believed(answer: bytes) -> Iterator[bytes | None]:
    """Yield packets. Raise GitRefusedError where one is an error; its text is the server's, and left out."""
    for packet in packets(answer):
        if packet is not None and packet.startswith(b"ERR "):
            raise GitRefusedError("git's server refused what it was asked for: it may be gone by now; try again later")
        yield packet
