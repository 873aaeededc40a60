"""The bucket connector where buckets are odd: keys, archives, versions, rights, what is being looked at."""

import json
from dataclasses import replace

import pytest

from connectors.objects.connector import ListingError, ObjectTooLargeError
from connectors.protocol import Deleted, Left, Listing, Patched, SourceChange, Upserted
from connectors.rules import FolderRuleError
from headwater.errors import FatalError
from headwater.ports.objects import ObjectArchivedError, ObjectChangedError, ObjectDeniedError
from headwater.sources.objects import RULES_KEY
from schemas.ids import SourceId, TenantId, document_id
from tests.support.bucket_server import BucketServer
from tests.support.buckets import ODD_KEYS, PREFIX, BucketSource
from tests.support.corpora import corpus
from tests.support.sources import Follower


async def test_keys_of_any_form_are_documents(source: BucketSource) -> None:
    for key in ODD_KEYS:
        source.put(key, f"text of {key}")
    source.server.page_size = 7
    follower = Follower(source)
    await follower.follow()
    assert not follower.failed
    assert {name: text for name, (text, _) in follower.view().items()} == {key: f"text of {key}" for key in ODD_KEYS}
    ids = {document_id(TenantId("t"), SourceId("s"), external_id) for external_id in follower.documents}
    assert len(ids) == len(ODD_KEYS)
    assert await follower.follow() == []
    for key in ODD_KEYS:
        source.delete(key)
    source.put("stays", "")
    await follower.follow()
    assert {source.name_of(each) for each in follower.waiting} == set(ODD_KEYS)  # so many at once wait
    assert "stays" in follower.view()


@pytest.mark.data
@pytest.mark.parametrize("folder", ["s3", "s3-minio", "s3-specialchar"])
async def test_recorded_buckets_yield_what_was_recorded(source: BucketSource, folder: str) -> None:
    recordings = corpus(f"api/unstructured-ingest/{folder}")
    expected = json.loads((recordings / "expected_s3_keys.json").read_text())["s3_keys"]
    recorded = [json.loads(path.read_text()) for path in (recordings / "file_data").iterdir()]
    for each in recorded:
        source.server.put(PREFIX + each["source_identifiers"]["rel_path"], b"x", etag=each["metadata"]["version"])
    source.server.put(f"{PREFIX}folder/", b"")  # what consoles make of a folder
    changes = await Follower(source).follow()
    assert sorted(source.name_of(change.external_id) for change in changes) == sorted(expected)
    urls = {each["metadata"]["url"].partition("://")[2].rpartition("/")[2] for each in recorded}
    states = [change.what.state for change in changes if isinstance(change.what, Upserted)]
    assert {(state.url or "").removeprefix(f"s3://papers/{PREFIX}") for state in states} == urls


async def test_archived_objects_are_reported_and_read_when_they_are_restored(source: BucketSource) -> None:
    source.put("a", "warm")
    source.server.put(f"{PREFIX}b", b"cold", storage_class="DEEP_ARCHIVE")
    source.server.put(f"{PREFIX}c", b"cool", storage_class="GLACIER_IR")
    follower = Follower(source)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}b"], ObjectArchivedError)
    assert "restore it" in str(follower.failed[f"{PREFIX}b"])
    assert sorted(follower.view()) == ["a", "c"]
    assert f"GET {PREFIX}b" not in source.server.requests
    source.server.restore(f"{PREFIX}b")
    await follower.follow()
    assert follower.view()["b"][0] == "cold"


async def test_what_an_archive_holds_stays_and_can_be_closed(source: BucketSource) -> None:
    source.share("a", ["everyone"])
    source.put("a", "text")
    source.put("b", "text")
    follower = Follower(source)
    await follower.follow()
    source.server.archive(f"{PREFIX}a")
    source.share("a", ["user:ann"])
    await follower.follow()
    assert follower.view()["a"] == ("text", ("user:ann",))


async def test_access_does_not_wait_for_a_content_that_cannot_be_read(source: BucketSource) -> None:
    source.share("a", ["everyone"])
    source.put("a", "text")
    follower = Follower(source)
    await follower.follow()
    source.share("a", ["user:ann"])
    source.server.put(f"{PREFIX}a", b"newer", storage_class="GLACIER")
    await follower.follow()
    assert follower.view()["a"] == ("text", ("user:ann",))
    assert isinstance(follower.failed[f"{PREFIX}a"], ObjectArchivedError)


