"""A place to resume from is saved behind all that came before it, and also when there is nothing else to save."""

from collections.abc import AsyncIterator, Sequence

from connectors.endings import Ending
from connectors.protocol import Connector, Cursor, CursorMoved, Observed, SourceChange, Upserted
from connectors.runner import SYNCED_MARK
from tests.support.confluence import SPACE, confluence_source
from tests.support.github_source import OrganisationSource, github_source
from tests.support.heads import NOON, state
from tests.support.running import FakeLog, Forgetful, runner_of


class Feed(Forgetful):
    """A source that says where it is after its changes."""

    def __init__(self, changes: int) -> None:
        self._changes = changes

    async def check(self) -> None:
        """Nothing can be missing."""

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        for number in range(self._changes):
            yield SourceChange(
                external_id=f"page-{number}",
                what=Upserted(state=state(), content=None),
                source_version=None,
                occurred_at=NOON,
                cursor={"page": str(number).encode()},
            )
            yield CursorMoved(cursor={"place": str(number).encode()})
        yield CursorMoved(cursor={"place": b"end"})


def fresh() -> FakeLog:
    """A cursor of a source that was read in full before."""
    return FakeLog({SYNCED_MARK: b"yes"})


async def synced(connector: Connector, log: FakeLog) -> tuple[Ending, list[str]]:
    """Make one pass; return how it ended, and what was sent and saved."""
    log.events.clear()
    report = await runner_of(connector, log).sync()
    return report.ending, list(log.events)


def is_sent(event: str) -> bool:
    """Say whether something went to a topic."""
    return event.endswith(".submitted")


def places(events: Sequence[str]) -> list[str]:
    """Return the parts of the cursor that were saved, in order; nothing may be sent."""
    assert not any(map(is_sent, events))
    return [event.split(" ")[0] for event in events]


def is_last(events: Sequence[str], part: str) -> bool:
    """Say whether a part of the cursor was saved once, behind all that was sent."""
    (saved,) = [place for place, event in enumerate(events) if event.startswith(f"{part} saved ")]
    return saved > max(place for place, event in enumerate(events) if is_sent(event))


async def test_a_place_is_saved_after_what_came_before_it() -> None:
    ending, events = await synced(Feed(2), fresh())
    assert ending is Ending.COMPLETED
    assert events.index("place saved end") > max(n for n, event in enumerate(events) if is_sent(event))
    assert events[-1] == "place saved end"
    assert "page saved 1" in events


async def test_a_place_is_saved_before_what_comes_after_it_is_submitted() -> None:
    _, events = await synced(Feed(2), fresh())
    first, second = (number for number, event in enumerate(events) if is_sent(event))
    assert first < events.index("place saved 0") < second < events.index("place saved 1")


async def test_a_place_is_saved_though_nothing_is_new() -> None:
    assert await synced(Feed(0), fresh()) == (Ending.NOTHING_NEW, ["place saved end"])


async def test_a_listing_of_a_wiki_is_remembered_behind_it_and_submits_nothing() -> None:
    async with confluence_source() as wiki:
        wiki.settings = {"listing_every_s": 3600}
        page = wiki.wiki.write(SPACE, "Plan", "text")
        wiki.wiki.write(SPACE, "Goals", "text")
        log = fresh()
        _, first = await synced(wiki.connector(), log)
        assert is_last(first, "listed")
        wiki.wiki.clock.passed_s += 3600
        ending, events = await synced(wiki.connector(), log)
        assert (ending, sorted(places(events))) == (Ending.NOTHING_NEW, ["listed", "searched"])
        wiki.server.requests.clear()
        wiki.wiki.trash(page)
        assert await synced(wiki.connector(), log) == (Ending.NOTHING_NEW, [])
        assert not [each for each in wiki.server.requests if each.startswith("/rest/api/content?")]
        wiki.wiki.clock.passed_s += 3600
        _, deletion = await synced(wiki.connector(), log)
        assert is_last(deletion, "listed")


async def test_a_commit_that_touches_no_document_submits_nothing() -> None:
    async with github_source(OrganisationSource) as github:
        repo, log = github.state.add_repo("code"), fresh()
        repo.put("readme.md", b"text\n")
        for _ in range(2):  # the second notes what the first looks of issues were recognised by
            await synced(github.connector(), log)
        repo.put("logo.png", b"\0")
        ending, events = await synced(github.connector(), log)
        assert (ending, places(events)) == (Ending.NOTHING_NEW, [f"r:{repo.id}"])
        assert await synced(github.connector(), log) == (Ending.NOTHING_NEW, [])


async def test_a_repository_of_which_nothing_is_held_is_forgotten_with_one_event() -> None:
    async with github_source(OrganisationSource) as github:
        repo, log = github.state.add_repo("pictures"), fresh()
        github.state.add_repo("code").put("readme.md", b"text\n")
        repo.put("logo.png", b"\0")
        for _ in range(2):
            await synced(github.connector(), log)
        assert f"r:{repo.id}" in log.parts
        del github.state.repos[repo.id]
        _, events = await synced(github.connector(), log)
        assert sum(map(is_sent, events)) == 1  # its readers are gone
        assert not [part for part in log.parts if str(repo.id) in part]
