"""Brings a worker's heads to the end of the log before it decides anything."""

from collections.abc import Callable, Collection
from typing import TypeAlias

import structlog

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.consumer import RecordStream, next_offsets
from headwater.clients.kafka.records import Item, Offsets, Record
from headwater.errors import FatalError
from headwater.heads.ends import ask_ends
from headwater.settings import KafkaSettings
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.documents import DocumentChanged
from streams.admit.heads import AdmissionHeads

log = structlog.get_logger(__name__)

_MAX_RECORDS = 2_000
_WAIT_S = 0.25

_Waiting: TypeAlias = dict[int, dict[str, bytes]]  # deletions that wait, by partition and document


async def restore_heads(
    settings: KafkaSettings,
    admin: KafkaAdmin,
    heads: AdmissionHeads,
    *,
    changed: str,
    quarantined: str,
    partitions: Collection[int],
    beat: Callable[[], None],
) -> None:
    """Read these partitions of the log from where the store knows them to their ends, and all deletions that wait.

    What a predecessor left open is waited for: it is ended by its transaction's timeout at the latest. A store that
    knows another log (the topic was created anew, or is shorter) is thrown away first.
    """
    topics = {changed: partitions, quarantined: partitions}
    ends = await ask_ends(admin, topics, transactional=set(topics), open_too=True)
    _forget_strangers(heads, await admin.topic_ids((changed,)))
    oldest = await admin.start_offsets((changed, quarantined))
    newest = (await admin.log_ends({changed: partitions}, committed=False))[changed]
    # Read whole: what is remembered of it might lack a null that compaction has removed since.
    start: Offsets = {changed: {}, quarantined: {each: oldest[quarantined][each] for each in partitions}}
    for partition in partitions:
        known = heads.position(partition)
        if known and not oldest[changed][partition] <= known <= newest[partition]:
            log.warning("heads_rebuild", partition=partition, reason="the log was cut since")
            heads.forget(partition)
            known = 0
        start[changed][partition] = known or oldest[changed][partition]
    waiting: _Waiting = {each: {} for each in partitions}
    if not ends.reached(start):
        async with RecordStream.assign_all(settings, start, client_id="headwater-admit-restore") as stream:
            while not ends.reached(start):
                items = await stream.read(max_records=_MAX_RECORDS, wait_s=_WAIT_S)
                _take(heads, [each for each in items if each.position.topic == changed])
                _collect(waiting, [each for each in items if each.position.topic == quarantined])
                for topic, by_partition in next_offsets(items).items():
                    start[topic] |= by_partition
                beat()
    for partition, deletions in waiting.items():
        heads.restore_waiting(partition, deletions)
    log.info("heads_restored", partitions=len(partitions))


def _collect(waiting: _Waiting, items: Collection[Item]) -> None:
    for item in items:
        if isinstance(item, Record):
            document = (item.key or b"").decode().rpartition("/")[2]
            if item.value is None:
                waiting[item.position.partition].pop(document, None)
            else:
                waiting[item.position.partition][document] = item.value


def _take(heads: AdmissionHeads, items: Collection[Item]) -> None:
    for item in items:
        if isinstance(item, Record):
            heads.restore(item.position, item.value, item.key or b"", _decoded(item))
        else:
            heads.advance(item.position.partition, item.position.offset)
    heads.persist()


def _decoded(record: Record) -> DocumentChanged | None:
    if record.value is None:
        return None
    try:
        return decode(record.value, DocumentChanged)
    except ContractError as error:
        raise FatalError(f"{record.position}: this build cannot read it; roll out readers first") from error


def _forget_strangers(heads: AdmissionHeads, ids: dict[str, str]) -> None:
    known = heads.topic_ids()
    if known and known != ids:
        log.warning("heads_rebuild", reason="the topic was created anew")
        heads.forget_all()
    if known != ids:
        heads.set_topic_ids(ids)