async def test_a_version_that_is_current_again_is_admitted_though_it_is_older(source: BucketSource) -> None:
    source.put("a", "first")
    source.put("b", "stays")
    follower = Follower(source)
    await follower.follow()
    source.put("a", "second")
    await follower.follow()
    source.server.undo(f"{PREFIX}a")
    await follower.follow()
    assert follower.view()["a"][0] == "first"
    source.delete("a")
    await follower.follow()
    assert sorted(follower.view()) == ["b"]
    source.server.undo(f"{PREFIX}a")
    await follower.follow()
    assert follower.view() == source.truth()
    assert follower.stale == []


async def test_what_is_stored_again_as_it_was_comes_back_though_a_crash_kept_its_deletion_from_the_cursor(
    source: BucketSource,
) -> None:
    source.put("a", "text")
    source.put("b", "stays")
    follower = Follower(source)
    await follower.follow()
    cursor = dict(follower.cursor)
    source.delete("a")
    await follower.follow()
    assert list(follower.view()) == ["b"]
    follower.cursor = cursor  # the deletion is in the log, and nothing noted it
    source.put("a", "text")
    await follower.follow()
    assert follower.view() == source.truth()


async def test_the_same_content_in_other_parts_is_read_again_and_nothing_worse(source: BucketSource) -> None:
    source.server.put(f"{PREFIX}a", b"text", etag="9b2cf535f27731c974343645a3985328-2")
    follower = Follower(source)
    await follower.follow()
    source.server.put(f"{PREFIX}a", b"text", etag="0cc175b9c0f1b6a831c399e269772661-3")
    (change,) = await follower.follow()
    assert isinstance(change.what, Upserted)
    assert follower.view() == source.truth()


async def test_an_object_that_changed_after_it_was_listed_is_not_read(source: BucketSource) -> None:
    source.put("a", "listed")
    source.before_read("a", lambda: source.put("a", "LISTED"))  # of the same size
    follower = Follower(source)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}a"], ObjectChangedError)
    assert follower.documents == {}


async def test_another_number_of_bytes_than_was_listed_is_another_object(source: BucketSource) -> None:
    """Of a store that tells no ETag it is all that tells them apart."""
    source.put("a", "text")
    objects = source.connector().objects
    listed = await objects.head(f"{PREFIX}a")
    assert listed is not None
    with pytest.raises(ObjectChangedError, match="4 bytes where 5 were listed"):
        [piece async for piece in objects.read(replace(listed, etag=None, size_bytes=5))]


async def test_a_listing_in_no_order_is_not_believed(source: BucketSource) -> None:
    for name in "abcd":
        source.put(name, "text")
    follower = Follower(source)
    await follower.follow()
    source.delete("a")
    source.server.lists_backwards = True
    with pytest.raises(ListingError, match="without an order"):
        await follower.follow()
    assert follower.deleted == []


async def test_objects_above_the_limit_are_reported(source: BucketSource) -> None:
    source.limits = {"max_bytes": 3}
    source.put("a", "1234")
    follower = Follower(source)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}a"], ObjectTooLargeError)


async def test_what_is_too_large_to_be_held_does_not_make_a_listing_longer(source: BucketSource) -> None:
    for name in "abc":
        source.put(name, "text")
    follower = Follower(source)
    await follower.follow()
    source.limits = {"max_bytes": 4}
    for name in "ab":
        source.delete(name)
    for name in "xyz":
        source.put(name, "larger")
    source.put("c", "larger")  # held, as it was
    deletions = [each.what for each in await follower.follow()]
    assert deletions == [Deleted(listing=Listing(name="", known=3, shown=1))] * 2


async def test_what_the_globs_leave_out_is_neither_read_nor_kept(source: BucketSource) -> None:
    source.put("a.md", "text")
    source.put("b.tmp", "text")
    follower = Follower(source)
    await follower.follow()
    source.limits = {"exclude": ("*.tmp",)}
    (change,) = await follower.follow()
    assert (source.name_of(change.external_id), change.what) == (
        "b.tmp",
        Deleted(listing=Listing(name="", known=2, shown=1)),
    )
    source.limits = {"include": ("nothing",)}
    with pytest.raises(ListingError, match="prefix, include and exclude"):
        await follower.follow()


