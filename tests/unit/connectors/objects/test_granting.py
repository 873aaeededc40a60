"""Who may read an object where rules, its sidecar and its tags all say something: each narrows, and doubt closes."""

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
import yaml

from headwater.errors import FatalError
from headwater.sources.objects import SIDECARS
from schemas.events.documents import NOBODY, Access, Clause
from schemas.ids import Principal
from tests.support.buckets import PREFIX, BucketSource, SidecarSource, TaggedSource, bucket_source
from tests.support.sources import Follower

KEY = f"{PREFIX}a"
RULES = {"readers": ["everyone"], "deny": ["user:eve"]}


@pytest.fixture
async def source() -> AsyncIterator[BucketSource]:
    async with bucket_source() as source:
        source.limits = {"access": RULES, "access_tags": True, "access_sidecars": True}
        source.put("a", "text")
        yield source


def says(source: BucketSource, sidecar: Mapping[str, object] | None, tags: Mapping[str, str]) -> None:
    if sidecar is not None:
        source.server.put(f"{PREFIX}{SIDECARS}a", yaml.safe_dump(dict(sidecar)).encode())
    source.server.tags[KEY] = dict(tags)


def access(clauses: Sequence[Sequence[str]], deny: Sequence[str]) -> Access:
    named = tuple(Clause(principals=tuple(Principal(each) for each in clause)) for clause in clauses)
    return Access(clauses=named, deny=tuple(Principal(each) for each in deny))


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize(
    ("sidecar", "tags", "granted"),
    [
        (None, {"project": "x"}, access([["everyone"]], ["user:eve"])),
        (None, {"headwater-deny": "user:bob"}, access([["everyone"]], ["user:eve", "user:bob"])),
        (
            {"readers": ["group:hr:leads"]},
            {"headwater-readers": "user:ann user:bob"},
            access([["everyone"], ["user:ann", "user:bob"], ["group:hr:leads"]], ["user:eve"]),
        ),
        (
            {"deny": ["user:ann"]},
            {"headwater-deny": "user:bob"},
            access([["everyone"]], ["user:eve", "user:bob", "user:ann"]),
        ),
    ],
)
async def test_each_narrows_what_is_above_it(
    source: BucketSource,
    sidecar: Mapping[str, object] | None,
    tags: Mapping[str, str],
    granted: Access,
    *,
    looked_at: bool,
) -> None:
    follower = Follower(source)
    await follower.follow()
    says(source, sidecar, tags)
    if looked_at:
        await follower.submit(source.connector().items([KEY], dict(follower.cursor)))
    else:
        await follower.follow()
    assert follower.documents[KEY].access == granted
    assert await follower.follow() == []


@pytest.mark.parametrize("tags", [{"headwater-readers": "everybody"}, {"headwater-deny": "user:"}])
async def test_tags_that_are_no_rule_close_until_they_are_mended(source: BucketSource, tags: dict[str, str]) -> None:
    says(source, {"readers": ["group:hr:leads"]}, {})
    follower = Follower(source)
    await follower.follow()
    source.server.tags[KEY] = tags
    for _ in range(2):
        await follower.follow()
        assert follower.documents[KEY].access == NOBODY
        assert "tags" in str(follower.failed[KEY])
    source.server.tags[KEY] = {}
    await follower.follow()
    assert follower.documents[KEY].access == access([["everyone"], ["group:hr:leads"]], ["user:eve"])


async def test_tags_that_may_not_be_read_end_the_pass_and_open_nothing(source: BucketSource) -> None:
    says(source, None, {"headwater-readers": "user:ann"})
    follower = Follower(source)
    await follower.follow()
    source.server.denied = {"TAGS"}
    connector = source.connector()
    for found in (connector.changes(dict(follower.cursor)), connector.items([KEY], dict(follower.cursor))):
        with pytest.raises(FatalError, match=r"s3:GetObjectTagging.*access_tags"):
            await follower.submit(found)
    with pytest.raises(FatalError, match="s3:GetObjectTagging"):
        await connector.check()
    assert follower.documents[KEY].access == access([["everyone"], ["user:ann"]], ["user:eve"])


@pytest.mark.parametrize(
    "text", [b"readers: [everyone ::", b"readers: everyone", b"reader: [everyone]", b"x" * 300_000]
)
async def test_a_sidecar_that_is_no_rule_closes_and_is_reported_until_it_is_mended(
    source: BucketSource, text: bytes
) -> None:
    follower = Follower(source)
    await follower.follow()
    source.server.put(f"{PREFIX}{SIDECARS}a", text)
    for _ in range(2):
        await follower.follow()
        assert follower.documents[KEY].access == NOBODY
        assert follower.failed.keys() == {KEY}
    says(source, {"readers": ["user:ann"]}, {})
    # A notification names the sidecar: what it is about is looked at.
    changes = await follower.submit(source.connector().items([f"{PREFIX}{SIDECARS}a"], dict(follower.cursor)))
    assert [each.external_id for each in changes] == [KEY]
    assert follower.documents[KEY].access == access([["everyone"], ["user:ann"]], ["user:eve"])
    assert (await follower.follow(), follower.failed) == ([], {})


async def test_rules_that_may_not_be_read_end_the_pass_and_close_nothing(source: BucketSource) -> None:
    source.limits = {}
    source.share("a", ["user:ann"])
    follower = Follower(source)
    await follower.follow()
    source.server.answers = {"GET": [(403, "AccessDenied")] * 2}
    assert await _refused(source, follower) == source.truth()
    source.server.answers = {"HEAD": [(403, "")], "GET": [(403, "AccessDenied")]}
    assert await _refused(source, follower) == source.truth()


async def _refused(source: BucketSource, follower: Follower) -> dict[str, tuple[str, tuple[str, ...]]]:
    with pytest.raises(FatalError, match="without it nobody knows who may read what"):
        await follower.follow()
    return follower.view()


class OpenAndTagged(TaggedSource):
    """Open to everyone by its settings, and beside that for whom the tags name."""

    outer = ("everyone",)

    def access(self) -> dict[str, object]:
        return {"access": {"readers": ["everyone"]}, "access_tags": True}


@pytest.mark.parametrize(("code", "readers"), [("NoSuchKey", ()), ("NoSuchTagSet", ("everyone",))])
async def test_an_object_that_vanished_is_not_one_without_tags(code: str, readers: tuple[str, ...]) -> None:
    async with bucket_source(OpenAndTagged) as source:
        source.share("a", ["user:ann"])
        source.put("a", "text")
        follower = Follower(source)
        await follower.follow()
        assert follower.view() == source.truth()
        source.server.answers["TAGS"] = [
            (404, code)
        ]  # deleted since it was listed, or a store that has no empty answer
        await follower.follow()
        assert follower.view() == {"a": ("text", readers)}
        await follower.follow()
        assert follower.view() == source.truth()


async def test_a_sidecar_that_could_not_be_read_closes_until_it_can() -> None:
    async with bucket_source(SidecarSource) as source:
        source.share("a", ["user:ann"])
        source.put("a", "text")
        follower = Follower(source)
        for _ in range(2):
            source.server.answers["GET"] = [(403, "AccessDenied")]
            await follower.follow()
            assert follower.view() == {"a": ("text", ())}
            assert "cannot be read" in str(follower.failed[f"{PREFIX}a"])
        downloads = source.downloads
        await follower.follow()  # the right is given, and nothing else has changed
        assert follower.view() == source.truth()
        assert source.downloads == downloads
