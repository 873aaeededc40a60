"""Where outages are played: a followed handbook that is edited, a shelf whose readers change, and somebody who asks."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from headwater.demo.stage import wait_until
from schemas.events.documents import DocumentOp
from schemas.ids import EVERYONE, DocumentId, Principal, SourceId, TenantId
from tests.chaos.pacing import make_until
from tests.support.history import History, replay, write_pages
from tests.support.infrastructure import Infrastructure
from tests.support.library import Library, open_library
from tests.support.platform import CONNECT, Platform
from tests.support.poison import Poisoner, open_poisoner
from tests.support.prober import Prober
from tests.support.s3_server import S3Server
from tests.support.witness import LATE_S, Witness

PROBER = "prober"
PRINCIPALS = frozenset({EVERYONE, Principal(f"user:{PROBER}")})
SOMEBODY_ELSE = "user:somebody-else"
KEY_VALID_S = 24 * 3600  # longer than the longest run
QUESTIONS = 12
HELD = 5  # answers, at least, before the shelf is opened or hidden again
LIGHTHOUSE = "What does the lighthouse keeper write?"
OPENED = "flood"  # the shelf's other document is never for the prober
SHELF = {
    name: f"# {name}\n\nThe lighthouse keeper writes down the {name} of the handbook." for name in ("ebb", "flood")
}
# `headwater verify` judges what is recent as well: everything has settled.
MERCILESS: Final = {"HEADWATER_AUDIT__GRACE_S": "0.001", "HEADWATER_AUDIT__SWEEP_LEEWAY_S": str(LATE_S)}
_HEADING = re.compile(r"^#+ +(\w.{10,80})$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What may be struck."""

    platform: Platform
    infrastructure: Infrastructure
    alone: bool  # nobody else uses this product
    bucket: S3Server | None = None  # none: contents lie in a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of it all there is."""

    history: History
    burst: int  # poison events at once
    away_s: float  # of a store that is stopped
    patience_s: float


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a fault may strike, and what goes on meanwhile."""

    platform: Platform
    infrastructure: Infrastructure
    alone: bool
    bucket: S3Server | None
    witness: Witness
    prober: Prober
    poisoner: Poisoner
    history: History
    root: Path
    source: str
    shelf: Library
    burst: int
    away_s: float
    patience_s: float
    done: int = 0  # edits so far

    def content(self) -> Mapping[str, str | None]:
        """Return what every page that there ever was is by now, and None for those that are gone."""
        head = replace(self.history, edits=self.history.edits[: self.done]).head()
        return {path: head.get(path) for path in self.history.paths()}

    @contextmanager
    def editing(self, *, least: int, most: int) -> Iterator[None]:
        """Make edits beside the block for as long as it lasts, and at least so many; its end is that of both."""
        over, edits = threading.Event(), self.history.edits[self.done : self.done + most]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="editor") as thread:
            made = thread.submit(make_until, over, edits, lambda each: replay(self.root, [each]), least=least)
            try:
                yield
            finally:
                over.set()
        self.done += made.result()

    @contextmanager
    def hiding(self) -> Iterator[list[float]]:
        """Hide what is open of the shelf beside the block, open it again after some answers, hide it, and so on.

        It is hidden in the end. What is yielded holds when the API accepted each hiding, by the wall clock.
        """
        over, hidden = threading.Event(), list[float]()

        def hold() -> None:
            wanted = len(self.prober.answers) + HELD
            wait_until(
                f"{HELD} more answers",
                lambda: over.is_set() or len(self.prober.answers) >= wanted,
                patience_s=self.away_s + self.patience_s,
            )

        def hide_and_open() -> None:
            while True:
                self.set_shelf(SOMEBODY_ELSE)
                hidden.append(time.time())
                hold()
                if over.is_set():
                    return
                self.set_shelf(EVERYONE)
                hold()

        # A thread of its own: while the API is away a change of access waits for it, and edits must not.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="keeper") as thread:
            kept = thread.submit(hide_and_open)
            try:
                yield hidden
            finally:
                over.set()
        kept.result()

    def set_shelf(self, readers: str) -> None:
        """Say who may read the document of the shelf that is opened and hidden."""
        self.retried(lambda: self.shelf.set_readers(OPENED, readers))

    def open_shelf(self) -> None:
        """Let everybody read that document; return when the prober has been shown it."""
        self.set_shelf(EVERYONE)
        document = self.witness.newest(SourceId(self.shelf.name))[OPENED].document_id
        before = len(self.prober.answers)
        wait_until(
            "the open shelf to be shown",
            lambda: any(document == shown for each in self.prober.answers[before:] for shown, _ in each.hits),
            patience_s=self.patience_s,
        )

    def unsettled(self) -> list[str]:
        """Name the documents of which the log, or a store, does not have what there is by now."""
        pages, shelf = (self.witness.newest(SourceId(name)) for name in (self.source, self.shelf.name))
        wrong = [name for name, state in (*pages.items(), *shelf.items()) if not self.witness.is_done(state)]
        for path, content in self.content().items():
            state = pages.get(path)
            if state is None or state.op is DocumentOp.DELETED:
                held = None
            else:
                held = state.content.sha256 if state.content else ""
            if held != (None if content is None else hashlib.sha256(content.encode()).hexdigest()):
                wrong.append(path)
        return wrong

    def documents(self) -> set[DocumentId]:
        """Return the documents of this scene, the broken ones as well."""
        sources = {self.source, self.shelf.name}
        return {
            document
            for document, states in self.witness.changes.items()
            if states[-1][1].source in sources or states[-1][1].tenant_id == self.poisoner.tenant
        }

    def await_settled(self) -> None:
        """Return when the log and both stores have everything; fail with a count of what they lack."""
        wait_until("everything to settle", lambda: not self.unsettled(), patience_s=self.patience_s)

    def retried(self, call: Callable[[], object]) -> None:
        """Call until it is answered: the API may be away."""
        wait_until("the API to take a change", lambda: [call()], patience_s=self.patience_s)

    def command(self, *arguments: str, **environment: str) -> int:
        """Run `headwater` to its end; return its exit status."""
        full = ("-m", "headwater.cli.main", *arguments)
        with self.platform.child(*full, log="-".join(arguments[:2]), **environment) as process:
            return process.wait(self.patience_s)

    def verified(self) -> list[str]:
        """Run `headwater verify`; return what differs. On a shared product, of this scene's documents only."""
        command = [sys.executable, "-m", "headwater.cli.main", "verify", "--json"]
        environment = {**os.environ, **self.platform.environment, **MERCILESS}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=self.patience_s, check=False
        )
        if not done.stdout:
            return [f"headwater verify ended with {done.returncode}: {done.stderr[-500:]}"]
        told: dict[str, Any] = json.loads(done.stdout)
        ours = self.documents()
        found = [
            f"{each['document_id']}: {each['difference']} in {each['projection']}"
            for each in told["findings"]
            if self.alone or each["document_id"] in ours
        ]
        unclean = self.alone and not (told["clean"] or found)
        return [
            *(["stages are behind"] if told["behind"] else []),
            *(["something differs that is not listed"] if unclean else []),
            *found,
        ]