async def test_a_rule_that_is_broken_closes_everything_until_it_is_mended(source: BucketSource) -> None:
    source.share("a", ["everyone"])
    source.put("a", "text")
    follower = Follower(source)
    await follower.follow()
    source.server.put(PREFIX + RULES_KEY, b"readers: [everybody ::")
    await follower.follow()
    assert isinstance(follower.failed[PREFIX + RULES_KEY], FolderRuleError)
    assert follower.view() == {"a": ("text", ())}
    source.share("a", ["everyone"])
    await follower.follow()
    assert follower.view() == source.truth()


async def test_rights_that_are_missing_are_named(source: BucketSource, server: BucketServer) -> None:
    source.put("a", "text")
    for denied, right in (("LIST", "s3:ListBucket"), ("GET", "s3:GetObject")):
        server.denied = {denied, "HEAD"} if denied == "GET" else {denied}
        with pytest.raises(FatalError, match=right):
            await source.connector().check()
    server.denied = set()
    await source.connector().check()


async def test_one_object_that_is_denied_does_not_stop_the_others(source: BucketSource) -> None:
    source.put("a", "text")
    source.put("b", "text")
    source.server.answers["GET"] = [(403, "AccessDenied")]
    follower = Follower(source)
    await follower.follow()
    assert isinstance(follower.failed[f"{PREFIX}a"], ObjectDeniedError)
    assert "s3:GetObject" in str(follower.failed[f"{PREFIX}a"])
    assert list(follower.view()) == ["b"]
    await follower.follow()  # the right is given, and nothing else has changed
    assert follower.view() == source.truth()


async def test_a_listing_tells_what_it_has_left_of_the_last_complete_one(source: BucketSource) -> None:
    source.server.page_size = 2
    for number in range(5):
        source.put(f"{number}", "text")
    follower = Follower(source)
    assert {change.left for change in await follower.follow(3)} == {None}  # a store does not say how much it holds
    assert {change.left for change in await follower.follow()} == {None}  # and what is held is not all of it
    for number in range(5):
        source.put(f"{number}", "edited")
    source.put("3-", "new")
    left = [change.left for change in await follower.follow()]
    assert left == [*(Left(items=items, of=5) for items in (4, 3, 2, 1)), None, None]
    nothing_new = [told async for told in source.connector().changes(dict(follower.cursor))]
    assert nothing_new == [Left(items=items, of=6) for items in (4, 2)]


async def looked(source: BucketSource, follower: Follower, *names: str) -> list[SourceChange]:
    return await follower.submit(source.connector().items([PREFIX + name for name in names], dict(follower.cursor)))


async def test_a_look_brings_one_key_up_to_date(source: BucketSource) -> None:
    follower = Follower(source)
    for number in range(4):
        source.put(f"k{number}", f"text {number}")
    await follower.follow()
    source.put("k1", "edited")
    source.put("k0", "seen by the next pass")
    source.put("new", "new")
    source.delete("k3")
    lists = sum(each.startswith("LIST") for each in source.server.requests)
    await looked(source, follower, "k1", "new", "k2", "never", "k1")
    await looked(source, follower, "k3")
    assert sum(each.startswith("LIST") for each in source.server.requests) == lists
    assert follower.view() == source.truth() | {"k0": ("text 0", ())}
    assert [source.name_of(change.external_id) for change in await follower.follow()] == ["k0"]
    assert follower.view() == source.truth()


async def test_a_look_at_the_rules_brings_the_access_of_all(source: BucketSource) -> None:
    source.share("a", ["everyone"])
    source.put("a", "text")
    follower = Follower(source)
    await follower.follow()
    source.share("a", ["user:ann"])
    (change,) = await looked(source, follower, RULES_KEY)
    assert isinstance(change.what, Patched)
    assert follower.view() == source.truth()


async def test_a_look_outside_the_prefix_finds_nothing(source: BucketSource) -> None:
    source.server.put("elsewhere", b"text")
    assert [change async for change in source.connector().items(["elsewhere"], {})] == []
