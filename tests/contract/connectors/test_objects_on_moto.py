"""The suite on moto's server, and what an S3 is asked for beside: what somebody else makes of Amazon's documentation.

What only our own server does to us (a clock that is too far off) stays in `test_objects`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from connectors.protocol import Upserted
from headwater.clients.s3 import client
from headwater.errors import FatalError
from headwater.ports.objects import ObjectArchivedError, ObjectChangedError, ObjectDeniedError
from tests.contract.connectors.contract import AccessContract, ConnectorContract
from tests.contract.connectors.items import fill
from tests.support.buckets import ODD_KEYS, PREFIX, BucketSource, SidecarSource, TaggedSource, moto_source
from tests.support.moto_server import MIN_PART_BYTES, MotoBucket, MotoServer
from tests.support.sources import Follower, SourceHarness

MotoSource = BucketSource[MotoBucket]
RIGHTS = ("s3:ListBucket", "s3:GetObject", "s3:GetObjectTagging")  # of docs/connect-s3.md, and no others


@pytest.fixture
async def moto_bucket(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MotoSource]:
    monkeypatch.setattr(client, "_PAGE", 3)
    async with moto_source(moto) as source:
        yield source


class TestMoto(ConnectorContract):
    @pytest.fixture
    def source(self, moto_bucket: MotoSource) -> SourceHarness:
        return moto_bucket


class TestMotoSidecars(AccessContract):
    @pytest.fixture
    async def source(self, moto: MotoServer) -> AsyncIterator[SourceHarness]:
        async with moto_source(moto, SidecarSource[MotoBucket]) as source:
            yield source


class TestMotoTags(AccessContract):
    @pytest.fixture
    async def source(self, moto: MotoServer) -> AsyncIterator[SourceHarness]:
        async with moto_source(moto, TaggedSource[MotoBucket]) as source:
            yield source


async def test_keys_of_any_form_are_signed_listed_and_read(moto_bucket: MotoSource) -> None:
    keys = [key for key in ODD_KEYS if "\n" not in key]  # moto has no address for those
    for key in keys:
        moto_bucket.put(key, f"text of {key}")
    follower = Follower(moto_bucket)
    await follower.follow()
    assert not follower.failed
    assert {name: text for name, (text, _) in follower.view().items()} == {key: f"text of {key}" for key in keys}
    assert sum(each.startswith("LIST") for each in moto_bucket.server.requests) == -(-len(keys) // 3)
    for key in keys:
        assert await moto_bucket.connector().objects.head(PREFIX + key) is not None
        assert await moto_bucket.connector().objects.tags(PREFIX + key) == {}
        moto_bucket.delete(key)
        assert await moto_bucket.connector().objects.head(PREFIX + key) is None


async def test_a_version_that_is_current_again_is_admitted_though_it_is_older(moto_bucket: MotoSource) -> None:
    moto_bucket.put("a", "first")
    moto_bucket.put("b", "stays")
    follower = Follower(moto_bucket)
    await follower.follow()
    moto_bucket.put("a", "second")
    await follower.follow()
    assert follower.view()["a"][0] == "second"
    moto_bucket.server.undo(f"{PREFIX}a")
    await follower.follow()
    assert follower.view()["a"][0] == "first"
    moto_bucket.delete("a")
    await follower.follow()
    assert sorted(follower.view()) == ["b"]
    moto_bucket.server.undo(f"{PREFIX}a")  # the deletion marker
    await follower.follow()
    assert follower.view() == moto_bucket.truth()
    assert follower.view()["a"][0] == "first"
    assert follower.stale == []


async def test_an_object_in_parts_is_read_whole_and_again_only_when_its_parts_are_others(
    moto_bucket: MotoSource,
) -> None:
    content = b"a page of text\n" * (2 * MIN_PART_BYTES // 15)
    moto_bucket.server.put_parts(f"{PREFIX}large", (content[:MIN_PART_BYTES], content[MIN_PART_BYTES:]))
    follower = Follower(moto_bucket)
    await follower.follow()
    assert follower.view()["large"][0] == content.decode()
    assert await follower.follow() == []
    moto_bucket.server.put(f"{PREFIX}large", content)
    (change,) = await follower.follow()
    assert isinstance(change.what, Upserted)
    assert follower.view() == moto_bucket.truth()


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
async def test_archived_objects_are_reported_and_read_when_they_are_restored(
    moto_bucket: MotoSource, storage_class: str
) -> None:
    moto_bucket.put("a", "stays")
    moto_bucket.server.put(f"{PREFIX}cold", b"text", storage_class=storage_class)
    moto_bucket.server.put(f"{PREFIX}cool", b"text", storage_class="GLACIER_IR")
    follower = Follower(moto_bucket)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}cold"], ObjectArchivedError)
    assert sorted(follower.view()) == ["a", "cool"]
    objects = moto_bucket.connector().objects
    listed = await objects.head(f"{PREFIX}cold")
    assert listed is not None
    assert listed.archived
    with pytest.raises(ObjectArchivedError, match="restore it"):
        [piece async for piece in objects.read(listed)]
    moto_bucket.server.restore(f"{PREFIX}cold")
    await follower.submit(moto_bucket.connector().items([f"{PREFIX}cold"], dict(follower.cursor)))
    assert follower.view() == moto_bucket.truth()


async def test_an_object_that_changed_after_it_was_listed_is_not_read(moto_bucket: MotoSource) -> None:
    moto_bucket.put("a", "listed")
    moto_bucket.before_read("a", lambda: moto_bucket.put("a", "LISTED"))  # of the same size
    follower = Follower(moto_bucket)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}a"], ObjectChangedError)
    assert follower.documents == {}


async def test_the_rights_of_the_guide_are_enough_and_each_is_needed(moto: MotoServer, moto_bucket: MotoSource) -> None:
    fill(moto_bucket)
    moto_bucket.limits = {"access_tags": True}
    for missing in (None, *RIGHTS):
        user = moto.user(*(right for right in RIGHTS if right != missing))
        moto_bucket.limits["options"] = moto_bucket.server.options_for(user)
        if missing is None:
            await moto_bucket.connector().check()
            follower = Follower(moto_bucket)
            await follower.follow()
            assert follower.view() == moto_bucket.truth()
        else:
            with pytest.raises(FatalError, match=missing):
                await moto_bucket.connector().check()


async def test_one_object_that_may_not_be_read_is_reported(moto: MotoServer, moto_bucket: MotoSource) -> None:
    moto_bucket.put("a", "text")
    user = moto.user("s3:ListBucket")
    moto_bucket.limits = {"options": moto_bucket.server.options_for(user), "access": {}}
    follower = Follower(moto_bucket)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}a"], ObjectDeniedError)


async def test_credentials_that_are_wrong_are_named(moto: MotoServer, moto_bucket: MotoSource) -> None:
    right = moto.credentials
    for wrong, says in (
        (replace(right, secret_access_key=SecretStr("another")), "secret_access_key"),
        (replace(right, access_key_id="AKIAUNKNOWN"), "access_key_id"),
    ):
        moto_bucket.limits = {"options": moto_bucket.server.options_for(wrong)}
        with pytest.raises(FatalError, match=says):
            await moto_bucket.connector().check()


async def test_credentials_of_a_session_are_signed_with_their_token(moto: MotoServer, moto_bucket: MotoSource) -> None:
    moto_bucket.put("a", "text")
    session = moto.session(*RIGHTS)
    moto_bucket.limits = {"options": moto_bucket.server.options_for(session)}
    await moto_bucket.connector().check()
    stale = replace(session, session_token=SecretStr("another"))
    moto_bucket.limits = {"options": moto_bucket.server.options_for(stale)}
    with pytest.raises(FatalError, match="session_token"):
        await moto_bucket.connector().check()


async def test_a_bucket_that_is_not_there_is_named(moto_bucket: MotoSource) -> None:
    moto_bucket.limits = {"url": f"s3://no-{moto_bucket.server.name}/"}
    with pytest.raises(FatalError, match="no such bucket"):
        await moto_bucket.connector().check()
