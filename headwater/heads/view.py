"""What API processes see: heads and control data, read-only, beside the follower that writes them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from headwater.heads.clocks import steady_ms, wall_ms
from headwater.heads.directory_table import DirectoryTable
from headwater.heads.environment import DATA_FILE, Environment, Transaction, open_reader
from headwater.heads.replica import Replica, replica_folder
from headwater.heads.topics import FollowedTopics
from headwater.ports.heads import DirectoryEntry, Head, Positions
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.directory import DirectoryChanged, DirectoryKind
from schemas.ids import DocumentId, GenerationName, Principal, TenantId

R = TypeVar("R")
_EPOCH = datetime.fromtimestamp(0, tz=UTC)


class LmdbHeads:
    """Implements the ports `Heads` and `Directory`. Belongs to one thread.

    Opens the replica when it is first asked and again when its folder was replaced. While there is none it knows
    nothing and is as of 1970: whoever checks staleness refuses. Read transactions last microseconds, so a reader
    never holds back the follower's space.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = wall_ms,
        steady_ms: Callable[[], int] = steady_ms,
    ) -> None:
        self._now_ms, self._steady_ms = now_ms, steady_ms
        self._folder: Path = replica_folder(settings.heads)
        self._topics = FollowedTopics.of(settings)
        self._replica: Replica | None = None
        self._inode = 0
        self._table = DirectoryTable()
        self._directory_position = 0
        self._directory_topic_id: str | None = None

    def close(self) -> None:
        """Let go of the environment; the next question attaches again."""
        if self._replica is not None:
            self._replica.environment.close()
            self._replica = None

    def head(self, tenant: TenantId, document: DocumentId) -> Head | None:
        """Return the newest committed state that was applied."""
        return self.heads(tenant, (document,)).get(document)

    def heads(self, tenant: TenantId, documents: Sequence[DocumentId]) -> Mapping[DocumentId, Head]:
        """Return those that are known to the tenant, in one snapshot."""

        def read(replica: Replica, txn: Transaction) -> dict[DocumentId, Head]:
            found = ((document, replica.head(txn, document)) for document in documents)
            return {document: head for document, head in found if head is not None and head.tenant_id == tenant}

        return self._read(read, {})

    def applied(self) -> Positions:
        """Return the next offset to apply, by topic and partition."""
        nothing: dict[str, dict[int, int]] = {}
        return self._read(lambda replica, txn: replica.checkpoints.positions(txn), nothing)

    def directory_position(self) -> int:
        """Return the next offset of directory.changed; everything below it is in the directory as seen here."""
        self._refresh()
        return self._directory_position

    def as_of(self) -> datetime:
        """Return the latest instant of which it is certain that everything appended before has been applied.

        By this host's clock as it is set now: the age is measured on the steady clock, so that setting the other one
        makes nothing look younger (ADR 0071). What comes from before the host's last start is of no age: 1970.
        """
        then = self._read(lambda replica, txn: replica.checkpoints.steady_ms(txn), 0)
        age_ms = self._steady_ms() - then
        if not then or age_ms < 0:
            return _EPOCH
        return datetime.fromtimestamp((self._now_ms() - age_ms) / 1000, tz=UTC)

    def get(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryEntry | None:
        """Return the record, None where there is none or it was deleted."""
        return self._refresh().get(tenant, kind, record_id)

    def list(self, tenant: TenantId, kind: DirectoryKind) -> Sequence[DirectoryEntry]:
        """Return all records of a kind, ordered by id."""
        return self._refresh().list(tenant, kind)

    def principals(self, tenant: TenantId, user: str) -> frozenset[Principal]:
        """Return who a user is; empty for nobody."""
        return self._refresh().principals(tenant, user)

    def serving_generation(self) -> GenerationName | None:
        """Return the generation that was switched to last."""
        return self._refresh().serving_generation()

    def _refresh(self) -> DirectoryTable:
        def read(replica: Replica, txn: Transaction) -> None:
            position = replica.checkpoints.position(txn, self._topics.directory, 0)
            topic_id = replica.checkpoints.topic_ids(txn).get(self._topics.directory)
            if position < self._directory_position or topic_id != self._directory_topic_id:  # rebuilt from the log
                self._table, self._directory_position, self._directory_topic_id = DirectoryTable(), 0, topic_id
            if position == self._directory_position:
                return
            for value in replica.directory_since(txn, self._directory_position):
                self._table.apply(decode(value, DirectoryChanged))
            self._directory_position = position

        self._read(read, None)
        return self._table

    def _read(self, read: Callable[[Replica, Any], R], missing: R) -> R:
        replica = self._attached()
        if replica is None:
            return missing
        with replica.environment.begin() as txn:
            return read(replica, txn)

    def _attached(self) -> Replica | None:
        try:
            inode = (self._folder / DATA_FILE).stat().st_ino
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            self.close()
            self._table, self._directory_position = DirectoryTable(), 0
        if self._replica is None:
            environment = open_reader(self._folder) if inode else None
            # Until the follower has created the databases there is nothing to attach to.
            self._replica = _databases(environment) if environment is not None else None
            self._inode = inode
        return self._replica


def _databases(environment: Environment) -> Replica | None:
    try:
        return Replica(environment, create=False)
    except (lmdb.NotFoundError, lmdb.ReadonlyError):
        environment.close()
        return None
