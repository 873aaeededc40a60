"""Git's protocol, on the wikis that tests make and on git itself; and answers that must not be believed."""

import struct
import subprocess
import zlib
from hashlib import sha1
from pathlib import Path

import pytest

from connectors.github.git import GitClient, GitRefusedError
from connectors.github.models import Account, Repository
from connectors.github.packs import BrokenPackError, PackTooLargeError, packets, tree_files, unpacked
from headwater.clients.egress.errors import MissingError
from tests.support.github_source import OrganisationSource
from tests.support.github_wiki import FakeWiki

PAGES = {"Home.md": b"Welcome\n", "a/b/Deep.md": b"Deep\n", "a/b.md": b"Beside\n", "Same.md": b"Welcome\n"}
LIMIT = 100_000


class GitsOwn(FakeWiki):
    """The same commits, answered by `git upload-pack`."""

    folder: Path

    def answer(self, asked: bytes) -> bytes:
        for each in self.objects.values():
            path = self.folder / "objects" / each.id[:2].decode() / each.id[2:].decode()
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(_loose(each.type_name, each.as_raw_string())))
        if self.head is not None:
            (self.folder / "refs" / "heads" / "master").write_bytes(self.head + b"\n")
        done = subprocess.run(
            ("git", "-c", "uploadpack.allowFilter=true", "upload-pack", "--stateless-rpc", str(self.folder)),
            input=asked,
            env={"GIT_PROTOCOL": "version=2", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        return done.stdout


def _loose(kind: bytes, content: bytes) -> bytes:
    return kind + b" %d\0" % len(content) + content


def _own(folder: Path) -> FakeWiki:
    subprocess.run(("git", "init", "--quiet", "--bare", "--initial-branch=master", str(folder)), check=True)
    wiki = GitsOwn()
    wiki.folder = folder
    return wiki


@pytest.fixture(params=["fake", "git"])
def wiki(request: pytest.FixtureRequest, tmp_path: Path, source: OrganisationSource) -> FakeWiki:
    return _served(source, FakeWiki() if request.param == "fake" else _own(tmp_path))


def _served(source: OrganisationSource, wiki: FakeWiki) -> FakeWiki:
    source.state.add_repo("code").wiki = wiki
    return wiki


@pytest.fixture
def repository() -> Repository:
    return Repository(
        id=1,
        full_name="acme/code",
        owner=Account(id=1, login="acme"),
        html_url="https://github.test/acme/code",
        private=True,
    )


@pytest.fixture
def git(source: OrganisationSource) -> GitClient:
    return source.github().client.git


async def test_the_newest_commit_its_files_and_their_contents(
    wiki: FakeWiki, git: GitClient, repository: Repository
) -> None:
    wiki.is_written = True
    assert await git.head(repository) is None
    wiki.commit({"Old.md": b"Old\n"})
    wiki.commit(PAGES, links=["a/Link.md", "Link.md"])
    head = await git.head(repository)
    assert head == (wiki.head or b"").decode()
    files = await git.files(repository, head, max_bytes=LIMIT)
    assert [each.path for each in files] == sorted(PAGES)
    assert {each.path: await git.content(repository, each.sha, max_bytes=LIMIT) for each in files} == PAGES
    assert len(files[0].sha) == 40


async def test_contents_do_not_come_along_with_names(wiki: FakeWiki, git: GitClient, repository: Repository) -> None:
    wiki.commit({"Large.md": bytes(range(256)) * 4000})
    head = await git.head(repository)
    (file,) = await git.files(repository, head or "", max_bytes=1000)
    with pytest.raises(PackTooLargeError):
        await git.content(repository, file.sha, max_bytes=1_000_000)
    assert len(await git.content(repository, file.sha, max_bytes=1_024_000)) == 1_024_000


async def test_history_does_not_come_along(wiki: FakeWiki, git: GitClient, repository: Repository) -> None:
    for number in range(20):
        wiki.put(f"{number}.md", b"Page\n")
    head = await git.head(repository)
    assert len(await git.files(repository, head or "", max_bytes=1500)) == 20


async def test_what_is_not_there_is_refused(wiki: FakeWiki, git: GitClient, repository: Repository) -> None:
    with pytest.raises(MissingError):
        await git.head(repository)
    wiki.commit(PAGES)
    with pytest.raises(GitRefusedError, match="gone by now"):
        await git.files(repository, "1" * 40, max_bytes=LIMIT)
    with pytest.raises(GitRefusedError, match="gone by now"):
        await git.content(repository, "1" * 40, max_bytes=LIMIT)


def _head(kind: int, size: int) -> bytes:
    """Return the head of an object in a pack."""
    digits, left = [kind << 4 | size & 15], size >> 4
    while left:
        digits[-1] |= 128
        digits.append(left & 127)
        left >>= 7
    return bytes(digits)


def _size(number: int) -> bytes:
    digits = [number & 127]
    while number := number >> 7:
        digits[-1] |= 128
        digits.append(number & 127)
    return bytes(digits)


def _pack(*objects: bytes) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
    return body + sha1(body, usedforsecurity=False).digest()


def _stored(kind: int, content: bytes) -> bytes:
    return _head(kind, len(content)) + zlib.compress(content)


COMMIT, TREE, BLOB, REF_DELTA = 1, 2, 3, 7


def _id(kind: bytes, content: bytes) -> bytes:
    return sha1(_loose(kind, content), usedforsecurity=False).digest()


def _of_commit(tree: bytes) -> bytes:
    return b"tree %s\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\nx" % tree.hex().encode()


def test_a_content_that_unpacks_to_much_is_refused_before_it_does() -> None:
    with pytest.raises(PackTooLargeError):
        unpacked(_pack(_stored(BLOB, b"0" * 50_000)), max_bytes=49_999)
    lying = _head(BLOB, 10) + zlib.compress(b"0" * 50_000)
    with pytest.raises(BrokenPackError):
        unpacked(_pack(lying), max_bytes=49_999)
    many = [_stored(BLOB, bytes([number]) * 10_000) for number in range(5)]
    assert len(unpacked(_pack(*many), max_bytes=50_000)) == 5
    with pytest.raises(PackTooLargeError):
        unpacked(_pack(*many), max_bytes=49_999)


def test_a_delta_that_repeats_its_base_is_measured_by_what_it_makes() -> None:
    base = b"0" * 1000
    copy = bytes([0b10110000]) + struct.pack("<H", len(base))
    delta = _size(len(base)) + _size(len(base) * 40) + copy * 40
    stored = _head(REF_DELTA, len(delta)) + _id(b"blob", base) + zlib.compress(delta)
    pack = _pack(_stored(BLOB, base), stored)
    found = unpacked(pack, max_bytes=50_000)
    assert found[_id(b"blob", base * 40).hex()].as_raw_string() == base * 40
    with pytest.raises(PackTooLargeError):
        unpacked(pack, max_bytes=40_000)


def test_folders_within_folders_are_measured_by_their_paths() -> None:
    """Ten folders that are one another's only entry, ten times each: some kilobytes name 10^10 files."""
    trees = [b"".join(b"100644 f%d\0" % number + _id(b"blob", b"x") for number in range(10))]
    for _ in range(9):
        trees.append(b"".join(b"40000 d%d\0" % number + _id(b"tree", trees[-1]) for number in range(10)))
    commit = _of_commit(_id(b"tree", trees[-1]))
    objects = unpacked(_pack(_stored(COMMIT, commit), *(_stored(TREE, each) for each in trees)), max_bytes=LIMIT)
    with pytest.raises(PackTooLargeError):
        tree_files(objects, _id(b"commit", commit).hex(), max_bytes=LIMIT)


def test_a_name_that_is_no_utf_8_is_still_a_name() -> None:
    tree = b"100644 \xff.md\0" + _id(b"blob", b"x")
    commit = _of_commit(_id(b"tree", tree))
    objects = unpacked(_pack(_stored(COMMIT, commit), _stored(TREE, tree)), max_bytes=LIMIT)
    assert [*tree_files(objects, _id(b"commit", commit).hex(), max_bytes=LIMIT)] == ["�.md"]


@pytest.mark.parametrize(
    "pack",
    [
        b"",
        b"PACK",
        b"<html>not a pack at all, but long enough to be one</html>",
        _pack(_stored(BLOB, b"x"))[:15],
        _pack(_head(REF_DELTA, 4) + b"1" * 20 + zlib.compress(b"\x01\x01\x01x")),
        _pack(_head(REF_DELTA, 1) + b"1" * 20 + zlib.compress(b"\xff")),
        _pack(_head(BLOB, 3) + b"no zlib"),
        _pack(_stored(0, b"x")),
    ],
)
def test_what_is_no_pack_is_refused(pack: bytes) -> None:
    with pytest.raises(BrokenPackError):
        unpacked(pack, max_bytes=LIMIT)


def test_a_pack_that_lacks_what_was_asked_for_is_refused() -> None:
    commit = _of_commit(_id(b"tree", b""))
    objects = unpacked(_pack(_stored(COMMIT, commit), _stored(BLOB, b"x")), max_bytes=LIMIT)
    for wanted in (_id(b"commit", commit).hex(), _id(b"blob", b"x").hex(), "1" * 40):
        with pytest.raises(BrokenPackError):
            tree_files(objects, wanted, max_bytes=LIMIT)


@pytest.mark.parametrize("body", [b"zzzz", b"0003", b"0010short", b"00"])
def test_what_is_no_packet_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenPackError):
        list(packets(body))


def _line(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


async def test_another_name_than_head_is_not_believed(
    source: OrganisationSource, git: GitClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for by a prefix is a hint: a server may name more."""
    _served(source, FakeWiki()).is_written = True
    names = (b"refs/heads/draft", b"HEADS", b"HEAD symref-target:refs/heads/master")
    said = b"".join(_line(b"%d" % number * 40 + b" " + name + b"\n") for number, name in enumerate(names, 1)) + b"0000"
    monkeypatch.setattr(FakeWiki, "answer", lambda *_: said)
    assert await git.head(repository) == "3" * 40


@pytest.mark.parametrize(("packets_of_progress", "refused"), [(1, False), (4, True)])
async def test_an_answer_is_limited_whatever_is_in_it(
    source: OrganisationSource,
    git: GitClient,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    *,
    packets_of_progress: int,
    refused: bool,
) -> None:
    _served(source, FakeWiki()).is_written = True
    progress = _line(b"\x02" + b"x" * 60_000) * packets_of_progress
    said = _line(b"packfile\n") + progress + _line(b"\x01" + _pack(_stored(BLOB, b"x"))) + b"0000"
    monkeypatch.setattr(FakeWiki, "answer", lambda *_: said)
    asked = git.content(repository, _id(b"blob", b"x").hex(), max_bytes=LIMIT)
    if refused:
        with pytest.raises(PackTooLargeError):
            await asked
    else:
        assert await asked == b"x"


@pytest.mark.parametrize(
    "said",
    [
        _line(b"packfile\n") + _line(b"\x03access denied") + b"0000",
        _line(b"packfile\n") + _line(b"\x01PACK"),
        b"0000",
        b"",
        _line(b"packfile\n") + _line(b"\x01" + _pack(_stored(BLOB, b"another"))) + b"0000",
    ],
)
async def test_an_answer_that_is_not_whole_is_not_believed(
    source: OrganisationSource,
    git: GitClient,
    repository: Repository,
    said: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _served(source, FakeWiki()).is_written = True
    monkeypatch.setattr(FakeWiki, "answer", lambda *_: said)
    with pytest.raises((BrokenPackError, GitRefusedError)):
        await git.content(repository, "1" * 40, max_bytes=LIMIT)
