"""Stages that freeze past their session, are replaced, and wake up in the middle of what they were doing."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from headwater.demo.stage import wait_until
from tests.chaos.scene import MERCILESS
from tests.support.library import Library, open_library
from tests.support.platform import Platform
from tests.support.truth import Truth

FROZEN = ("embed", "index-vectors", "index-keywords")
DOCUMENTS = 12
SETTLE_S = 240.0  # on a machine that many share
VERIFY = ("-m", "headwater.cli.main", "verify", "--repair")
MODES = ("keyword", "vector")
LOOK_EVERY_S = 0.2
SHOWN = ("Edition 3 ", "Edition 4 ")  # once the third one has settled
DELETED = "Edition 3 of page 0 "  # and put anew with the fourth

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(60 + 3 * SETTLE_S),  # a session to wait out, three processes to start: half a minute when idle
]


def edition(library: Library, number: int, *, sections: int) -> dict[str, str | None]:
    """Put another edition of every document; return their contents. A replica that is late is waited for."""
    contents: dict[str, str | None] = {
        f"page-{page}": "\n\n".join(
            f"## Section {section}\n\n" + f"Edition {number} of page {page} speaks of lamp {section}. " * 30
            for section in range(sections)
        )
        for page in range(DOCUMENTS)
    }
    for name, content in contents.items():
        wait_until("a page to be taken", partial(library.put, name, content or ""), patience_s=SETTLE_S)
    return contents


@dataclass(slots=True, kw_only=True)
class Looker:
    """Searches for what a zombie may write, by words and by meaning, again and again."""

    library: Library
    looks: int = 0
    wrong: set[str] = field(default_factory=set)  # texts of editions that were replaced, and of what was deleted

    def look(self, over: threading.Event) -> None:
        """Search until it is over."""
        while not over.wait(LOOK_EVERY_S):
            for mode in MODES:
                search = partial(self.library.search, "Edition 2 of page", mode=mode, top_k=50)
                hits, _ = wait_until("an answer that shows something", search, patience_s=SETTLE_S)
                texts = {hit["text"] for hit in hits}
                self.wrong |= {text for text in texts if DELETED in text or not any(each in text for each in SHOWN)}
            self.looks += 1

    def go_on(self) -> None:
        """Return when a look that began after this has ended."""
        wanted = self.looks + 2
        wait_until("another look", lambda: self.looks >= wanted, patience_s=SETTLE_S)


@contextmanager
def looking(library: Library) -> Iterator[Looker]:
    """Look beside the block, in a thread of its own; fail where anything wrong was shown."""
    looker, over = Looker(library=library), threading.Event()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="looker") as thread:
        looked = thread.submit(looker.look, over)
        try:
            yield looker
        finally:
            over.set()
    looked.result()
    assert looker.wrong == set()


def audit(platform: Platform) -> None:
    """Do what the platform's own audit would do within five minutes."""
    with platform.child(*VERIFY, log="verify", **MERCILESS) as process:
        assert process.wait(SETTLE_S) in {0, 1}


def test_what_a_woken_zombie_still_writes_does_no_harm(platform: Platform) -> None:
    library = open_library(platform)
    truth = Truth(platform=platform, source=library.name, content=edition(library, 1, sections=2))
    truth.await_settled(patience_s=SETTLE_S)

    zombies = [platform.pid(stage) for stage in FROZEN]
    edition(library, 2, sections=6)
    # Frozen in the middle of the second edition: the first of its rows are there, the last are not.
    wait_until("a page of the second edition to be found", lambda: library.search("Edition 2", mode="keyword"))
    with ExitStack() as frozen, ExitStack() as looked:
        for pid in zombies:
            frozen.callback(os.kill, pid, signal.SIGCONT)
            os.kill(pid, signal.SIGSTOP)
        for stage in FROZEN:
            frozen.enter_context(platform.child("-m", "streams", stage, log=f"{stage}-replacement"))
        contents = edition(library, 3, sections=3)
        library.delete("page-0")
        truth = Truth(platform=platform, source=library.name, content={**contents, "page-0": None})
        truth.await_settled(patience_s=SETTLE_S)  # by the replacements alone
        looker = looked.enter_context(looking(library))
        looker.go_on()
        for pid in zombies:
            os.kill(pid, signal.SIGCONT)
        looker.go_on()
        # Whoever had sent rows when it froze, and finds that its partitions are another's by now, tells nobody: they
        # lie below the newest revision, hidden by the gate, until the document's next report or the audit.
        truth.await_settled(patience_s=SETTLE_S, mend=lambda: audit(platform))
        frozen.close()

        # The replacements are gone: what settles now has been settled by those that were frozen, after all they had
        # begun. Whatever that was, it has not been shown.
        truth = Truth(platform=platform, source=library.name, content=edition(library, 4, sections=1))
        truth.await_settled(patience_s=SETTLE_S)
        looker.go_on()
