"""GitHub's hourly limit in mid-sync: told, not a failure, and gone on with by the workers when the window is over."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from connectors.endings import Ending, SyncReport
from connectors.registry import connect
from connectors.runner import SYNCED_MARK
from connectors.work import Work
from connectors.worker.ports import Held, Key
from headwater.clients.egress.client import Egress
from headwater.errors import FatalError
from headwater.settings import ConnectorSettings, Settings
from schemas.events.directory import Source
from schemas.events.syncs import SyncMode
from schemas.ids import KnowledgeBaseId
from tests.support.github_answers import Allowance, primary_limit
from tests.support.github_server import TOKEN
from tests.support.github_source import OrganisationSource
from tests.support.running import FakeCursors, FakeProducer, runner_of
from tests.support.syncing import WIKI, FakeJobs, FakeSources, FakeSyncLog, Office
from tests.support.syncing import source as of_directory

REPOS = 6
WINDOW = 40 * 60  # seconds until GitHub's counts begin anew
LATE = 32  # what workers that were stopped together spread over, and the seconds that are rounded
ALLOWED, LITTLE = 40, 20


@dataclass
class Window:
    """The office's clock, moved by the same waits as the egress client's."""

    source: OrganisationSource

    def now(self) -> datetime:
        return self.source.clock.now()

    def monotonic(self) -> float:
        return self.source.clock.monotonic()

    def advance(self, seconds: float) -> None:
        self.source.clock.passed_s += seconds


class Log(FakeCursors, FakeProducer):
    """Cursor and submissions, which outlive a worker."""

    def __init__(self) -> None:
        FakeCursors.__init__(self)
        FakeProducer.__init__(self)


@dataclass
class GithubJobs(FakeJobs):
    """Reads GitHub in earnest: the connector, the egress client and the runner, into a log that outlives a worker."""

    source: OrganisationSource = field(kw_only=True)
    opened: Egress = field(kw_only=True)
    log: Log = field(kw_only=True)

    def waits_until(self, key: Key) -> datetime | None:
        return self.source.egress.waits_until()

    async def sync(self, held: Held, work: Work) -> SyncReport:
        self.syncs.append((held.key, work))
        self.source.egress = self.opened.of_source()  # a sync knows no more than the log
        runner = runner_of(self.source.connector(), self.log, tell=held.tell, may_write=held.may_write)
        return await runner.sync(work)


@dataclass
class Shop:
    """GitHub, the log, and the worker that reads the one into the other."""

    source: OrganisationSource
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        self.opened = self.source.egress
        self.clock = Window(self.source)
        self.syncs = FakeSyncLog(self.clock)  # type: ignore[arg-type]  # a clock by its methods
        self.worker()

    def worker(self) -> None:
        """Start a worker, in place of the one before."""
        self.jobs = GithubJobs(source=self.source, opened=self.opened, log=self.log)
        self.office = Office(
            log=self.syncs,
            sources=FakeSources({WIKI: of_directory()}),
            clock=self.clock,  # type: ignore[arg-type]
            jobs=self.jobs,
            settings=Settings(),
        )

    async def ended(self, *endings: Ending) -> None:
        await self.office.until(lambda: self.syncs.endings() == [*endings], ticks=5_000)
        await self.office.ticks(2)  # it is buried, and acknowledged where it may be

    @property
    def texts(self) -> Mapping[str, int]:
        """How often each document was submitted."""
        names = [each.external_id for each in self.log.sent]
        return {name: names.count(name) for name in names}


@pytest.fixture
def shop(source: OrganisationSource) -> Shop:
    for number in range(REPOS):
        source.state.add_repo(f"r{number}").put("a.md", f"text {number}\n".encode())
    return Shop(source)


def allow(shop: Shop, requests: int) -> None:
    """Let GitHub answer so many requests in each window."""
    shop.source.server.allowance = Allowance(requests=requests, window_s=WINDOW, now=shop.clock.monotonic)


@pytest.mark.parametrize("restarted", [False, True], ids=["same worker", "restarted"])
@pytest.mark.parametrize("mode", [SyncMode.INCREMENTAL, SyncMode.FULL])
async def test_a_sync_that_meets_the_limit_goes_on_in_the_next_window(
    shop: Shop, mode: SyncMode, *, restarted: bool
) -> None:
    server, began = shop.source.server, shop.clock.now()
    allow(shop, ALLOWED)
    shop.syncs.request(WIKI, mode)
    await shop.ended(Ending.SUSPENDED)

    told = shop.syncs.progress[-1]
    assert told.waits_until is not None
    assert timedelta(seconds=-2) <= told.waits_until - began - timedelta(seconds=WINDOW) <= timedelta(seconds=LATE)
    assert told.message.startswith(f"The source allows requests again at {told.waits_until:%Y-%m-%d %H:%M:%S} UTC")
    assert (shop.syncs.committed, max(shop.source.clock.waits, default=0.0) < 1.0) == (0, True)  # nobody waits in place
    assert 0 < len(shop.texts) < REPOS
    assert SYNCED_MARK not in shop.log.parts

    if restarted:
        shop.worker()
    asked = len(server.requests)
    shop.clock.advance(WINDOW - 60)
    await shop.office.ticks(20)
    assert len(server.requests) == asked  # nobody looks whether it is over

    shop.clock.advance(60 + LATE)
    await shop.ended(Ending.SUSPENDED, Ending.COMPLETED)
    assert (shop.syncs.committed, len(shop.syncs.requests)) == (1, 1)
    assert shop.jobs.syncs[-1][1].mode is mode
    assert shop.texts == dict.fromkeys(shop.texts, 1)  # nothing is read twice
    assert len(shop.texts) == REPOS
    assert SYNCED_MARK in shop.log.parts


async def test_a_sync_that_meets_the_limit_in_each_window_comes_to_its_end(shop: Shop) -> None:
    """What the cursor holds is asked for with its ETags, which GitHub does not count: each window brings it further."""
    allow(shop, LITTLE)
    shop.syncs.request(WIKI)
    for window in range(1, 20):
        await shop.office.until(lambda window=window: len(shop.syncs.endings()) == window, ticks=5_000)  # type: ignore[misc]
        if shop.syncs.endings()[-1] is not Ending.SUSPENDED:
            break
        shop.clock.advance(WINDOW + LATE)
    assert shop.syncs.endings() == [*[Ending.SUSPENDED] * (window - 1), Ending.COMPLETED]
    assert window > 2
    assert shop.texts == dict.fromkeys(shop.texts, 1)
    assert len(shop.texts) == REPOS


async def test_the_directorys_source_has_its_own_budget_and_says_until_when_it_waits(
    source: OrganisationSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_SECRET__ACME__HUB", SecretStr(TOKEN).get_secret_value())
    record = Source(
        name="Code",
        kind="github",
        knowledge_base=KnowledgeBaseId("code"),
        settings={"organisation": "acme", "url": source.server.url, "requests_per_s": "0.5", "concurrency": "1"},
        secrets={"token": "env:hub"},
    )
    source.state.add_repo("code").put("a.md", b"text\n")
    connected = connect(WIKI, record, ConnectorSettings(), source.egress)
    await connected.connector.check()
    assert set(source.clock.waits) == {2.0}
    assert len(source.clock.waits) == len(source.server.requests) - 1
    assert connected.waits_until() is None

    source.server.answers = [primary_limit(WINDOW)]
    with pytest.raises(Exception, match="asks to wait until"):
        await connected.connector.check()
    until = connected.waits_until()
    assert until is not None
    assert timedelta(0) <= until - source.clock.now() - timedelta(seconds=WINDOW) <= timedelta(seconds=31)

    for wrong in ({"requests_per_s": "0"}, {"requests_per_s": "many"}, {"concurrency": "0"}, {"concurrency": "9000"}):
        named = rf"settings\.{next(iter(wrong))}: .*correct the source in the directory"
        with pytest.raises(FatalError, match=named):
            connect(WIKI, replace(record, settings={**record.settings, **wrong}), ConnectorSettings(), source.egress)
