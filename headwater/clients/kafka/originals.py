"""Single records, read again from where they lie."""

import time

from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.kafka.errors import KafkaUnavailableError, OffsetExpiredError
from headwater.clients.kafka.records import Record
from headwater.settings import KafkaSettings
from schemas.events.base import Position


class KafkaOriginals:
    """Implements the Originals port. Opens a consumer for each call: operators read a few records, and rarely."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def read(self, position: Position) -> bytes | None:
        """See the port."""
        start = {position.topic: {position.partition: position.offset}}
        deadline = time.monotonic() + self._settings.request_timeout_s
        async with RecordStream.assign_all(self._settings, start, client_id="headwater-originals") as stream:
            while time.monotonic() < deadline:
                try:
                    items = await stream.read(max_records=1)
                except OffsetExpiredError:
                    return None
                for item in items:  # the first one decides: what lies at the position, or behind it, or the end
                    found = isinstance(item, Record) and item.position == position
                    return item.value if found and isinstance(item, Record) else None
        raise KafkaUnavailableError(f"the broker did not return a record of {position.topic} in time")
