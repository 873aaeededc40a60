"""Marks what is referred to: heads, what was replaced a moment ago, submissions on their way, dead letters."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headwater.archive.references import references_of
from headwater.blobs.scratch import scratch
from headwater.clients.kafka.records import Record
from headwater.heads.environment import Environment
from headwater.ports.archive import SourceLog
from schemas.ids import TenantId
from schemas.topics import Topic

_NOTHING: Final = b"-"  # the document refers to no content: it was deleted, or never had any


class Marks:
    """Blobs that must stay, in a file: as many as there are, in little memory."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._marked = environment.open_db(b"marked")
        self._heads = environment.open_db(b"heads")

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Marks"]:
        """Open an empty set below a folder; removed at the end."""
        with scratch(folder) as environment:
            yield cls(environment)

    def mark(self, tenant: TenantId, sha256: str) -> None:
        """Keep a blob."""
        with self._environment.begin(write=True) as txn:
            txn.put(_name(tenant, sha256), b"", db=self._marked)

    def has(self, tenant: TenantId, sha256: str) -> bool:
        """Say whether a blob is kept."""
        with self._environment.begin() as txn:
            return txn.get(_name(tenant, sha256), db=self._marked) is not None

    def follow(self, record: Record, *, replaced_after: datetime) -> None:
        """Take in the next record of the log; what it replaces stays marked if that was after this time."""
        key = record.key or b""
        reference = next((_name(tenant, ref.sha256) for tenant, ref in references_of(record)), _NOTHING)
        with self._environment.begin(write=True) as txn:
            previous = txn.get(key, db=self._heads)
            if previous is not None and _appended_at(record) > replaced_after:
                txn.put(previous, b"", db=self._marked)
            txn.put(key, reference, db=self._heads)

    def mark_heads(self) -> int:
        """Mark what the newest records refer to; return how many documents the log knows."""
        with self._environment.begin(write=True) as txn:
            for _, reference in txn.cursor(db=self._heads):
                txn.put(reference, b"", db=self._marked)
            return int(txn.stat(self._heads)["entries"])


async def mark_referred(log: SourceLog, marks: Marks, *, replaced_after: datetime) -> int:
    """Mark everything that the log refers to; return how many documents it knows.

    Submissions are read before the log: what is settled in between is seen in both. A content that a newer state has
    replaced stays while stages that lag, and a backup under way, may still read it.
    """
    async for record in log.unsettled():
        for tenant, ref in references_of(record):
            marks.mark(tenant, ref.sha256)
    facts = await log.facts(Topic.DOCUMENTS_CHANGED)
    async for record in log.records(Topic.DOCUMENTS_CHANGED, facts.starts, facts.ends):
        marks.follow(record, replaced_after=replaced_after)
    return marks.mark_heads()


def _name(tenant: TenantId, sha256: str) -> bytes:
    return f"{tenant}/{sha256}".encode()


def _appended_at(record: Record) -> datetime:
    return datetime.fromtimestamp((record.timestamp_ms or 0) / 1000, tz=UTC)
