"""Transactions of the simulated broker: ids that fence each other, and ends that partitions show a moment later."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from headwater.clients.kafka.records import Headers
from tests.simulation.groups import Group
from tests.simulation.partition_log import Entry, Partition, PartitionLog, State


class FencedProducerError(Exception):
    """Another producer has this transactional id."""


class StaleMemberError(Exception):
    """The group has moved on without this member."""


@dataclass(slots=True, kw_only=True, eq=False)
class Transaction:
    """What one transactional id has under way."""

    epoch: int = 0
    written: list[tuple[Partition, Entry]] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)
    group: Group | None = None
    is_open: bool = False
    markers_due: int = 0  # partitions that do not show yet how it ended
    number: int = 0


class Log(Protocol):
    """Where transactions write."""

    @property
    def logs(self) -> Mapping[Partition, PartitionLog]: ...

    def write(self, partition: Partition, key: bytes, value: bytes | None, headers: Headers, state: State) -> Entry: ...

    def show(self, partition: Partition, entry: Entry) -> None: ...

    def wake(self, partition: Partition) -> None: ...


class Transactions:
    """The broker's coordinator. Calls take effect at once; whoever calls makes them take time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, log: Log) -> None:
        self._loop, self._random, self._log = loop, random, log
        self._transactions: dict[str, Transaction] = {}

    def init(self, name: str) -> int | None:
        """Fence earlier producers of this id; return the new epoch, None while an older transaction still ends."""
        transaction = self._transactions.setdefault(name, Transaction())
        if transaction.is_open:
            transaction.epoch += 1
            self._end(transaction, commit=False)
        if transaction.markers_due:
            return None
        transaction.epoch += 1
        return transaction.epoch

    def can_begin(self, name: str, epoch: int) -> bool:
        """Say whether the last transaction of this id has ended everywhere."""
        return self._fenced(name, epoch).markers_due == 0

    def write(
        self, name: str, epoch: int, batch: list[tuple[Partition, bytes, bytes | None, Headers]], timeout_s: float
    ) -> dict[Partition, int]:
        """Append records that nobody sees yet; return the next offsets behind them."""
        transaction = self._fenced(name, epoch)
        self._open(transaction, timeout_s)
        behind: dict[Partition, int] = {}
        for partition, key, value, headers in batch:
            entry = self._log.write(partition, key, value, headers, State.OPEN)
            transaction.written.append((partition, entry))
            behind[partition] = entry.offset + 1
            self._log.wake(partition)
        return behind

    def add_offsets(
        self,
        name: str,
        epoch: int,
        offsets: dict[Partition, int],
        notes: dict[Partition, str],
        group: Group,
        membership: tuple[str, int] | None,
        timeout_s: float,
    ) -> None:
        """Add consumed positions to the transaction. None for a membership: the producer does not prove any."""
        transaction = self._fenced(name, epoch)
        if membership is not None and not group.is_current(*membership):
            raise StaleMemberError
        self._open(transaction, timeout_s)
        transaction.group = group
        transaction.offsets |= offsets
        transaction.notes |= notes
        group.pending[name] = set(offsets)

    def end(self, name: str, epoch: int, *, commit: bool) -> None:
        """Decide; partitions show it a moment later."""
        self._end(self._fenced(name, epoch), commit=commit)

    def _fenced(self, name: str, epoch: int) -> Transaction:
        transaction = self._transactions[name]
        if transaction.epoch != epoch:
            raise FencedProducerError
        return transaction

    def _open(self, transaction: Transaction, timeout_s: float) -> None:
        if transaction.is_open:
            return
        transaction.is_open = True
        transaction.number += 1
        self._loop.call_later(timeout_s, self._time_out, transaction, transaction.number)

    def _time_out(self, transaction: Transaction, number: int) -> None:
        if transaction.is_open and transaction.number == number:
            transaction.epoch += 1  # its producer is fenced
            self._end(transaction, commit=False)

    def _end(self, transaction: Transaction, *, commit: bool) -> None:
        if not transaction.is_open:
            return
        transaction.is_open = False
        by_partition: dict[Partition, list[Entry]] = {}
        for partition, entry in transaction.written:
            by_partition.setdefault(partition, []).append(entry)
        for partition, entries in by_partition.items():
            transaction.markers_due += 1
            delay_s = self._random.random() * 0.03
            self._loop.call_later(delay_s, self._mark, transaction, partition, entries, commit)
        if transaction.group is not None:
            transaction.markers_due += 1
            delay_s = self._random.random() * 0.03
            consumed = (dict(transaction.offsets), dict(transaction.notes))
            self._loop.call_later(delay_s, self._settle_offsets, transaction, consumed, commit)
        transaction.written, transaction.offsets, transaction.notes = [], {}, {}

    def _mark(self, transaction: Transaction, partition: Partition, entries: list[Entry], commit: bool) -> None:
        self._log.write(partition, b"", None, (), State.MARKER)
        for entry in entries:
            entry.state = State.COMMITTED if commit else State.ABORTED
            entry.at_s = self._loop.time()
            self._log.logs[partition].open_offsets.discard(entry.offset)
        transaction.markers_due -= 1
        for entry in entries:
            if commit:
                self._log.show(partition, entry)
        self._log.wake(partition)

    def _settle_offsets(
        self, transaction: Transaction, consumed: tuple[dict[Partition, int], dict[Partition, str]], commit: bool
    ) -> None:
        transaction.markers_due -= 1
        group, transaction.group = transaction.group, None
        if group is None:
            return
        if commit:
            group.committed |= consumed[0]
            group.notes |= consumed[1]
        name = next(name for name, each in self._transactions.items() if each is transaction)
        group.pending.pop(name, None)
