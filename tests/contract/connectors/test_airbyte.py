"""The suite on a reader of our own, started as a program: whole listings, and what came since a state."""

from pathlib import Path

import pytest

from tests.contract.connectors.clocks import ClocksContract
from tests.contract.connectors.contract import AccessContract, ConnectorContract
from tests.contract.connectors.credentials import CredentialsContract
from tests.contract.connectors.items import fill, live
from tests.contract.connectors.kills import KillsContract
from tests.contract.connectors.repeats import RepeatsContract
from tests.support.airbyte import ReaderSource
from tests.support.sources import Follower, SourceHarness


class TestWholeListings(ConnectorContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> SourceHarness:
        return ReaderSource(tmp_path)


class TestIncremental(AccessContract, KillsContract, RepeatsContract, ClocksContract, CredentialsContract):
    @pytest.fixture
    def source(self, incremental: ReaderSource) -> SourceHarness:
        return incremental

    @pytest.fixture
    def incremental(self, tmp_path: Path) -> ReaderSource:
        return ReaderSource(tmp_path, mode="incremental")

    async def test_cut_anywhere_it_ends_in_the_same_state(self, incremental: ReaderSource) -> None:
        fill(incremental)
        lived = live(incremental)
        for cut in range(0, 10, 3):
            follower = Follower(incremental, batch=2)
            await follower.follow(at_most=cut)
            next(lived, None)
            while await follower.follow(at_most=cut + 4):
                pass
            assert follower.view() == incremental.truth(), cut

    async def test_what_is_not_told_as_deleted_stays(self, incremental: ReaderSource) -> None:
        fill(incremental)
        follower = Follower(incremental)
        await follower.follow()
        del incremental.items["a/x.md"]  # without a word
        incremental.put("b/x.md", "edited")
        incremental.empty_listing()
        assert await follower.follow() == []
        incremental.mend()
        await follower.follow()
        assert follower.deleted == []
        assert follower.documents["pages/b/x.md"].text == "edited"

    async def test_no_state_is_kept_past_what_could_not_be_read(self, incremental: ReaderSource) -> None:
        fill(incremental)
        follower = Follower(incremental)
        del incremental.items["b/x.md"]["body"]
        await follower.follow()
        assert list(follower.failed) == ["pages/b/x.md"]
        incremental.items["b/x.md"]["body"] = "mended, under its old number"
        assert [each.external_id for each in await follower.follow()] == ["pages/b/x.md"]
        assert follower.view() == incremental.truth()
        assert await follower.follow() == []