def questions(history: History) -> list[str]:
    """Return headings of the handbook, what its readers look for, and before each what finds the shelf."""
    found = [heading for page in history.base.values() for heading in _HEADING.findall(page)]
    return [question for heading in sorted(set(found))[:QUESTIONS] for question in (LIGHTHOUSE, heading)]


@contextmanager
def open_scene(target: Target, extent: Extent, folder: Path) -> Iterator[Scene]:
    """Fill the shelf, follow the handbook, wait until all of it is there, and begin to ask."""
    platform, history = target.platform, extent.history
    source = f"outages-{uuid4().hex[:10]}"
    root = folder / "tree"
    write_pages(root, {".headwater.yaml": "readers: [everyone]", **history.base})
    with ExitStack() as opened:
        witness = opened.enter_context(Witness(settings=platform.settings).reading())
        shelf = open_library(platform)
        for name, text in SHELF.items():
            shelf.put(name, text, readers=SOMEBODY_ELSE)
        platform.directory((f"users/{PROBER}", {"name": PROBER}))
        if PROBER not in platform.callers:
            platform.callers[PROBER] = platform.admin.acting_as(PROBER, valid_s=KEY_VALID_S)
        caller = platform.callers[PROBER]
        prober = Prober(caller=caller, knowledge_bases=(source, shelf.name), questions=questions(history))
        arguments = (*CONNECT, "filesystem", str(root), "--source", source, "--knowledge-base", source, "--watch")
        opened.enter_context(platform.child(*arguments, log="outages"))
        scene = Scene(
            platform=platform,
            infrastructure=target.infrastructure,
            alone=target.alone,
            bucket=target.bucket,
            witness=witness,
            prober=prober,
            poisoner=open_poisoner(platform, TenantId(f"broken-{uuid4().hex[:8]}")),
            history=history,
            root=root,
            source=source,
            shelf=shelf,
            burst=extent.burst,
            away_s=extent.away_s,
            patience_s=extent.patience_s,
        )
        scene.await_settled()
        opened.enter_context(prober.asking())
        yield scene
