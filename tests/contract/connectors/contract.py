"""One suite that every connector passes on its own source."""

import pytest

from connectors.protocol import Patched, Upserted
from headwater.errors import HeadwaterError
from tests.contract.connectors.clocks import ClocksContract
from tests.contract.connectors.credentials import CredentialsContract
from tests.contract.connectors.items import ANN, EVERYONE, LEADS, NAMES, fill, live
from tests.contract.connectors.kills import KillsContract
from tests.contract.connectors.repeats import RepeatsContract
from tests.support.sources import Follower, SourceHarness

MANY = [f"d/{number:02}.md" for number in range(24)]
FEW = 7  # of many


class AccessContract:
    """What holds however access is said. Subclasses provide the `source` fixture: empty, and mended after each test."""

    async def test_a_life_is_followed_step_by_step(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source, batch=4)
        await follower.follow()
        for step in live(source):
            await follower.follow()
            assert follower.view() == source.truth(), step
            assert not follower.failed
            assert not follower.stale
            assert await follower.follow() == [], step

    async def test_a_change_of_access_costs_no_content(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source)
        await follower.follow()
        downloads = source.downloads
        source.share("c/z.md", ANN)
        changes = await follower.follow()
        assert [(source.name_of(each.external_id), type(each.what)) for each in changes] == [("c/z.md", Patched)]
        assert source.downloads == downloads
        assert follower.view() == source.truth()

    async def test_a_change_of_access_in_mid_sync_arrives(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source, batch=2)
        await follower.follow(at_most=4)
        source.share("a/x.md", ANN)
        source.share("c/z.md", LEADS)
        await follower.follow()
        assert follower.view() == source.truth()

    async def test_what_nobody_shared_is_for_nobody(self, source: SourceHarness) -> None:
        source.put("a/x.md", "secret")
        follower = Follower(source)
        await follower.follow()
        assert follower.view() == {"a/x.md": ("secret", ())}


class ConnectorContract(AccessContract, KillsContract, RepeatsContract, ClocksContract, CredentialsContract):
    """The whole suite. Subclasses provide the `source` fixture, as above."""

    async def test_an_initial_pass_yields_everything_and_the_next_nothing(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source)
        changes = await follower.follow()
        assert sorted(source.name_of(change.external_id) for change in changes) == NAMES
        assert all(isinstance(change.what, Upserted) for change in changes)
        assert follower.view() == source.truth()
        downloads = source.downloads
        assert downloads == len(NAMES)
        assert await follower.follow() == []
        assert source.downloads == downloads

    @pytest.mark.parametrize("batch", [1, 4])
    async def test_cut_anywhere_it_ends_in_the_same_state(self, source: SourceHarness, batch: int) -> None:
        fill(source)
        lived = live(source)
        for cut in range(len(NAMES) + 1):
            follower = Follower(source, batch=batch)
            await follower.follow(at_most=cut)
            next(lived, None)  # and while it was away the source lived on
            while await follower.follow(at_most=cut + 3):
                pass
            assert follower.view() == source.truth(), cut

    async def test_a_pass_that_was_cut_does_not_begin_again(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source)
        await follower.follow(at_most=4)
        assert len(await follower.follow()) == len(NAMES) - 4

    async def test_one_item_that_cannot_be_read_does_not_stop_the_others(self, source: SourceHarness) -> None:
        fill(source)
        source.before_read("b/x.md", lambda: source.delete("b/x.md"))
        follower = Follower(source, batch=5)
        await follower.follow()
        assert [source.name_of(each) for each in follower.failed] == ["b/x.md"]
        assert follower.view() == source.truth()
        await follower.follow()
        assert not follower.failed
        assert follower.view() == source.truth()

    async def test_an_item_that_changes_while_it_is_read_is_never_half_of_each(self, source: SourceHarness) -> None:
        fill(source)
        source.before_read("b/x.md", lambda: source.put("b/x.md", "another"))
        follower = Follower(source, batch=5)
        await follower.follow()
        assert follower.view().get("b/x.md", ("another",))[0] == "another"
        await follower.follow()
        assert follower.view() == source.truth()

    async def test_nothing_is_deleted_when_the_listing_fails(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source)
        await follower.follow()
        source.delete("a/x.md")
        source.break_listing()
        with pytest.raises(HeadwaterError):
            await follower.follow()
        assert follower.deleted == []
        source.mend()
        await follower.follow()
        assert [source.name_of(each) for each in follower.deleted] == ["a/x.md"]

    async def test_nothing_is_deleted_when_the_listing_is_empty(self, source: SourceHarness) -> None:
        fill(source)
        follower = Follower(source)
        await follower.follow()
        source.empty_listing()
        with pytest.raises(HeadwaterError, match="nothing is deleted"):
            await follower.follow()
        assert follower.deleted == []
        source.mend()
        assert await follower.follow() == []

    async def test_a_listing_that_suddenly_shows_a_fraction_deletes_nothing_unasked(
        self, source: SourceHarness
    ) -> None:
        for name in MANY:
            source.share(name, EVERYONE)
            source.put(name, f"text of {name}")
        follower = Follower(source, batch=4)
        await follower.follow()
        for name in MANY[FEW:]:
            source.delete(name)
        await follower.follow_all()
        assert sorted(source.name_of(each) for each in follower.waiting) == MANY[FEW:]
        assert follower.deleted == []
        assert {name: text for name, (text, _) in follower.view().items()} == {
            name: f"text of {name}"
            for name in MANY  # it may be closed meanwhile, as what lies in a repository is
        }
        source.delete(MANY[0])  # of what is shown by now it is one of few
        await follower.follow_all()
        assert [source.name_of(each) for each in follower.deleted] == MANY[:1]

    async def test_older_looks_are_told_by_their_version(self, source: SourceHarness) -> None:
        """One that was frozen with a change in its hand does not undo what another has seen since."""
        fill(source)
        follower = Follower(source)
        frozen = await follower.follow(at_most=1)
        source.put(source.name_of(frozen[0].external_id), "newer")
        await follower.follow()
        newer = follower.documents[frozen[0].external_id]
        assert newer.text == "newer"
        assert frozen[0].source_version is not None
        assert frozen[0].source_version < newer.version
