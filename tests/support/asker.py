"""Somebody who asks five times a second, on time however long answers take, while an operator goes about their work."""

import threading
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from headwater.cli.api_client import ApiClient
from headwater.demo.stage import wait_until
from tests.support.library import READER, Library
from tests.support.platform import KEYS_VALID_S

EVERY_S: Final = 0.2
AT_ONCE: Final = 4
_ON_TIME_PER_S: Final = 4.9  # the last question's turn may not have come when the asker is stopped


@dataclass
class Asker:
    """Asks the same question in one knowledge base, and notes what is wrong with an answer."""

    api: ApiClient
    knowledge_base: str
    question: str
    may_be: AbstractSet[str] = frozenset()  # degradations that are no mistake here
    asked: int = 0
    per_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    generations: list[str] = field(default_factory=list)  # one for each answer
    degraded: list[tuple[str, ...]] = field(default_factory=list)  # the same
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until stopped; return when all are answered."""
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as callers:
            while not self._stop.wait(began + self.asked * EVERY_S - time.monotonic()):
                callers.submit(self._ask)
                self.asked += 1
            self.per_s = self.asked / (time.monotonic() - began)

    def _ask(self) -> None:
        body = {"query": self.question, "knowledge_bases": [self.knowledge_base]}
        try:
            found = self.api.call("POST", "/search", json=body)
        except Exception as error:  # noqa: BLE001 - the thread must live to report it
            self.wrong.append(repr(error))
            return
        meta = found["meta"]
        self.generations.append(meta["generation"])
        self.degraded.append(tuple(meta["degraded"]))
        if not found["hits"] or not set(meta["degraded"]) <= self.may_be:
            self.wrong.append(f"{len(found['hits'])} hits: {meta}")

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def until_answered_by(self, generation: str) -> None:
        """Wait until the newest answer is of a generation."""
        wait_until(f"an answer of {generation}", lambda: self.generations[-1:] == [generation])

    def check(self) -> None:
        """After the end: no question failed, none found nothing, none is open, and they came on time."""
        assert self.wrong == []
        assert len(self.generations) == self.asked, "every question was answered"
        assert self.per_s >= _ON_TIME_PER_S


@contextmanager
def asking_at(
    api: ApiClient, library: Library, question: str, *, may_be: AbstractSet[str] = frozenset()
) -> Iterator[Asker]:
    """Ask by this client beside the block."""
    asker = Asker(api=api, knowledge_base=library.name, question=question, may_be=may_be)
    thread = threading.Thread(target=asker.run)
    thread.start()
    try:
        yield asker
    finally:
        asker.stop()
        thread.join()


@contextmanager
def asking(library: Library, question: str, *, may_be: AbstractSet[str] = frozenset()) -> Iterator[Asker]:
    """Ask the platform's own replica of the API."""
    api = library.platform.admin.acting_as(READER, valid_s=KEYS_VALID_S)
    try:
        with asking_at(api, library, question, may_be=may_be) as asker:
            yield asker
    finally:
        api._client.close()
