"""A caller who searches and says what the hits were worth, again and again, whatever happens to the platform."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headwater.cli.api_client import ApiClient, ApiProblemError
from headwater.demo.stage import wait_until
from headwater.errors import RetryableError

UNAVAILABLE = 503
OPINIONS = ({"rating": 5, "type": "helpful"}, {"rating": 1, "type": "incorrect"}, {"rating": 4, "type": "outdated"})


@dataclass(slots=True, kw_only=True)
class Conversation:
    """What one caller asked, one request after the other, and what was confirmed to them."""

    caller: ApiClient
    query: dict[str, Any]
    asked: list[str] = field(default_factory=list)  # query ids that were answered
    judged: dict[str, str] = field(default_factory=dict)  # confirmed feedback: event id -> query id
    refused: int = 0  # requests that failed as they may while the API is away
    interrupted: set[str] = field(default_factory=set)  # queries whose answer was the last one before such a failure
    broken: list[str] = field(default_factory=list)  # those that failed in any other way
    _talking: "Future[None] | None" = None

    def go_on(self, exchanges: int = 10) -> None:
        """Return when as many more exchanges have come to their end."""
        wanted = len(self.judged) + exchanges
        wait_until(f"{exchanges} more exchanges", lambda: len(self.judged) >= wanted or self.broken or self._ended())

    @contextmanager
    def running(self) -> Iterator["Conversation"]:
        """Talk in a thread of its own until the block ends; the last request is waited for."""
        ending = threading.Event()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="conversation") as thread:
            self._talking = thread.submit(self._talk, ending)
            try:
                yield self
            finally:
                ending.set()
        self._talking.result()

    def _ended(self) -> bool:
        """Whether the talk is over before its time; raises what ended it."""
        if self._talking is not None and self._talking.done():
            self._talking.result()
            return True
        return False

    def _talk(self, ending: threading.Event) -> None:
        while not ending.is_set() and not self.broken:
            try:
                self._exchange()
            except RetryableError:
                self._fail()
                ending.wait(0.05)  # nobody listens: a caller that tries again at once would only use up the processor
            except ApiProblemError as error:
                if error.status == UNAVAILABLE:
                    self._fail()
                else:
                    self.broken.append(f"{error.status} {error.code}: {error}")

    def _fail(self) -> None:
        self.refused += 1
        self.interrupted.update(self.asked[-1:])

    def _exchange(self) -> None:
        query_id = self.caller.call("POST", "/search", json=self.query)["meta"]["query_id"]
        self.asked.append(query_id)
        opinion = {"query_id": query_id, **OPINIONS[len(self.asked) % len(OPINIONS)]}
        accepted = self.caller.call("POST", "/feedback", json=opinion)
        self.judged[accepted["event_id"]] = query_id
