"""Stages that freeze past their session, are replaced, and wake up in the middle of what they were doing."""

import os
import signal
from contextlib import ExitStack
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


def audit(platform: Platform, library: Library) -> None:
    """See that only the third edition is shown, then do what the platform's own audit would do within five minutes."""
    texts = [hit["text"] for hit in library.search("Edition 2 of page", mode="keyword", top_k=50)]
    assert [text for text in texts if "Edition 3 " not in text] == []
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
    with ExitStack() as frozen:
        for pid in zombies:
            frozen.callback(os.kill, pid, signal.SIGCONT)
            os.kill(pid, signal.SIGSTOP)
        for stage in FROZEN:
            frozen.enter_context(platform.child("-m", "streams", stage, log=f"{stage}-replacement"))
        contents = edition(library, 3, sections=3)
        library.delete("page-0")
        truth = Truth(platform=platform, source=library.name, content={**contents, "page-0": None})
        truth.await_settled(patience_s=SETTLE_S)  # by the replacements alone
        for pid in zombies:
            os.kill(pid, signal.SIGCONT)
        # Whoever had sent rows when it froze, and finds that its partitions are another's by now, tells nobody: they
        # lie below the newest revision, hidden by the gate, until the document's next report or the audit.
        truth.await_settled(patience_s=SETTLE_S, mend=lambda: audit(platform, library))

    # The replacements are gone: what settles now has been settled by those that were frozen, after all they had begun.
    truth = Truth(platform=platform, source=library.name, content=edition(library, 4, sections=1))
    truth.await_settled(patience_s=SETTLE_S)
