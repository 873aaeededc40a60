"""What the worker needs of the outside: a log to append to in transactions, and the directory."""

from collections.abc import Mapping
from typing import Any, Protocol

from headwater.clients.kafka.records import Headers, Offsets
from headwater.heads.directory_table import DirectoryTable
from streams.admit.backlog import Place


class Writer(Protocol):
    """The part of `TransactionalWriter` that the worker needs."""

    def begin(self) -> None: ...

    def produce(
        self, topic: str, *, key: bytes, value: bytes | None, partition: int = -1, headers: Headers = ()
    ) -> None: ...

    def commit(self, positions: Mapping[tuple[str, int], Place], group: Any) -> Offsets: ...

    def abort(self) -> None: ...


class FollowsDirectory(Protocol):
    """Control data as far as it has been read, and a way to read on to its end."""

    @property
    def table(self) -> DirectoryTable:
        """What has been read."""
        ...

    @property
    def position(self) -> int:
        """Next offset behind the last record that was read."""
        ...
