"""A source's rate limit on a real broker: the time that it stated is in the log, and binds whoever goes on."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import pytest

from schemas.codec import decode
from schemas.events.directory import Source
from schemas.events.syncs import SyncEnding, SyncMode, SyncProgressed
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.github_answers import Allowance
from tests.support.github_server import TOKEN, GithubServer, github_server
from tests.support.github_state import ORGANISATION
from tests.support.heads import HANDBOOK
from tests.support.waiting import reached
from tests.support.wiki import Wiki

pytestmark = pytest.mark.real

REPOS = 6
ALLOWED = 40  # requests in a window: more than half of what a first sync needs
WINDOW_S = 15  # longer than it takes until the group gives a killed worker's partitions to another


@dataclass(slots=True)
class Hub:
    """GitHub, and when it was asked."""

    server: GithubServer
    asked_at: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.url = self.server.url.replace("github.test", "127.0.0.1")
        self.server.on_answer = lambda _: self.asked_at.append(datetime.now(UTC))
        for number in range(REPOS):
            self.server.state.add_repo(f"r{number}").put("a.md", f"text {number}\n".encode())
        self.server.allowance = Allowance(requests=ALLOWED, window_s=WINDOW_S, now=monotonic)

    def connected(self, own: Installation) -> Wiki:
        settings = {"organisation": ORGANISATION, "url": self.server.url, "requests_per_s": "1000"}
        return Wiki(
            own=own,
            source=Source(
                name="Hub", kind="github", knowledge_base=HANDBOOK, settings=settings, secrets={"token": "env:hub"}
            ),
            environment={
                "HEADWATER_SECRET__ACME__HUB": TOKEN,
                "HEADWATER_EGRESS__ALLOWED_HOSTS": '["127.0.0.1"]',
                "HEADWATER_EGRESS__WAIT_BUDGET_S": "0.5",
            },
        )


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with github_server() as server:
        yield Hub(server)


async def test_a_killed_workers_heir_goes_on_when_the_source_allows_it(own: Installation, hub: Hub) -> None:
    wiki = hub.connected(own)
    await wiki.admit()
    await wiki.ask(SyncMode.FULL)
    first = wiki.worker()
    await reached(lambda: _ended(wiki, SyncEnding.SUSPENDED), deadline_s=60, every_s=0.05)
    first.kill()
    [told] = [decode(each.value or b"", SyncProgressed) for each in (await own.records(Topic.SYNCS_PROGRESSED))[-1:]]
    assert told.waits_until is not None
    asked = len(hub.asked_at)

    heir = wiki.worker()
    await reached(lambda: _ended(wiki, SyncEnding.COMPLETED), deadline_s=90, every_s=0.2)
    assert heir.stop() == 0
    assert await wiki.endings() == [SyncEnding.SUSPENDED, SyncEnding.COMPLETED]
    assert hub.asked_at[asked] >= told.waits_until
    assert set(Counter(each.external_id for each in await wiki.submitted()).values()) == {1}
    assert len(await wiki.submitted()) == REPOS


async def _ended(wiki: Wiki, ending: SyncEnding) -> bool:
    return ending in await wiki.endings()
