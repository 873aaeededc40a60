"""What librdkafka logs, as often as an operator wants to read it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

QUIET_S: Final = 10.0
_PARTS: Final = 3  # of its records: facility, name of the client, text
_CONNECTION_LOST: Final = "FAIL"


@dataclass(slots=True)
class _Said:
    at: float
    left_out: int = 0


class LostConnections(logging.Filter):
    """Lets a client say once in ten seconds that it has no connection, and how often it would have said so meanwhile.

    While no broker is there a consumer of librdkafka's tries forty times a second, and logs each time.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said: dict[str, _Said] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be logged."""
        parts = record.args
        if not isinstance(parts, tuple) or len(parts) != _PARTS or parts[0] != _CONNECTION_LOST:
            return True
        client, now = str(parts[1]), self._monotonic()
        last = self._said.get(client)
        if last is not None and now - last.at < QUIET_S:
            last.left_out += 1
            return False
        if last is not None and last.left_out:
            record.args = (*parts[:-1], f"{parts[-1]} ({last.left_out} like it left out)")
        self._said = {name: said for name, said in self._said.items() if now - said.at < QUIET_S}
        self._said[client] = _Said(at=now)
        return True
