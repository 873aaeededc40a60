"""A caller who asks several times a second, whatever happens to the platform, and keeps what was answered."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle, pairwise

from headwater.cli.api_client import ApiClient, ApiProblemError
from headwater.demo.stage import wait_until
from headwater.errors import RetryableError
from schemas.ids import DocumentId
from tests.support.witness import Answer

EVERY_S = 0.2
TOP_K = 30
UNAVAILABLE = frozenset({503, 504})


@dataclass(slots=True, kw_only=True)
class Prober:
    """Asks one question after the other; an answer, an API that is away and a refusal to answer now are all fine."""

    caller: ApiClient
    knowledge_bases: Sequence[str]
    questions: Sequence[str]
    answers: list[Answer] = field(default_factory=list)
    unanswered: int = 0
    broken: list[str] = field(default_factory=list)  # requests that failed as none may

    @contextmanager
    def asking(self) -> Iterator["Prober"]:
        """Ask in a thread of its own until the block ends."""
        ending = threading.Event()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prober") as thread:
            asked: Future[None] = thread.submit(self._ask_all, ending)
            try:
                yield self
            finally:
                ending.set()
        asked.result()

    def go_on(self, *, answers: int, patience_s: float) -> None:
        """Return when so many more questions have been answered."""
        wanted = len(self.answers) + answers
        wait_until(f"{answers} more answers", lambda: len(self.answers) >= wanted, patience_s=patience_s)

    def ask_on(self, *, questions: int, patience_s: float) -> None:
        """Return when so many more questions have been answered or refused."""
        wanted = len(self.answers) + self.unanswered + questions
        wait_until(
            f"{questions} more questions to be asked",
            lambda: len(self.answers) + self.unanswered >= wanted,
            patience_s=patience_s,
        )

    def longest_silence_s(self, *, since_s: float, until_s: float) -> float:
        """Return for how long within a period nobody got an answer."""
        times = sorted(each.received_s for each in self.answers if since_s <= each.received_s <= until_s)
        marks = [since_s, *times, until_s]
        return max(later - earlier for earlier, later in pairwise(marks))

    def _ask_all(self, ending: threading.Event) -> None:
        for question in cycle(self.questions):
            if ending.is_set():
                return
            try:
                self._ask(question)
            except RetryableError:
                self.unanswered += 1
            except ApiProblemError as error:
                self.unanswered += 1
                if error.status not in UNAVAILABLE:
                    self.broken.append(f"{error.status} {error.code}: {error}")
            ending.wait(EVERY_S)

    def _ask(self, question: str) -> None:
        body = {"query": question, "knowledge_bases": list(self.knowledge_bases), "top_k": TOP_K}
        sent_s = time.time()
        found = self.caller.call("POST", "/search", json=body)
        self.answers.append(
            Answer(
                sent_s=sent_s,
                received_s=time.time(),
                as_of_s=datetime.fromisoformat(found["meta"]["as_of"]).timestamp(),
                hits=tuple((DocumentId(hit["document_id"]), hit["revision"]) for hit in found["hits"]),
            )
        )
