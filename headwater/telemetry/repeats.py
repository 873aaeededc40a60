"""What a client of Kafka's repeats for as long as no broker is there, as often as an operator wants to read it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

QUIET_S: Final = 10.0
_FORGOTTEN_S: Final = 60.0  # what is not said again by then has ended, and so has its count
LIBRDKAFKA: Final = "headwater.kafka"  # the name that we log it under
_LIBRDKAFKAS_PARTS: Final = 3  # of a record: facility, name of the client, text
_CONNECTION_LOST: Final = "FAIL"


@dataclass(slots=True)
class _Said:
    at: float
    left_out: int = 0


class Repeats(logging.Filter):
    """Lets the same thing be said once in ten seconds, and how often it would have been said meanwhile.

    While no broker is there, a consumer of librdkafka's tries forty times a second and one of aiokafka's seventy, and
    both log each time. Of librdkafka's lines those of one client's lost connections are the same, whatever their times
    and addresses; of aiokafka's those with the same text.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said: dict[str, _Said] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be logged."""
        said = _what_it_says(record)
        if said is None:
            return True
        now = self._monotonic()
        last = self._said.get(said)
        if last is not None and now - last.at < QUIET_S:
            last.left_out += 1
            return False
        if last is not None and last.left_out and isinstance(record.args, tuple) and record.args:
            # Among the parts may be exceptions, whose texts another filter takes out: they stay apart.
            record.msg, record.args = f"{record.msg} (%d like it left out)", (*record.args, last.left_out)
        self._said = {name: each for name, each in self._said.items() if now - each.at < _FORGOTTEN_S}
        self._said[said] = _Said(at=now)
        return True


def _what_it_says(record: logging.LogRecord) -> str | None:
    """Return what makes a record the same as another; None where each is to be logged."""
    if record.name == LIBRDKAFKA:
        parts = record.args
        if isinstance(parts, tuple) and len(parts) == _LIBRDKAFKAS_PARTS and parts[0] == _CONNECTION_LOST:
            return f"{record.name} {parts[1]}"
        return None
    # Not put together: a library's template that does not fit its parts would raise here, in the library's own call.
    return f"{record.name} {record.msg} {record.args!r}" if record.name.partition(".")[0] == "aiokafka" else None
