"""Random lives of a bucket, with everything that goes wrong: in the end what is known equals what the bucket holds."""

import random
from contextlib import suppress

import pytest

from headwater.clients.egress.client import open_egress
from headwater.errors import HeadwaterError
from headwater.retry import RetryPolicy
from tests.support.bucket_server import BucketServer
from tests.support.buckets import LOOPBACK, PREFIX, BucketSource, SidecarSource, TaggedSource
from tests.support.sources import Follower

NAMES = ["a.md", "a/b.md", "a//b.md", "/a.md", "é.md", "x/../y.md", "z z.md", "%2F.md", "n\nl.md", "[?]*.md"]
READERS = [["everyone"], ["group:hr:leads"], ["user:ann"]]
STEPS = 25
SLOW_DOWN = (503, "SlowDown")
THRICE = RetryPolicy(attempts=3, first_delay_s=0.0)


class Life:
    """One bucket, one follower, one sequence of what happens."""

    def __init__(self, source: BucketSource, seed: int) -> None:
        self.source, self.server, self.chance = source, source.server, random.Random(seed)
        self.follower = Follower(source, batch=self.chance.randint(1, 5))
        self.limited = 0  # requests that were too many
        source.policy = THRICE

    def happen(self) -> None:
        """Let one thing happen to the bucket."""
        name, chance = self.chance.choice(NAMES), self.chance
        key, exists = PREFIX + name, PREFIX + name in self.server.current()
        match chance.choice(["put", "put", "put", "delete", "undo", "share", "rename", "race", "archive"]):
            case "put":
                self.source.put(name, f"text {chance.random()}")
            case "delete" if exists:
                self.source.delete(name)
            case "undo" if len(self.server.versions.get(key, [])) > 1:
                self.server.undo(key)
            case "share":
                self.source.share(name, chance.choice(READERS))
            case "rename" if exists:
                self.source.rename(name, chance.choice(NAMES))
            case "race" if chance.random() < 0.5:
                self.source.before_read(name, lambda: self.source.put(name, "raced"))
            case "race":
                self.source.before_read(name, lambda: self._vanish(key))
            case "archive" if exists:
                self.server.archive(key)
                self.server.restore(key)

    def _vanish(self, key: str) -> None:
        self.server.versions.pop(key, None)

    async def follow(self) -> None:
        """Make a pass, whole or cut, perhaps through an outage or limits; or look at some keys."""
        chance = self.chance
        # Of a listing and of looks two are waited out; three, and one of a content, end the pass.
        limits = {each: [SLOW_DOWN] * chance.choice([0, 0, 1, 2, 3]) for each in ("LIST", "HEAD", "GET")}
        self.server.answers = {each: list(answers) for each, answers in limits.items()}
        if chance.random() < 0.2:
            self.source.break_listing()
        self.server.duplicates_pages = chance.random() < 0.3
        with suppress(HeadwaterError):
            if chance.random() < 0.3:
                names = [PREFIX + name for name in chance.sample(NAMES, 3)]
                await self.follower.submit(self.source.connector().items(names, dict(self.follower.cursor)))
            else:
                await self.follower.follow(at_most=chance.choice([None, 1, 3]))
        self.limited += sum(len(limits[each]) - len(left) for each, left in self.server.answers.items())
        self.server.answers = {}
        self.source.mend()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [BucketSource, SidecarSource, TaggedSource])
async def test_what_is_known_equals_the_bucket(server: BucketServer, kind: type[BucketSource], seed: int) -> None:
    async with open_egress(LOOPBACK) as egress:
        await live(kind(server, egress.httpx_client()), seed)


async def live(source: BucketSource, seed: int) -> None:
    source.put("stays.md", "so that a listing is never empty")
    life = Life(source, seed)
    for _ in range(STEPS):
        life.happen()
        if life.chance.random() < 0.5:
            await life.follow()
    for _ in range(2):  # what raced with the first is read by the second
        await life.follower.follow()
    assert life.follower.view() == source.truth()
    assert life.follower.stale == []
    assert life.limited > 0
    assert await life.follower.follow() == []
