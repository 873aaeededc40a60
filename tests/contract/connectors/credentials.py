"""What every connector makes of credentials that expire."""

import pytest

from headwater.errors import UnauthorisedError
from tests.contract.connectors.items import NAMES, fill
from tests.support.sources import Follower, SourceHarness
from tests.support.troubles import CREDENTIALS, AsksForCredentials


class CredentialsContract:
    """Subclasses provide the `source` fixture. `UnauthorisedError` is what the runner ends as `unauthorised`."""

    async def test_credentials_that_expire_in_mid_sync_delete_nothing_and_it_goes_on_where_it_was(
        self, source: SourceHarness
    ) -> None:
        if not isinstance(source, AsksForCredentials):
            pytest.skip(source.lacks[CREDENTIALS])
        fill(source)
        source.before_read("b/x.md", source.expire)
        follower = Follower(source)
        with pytest.raises(UnauthorisedError):
            await follower.follow()
        begun = follower.view()
        assert 0 < len(begun) < len(NAMES)
        with pytest.raises(UnauthorisedError):
            await follower.follow()
        assert (follower.view(), follower.deleted, follower.failed) == (begun, [], {})
        source.renew()
        rest = await follower.follow()
        assert sorted(source.name_of(each.external_id) for each in rest) == sorted(set(NAMES) - begun.keys())
        assert follower.view() == source.truth()
        assert follower.deleted == []
        assert await follower.follow() == []

    async def test_what_is_gone_is_deleted_once_credentials_that_expired_are_renewed(
        self, source: SourceHarness
    ) -> None:
        if not isinstance(source, AsksForCredentials):
            pytest.skip(source.lacks[CREDENTIALS])
        fill(source)
        follower = Follower(source)
        await follower.follow()
        source.delete("a/x.md")
        source.put("b/y.md", "edited")
        source.expire()
        with pytest.raises(UnauthorisedError):
            await follower.follow()
        assert follower.deleted == []
        source.renew()
        await follower.follow()
        assert [source.name_of(each) for each in follower.deleted] == ["a/x.md"]
        assert follower.view() == source.truth()
