"""What a reader is asked, and what its failures mean to an operator."""

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from connectors.airbyte.messages import (
    Blame,
    Catalog,
    Checked,
    Complaint,
    Failure,
    Message,
    MessageError,
    message_of,
)
from connectors.airbyte.program import ReaderOverrunError, TooLong, running
from headwater.errors import FatalError, HeadwaterError, RetryableError, UnauthorisedError
from headwater.settings import ReaderProgram

MAX_REASON_CHARS: Final = 400
_HIDDEN: Final = "***"
# The protocol has one word for a wrong setting and a refused credential; the status of HTTP tells them apart.
_REFUSED: Final = re.compile(r"\b(401|403)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One reader with its configuration. Whatever it says of a failure is told without its secrets."""

    name: str
    program: ReaderProgram
    config: Mapping[str, Any]
    secrets: Sequence[str]

    async def check(self) -> None:
        """Return when the reader finds its configuration good. Raise as `read`."""
        checked: Checked | None = None
        async for message in self._said("check", {}):
            if isinstance(message, Checked):
                checked = message
        if checked is None:
            raise RetryableError(
                f"reader {self.name}: did not say whether its configuration works; is its command one of Airbyte's "
                "protocol?"
            )
        if not checked.succeeded:
            raise self._error(Failure(blame=Blame.SETTINGS, text=checked.text))

    async def catalog(self) -> Catalog:
        """Return the streams that there are. Raise as `read`."""
        found: Catalog | None = None
        async for message in self._said("discover", {}):
            if isinstance(message, Catalog):
                found = message
        if found is None:
            raise RetryableError(f"reader {self.name}: named no streams")
        return found

    def read(self, catalog: Any, state: Any) -> AsyncGenerator[Message | MessageError, None]:
        """Yield what the reader says of the streams of a configured catalog; a MessageError for what is no message.

        Raises after all that it said: UnauthorisedError, FatalError or RetryableError for what it calls the
        settings' or the source's fault, RetryableError for any other end but status 0.
        """
        given = {"catalog": _json(catalog)}
        return self._said("read", given if state is None else {**given, "state": _json(state)})

    async def _said(self, command: str, given: Mapping[str, bytes]) -> AsyncGenerator[Message | MessageError, None]:
        failure, complaint = None, ""
        async with running(self.name, self.program, command, {"config": _json(self.config), **given}) as started:
            try:
                async for line in started.lines():
                    message = _read(line, self.program.line_bytes)
                    match message:
                        case None:
                            continue
                        case Failure():
                            failure = message if failure is None or message.blame > failure.blame else failure
                        case Complaint():
                            complaint = message.text
                        case _:
                            yield message
                status = await started.status()
            except ReaderOverrunError as error:
                raise RetryableError(f"reader {self.name}: {error}; the limits are the connector worker's") from error
            if failure is not None:
                raise self._error(failure)
            if status:
                said = complaint or started.last_words()
                raise RetryableError(f"reader {self.name}: {_end(status)}; its last words: {self._told(said)}")

    def _error(self, failure: Failure) -> HeadwaterError:
        text = f"reader {self.name}: {self._told(failure.text)}"
        if failure.blame is not Blame.SETTINGS:
            return RetryableError(text)
        return UnauthorisedError(text) if _REFUSED.search(failure.text) else FatalError(text)

    def _told(self, text: str) -> str:
        """Return what may be shown: one line, not too long, without a secret in any of its spellings."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
                text = text.replace(spelling, _HIDDEN)
        text = " ".join(text.split())
        return text if len(text) <= MAX_REASON_CHARS else f"{text[:MAX_REASON_CHARS]}…"


def _read(line: bytes | TooLong, limit: int) -> Message | MessageError | None:
    if isinstance(line, TooLong):
        return MessageError(f"a line of more than {limit} bytes; raise line_bytes of the reader, or leave fields out")
    try:
        return message_of(line)
    except MessageError as error:
        return error


def _end(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _json(value: Any) -> bytes:
    return json.dumps(value, default=str).encode()
