"""What is appended, and what a sender is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.webhooks.receiver import requests_of
from connectors.work import Work, work_of
from headwater.clients.kafka.errors import KafkaUnavailableError
from headwater.errors import FatalError, HeadwaterError
from schemas.codec import encode
from schemas.ids import SourceId
from tests.support.syncing import Clock, FakeSources
from tests.support.webhooks import SECRET, WIKI, Post, digest, signed, source


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path, FakeSources({WIKI: source()}))


def bucket_event(*keys: str, bucket: str = "papers") -> bytes:
    records = [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}} for key in keys]
    return json.dumps({"Records": records}).encode()


async def test_a_delivery_of_an_unknown_kind_asks_for_what_changed(post: Post) -> None:
    answer = await post.tell(b"anything")
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert post.asked() == [("incremental", ())]
    [request] = post.requests.taken
    assert ((request.tenant_id, request.source), request.actor, request.observed_at) == (WIKI, None, post.clock.at)


async def test_a_bucket_tells_which_keys_to_look_at(post: Post) -> None:
    post.sources[WIKI] = source("objects")
    await post.tell(bucket_event("x/a+b.md", "x/c.md", "x/a+b.md", "elsewhere.md"))
    assert post.asked() == [("items", ("x/a b.md", "x/c.md"))]


async def test_a_delivery_about_nothing_of_ours_asks_for_nothing(post: Post) -> None:
    post.sources[WIKI] = source("objects")
    answer = await post.tell(bucket_event("a", bucket="another"))
    assert (answer.status_code, answer.json(), post.asked()) == (202, {"status": "nothing"}, [])


async def test_what_cannot_be_read_is_named_and_not_remembered(post: Post) -> None:
    post.sources[WIKI] = source("objects")
    for _ in range(2):
        answer = await post.tell(b"{}", delivery="1")
        assert (answer.status_code, post.asked()) == (400, [])
        assert answer.json()["detail"].startswith("notification: ")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_github_and_atlassian_sign_in_their_own_ways(post: Post) -> None:
    for kind, header, event in (
        ("github", "X-Hub-Signature-256", "organization"),
        ("confluence", "X-Hub-Signature", "group_updated"),
    ):
        post.sources[WIKI] = source(kind)
        body = f'{{"event": "{event}"}}'.encode()
        headers = {header: f"sha256={digest(body)}", "X-GitHub-Event": event}
        assert (await post.send(body, headers)).status_code == 202
        assert (await post.tell()).status_code == 401
    assert len(post.asked()) == 2


async def test_who_is_refused_is_not_told_why(post: Post, tmp_path: Path) -> None:
    post.sources[WIKI[0], "open"] = replace(source(), secrets={})  # type: ignore[index] # a name is a text
    post.sources[WIKI[0], "unset"] = source(webhook="file:missing")  # type: ignore[index] # as above
    good, bad = signed(b"{}", at=post.clock.at.timestamp()), signed(b"{}", at=post.clock.at.timestamp(), secret="bad")
    answers = [
        await post.send(b"{}", bad),
        await post.send(b"{}", {}),
        await post.send(b"{}", good, to="/hooks/acme/nobody"),
        await post.send(b"{}", good, to="/hooks/nobody/wiki"),
        await post.send(b"{}", good, to="/hooks/acme/open"),
        await post.send(b"{}", good, to="/hooks/acme/unset"),
        await post.send(b"{}", signed(b"{}", at=post.clock.at.timestamp(), secret=""), to="/hooks/acme/open"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({(answer.content, str(sorted(answer.headers.items()))) for answer in answers}) == 1
    assert post.asked() == []


async def test_an_unreadable_body_is_refused_first(post: Post) -> None:
    """Else a 400 would tell which sources there are."""
    post.sources[WIKI] = source("objects")
    assert (await post.send(b"no event", {})).status_code == 401


async def test_a_secret_is_exchanged_without_a_gap(post: Post) -> None:
    both = source(webhook="file:hook", webhook_next="file:next")
    post.sources[WIKI] = both
    assert (await post.tell()).status_code == 202  # `next` is not there yet
    post.secret("next", "another")
    for secret in (SECRET, "another"):
        body = secret.encode()
        assert (await post.send(body, signed(body, at=post.clock.at.timestamp(), secret=secret))).status_code == 202
    post.sources[WIKI] = source(webhook="file:next")
    assert (await post.tell(b"old")).status_code == 401


async def test_a_replay_is_a_duplicate_and_later_refused(post: Post) -> None:
    headers = signed(b"{}", at=post.clock.at.timestamp())
    answers = [(await post.send(b"{}", headers)).json()["status"] for _ in range(2)]
    assert answers == ["accepted", "duplicate"]
    post.clock.advance(301)
    assert (await post.send(b"{}", headers)).status_code == 401
    assert len(post.asked()) == 1


async def test_a_repetition_is_known_by_its_name_and_body(post: Post) -> None:
    told = [(await post.tell(body, delivery="7")).json()["status"] for body in (b"a", b"b", b"a")]
    assert told == ["accepted", "accepted", "duplicate"]
    post.clock.advance(3_601)
    assert (await post.tell(b"a", delivery="7")).json()["status"] == "accepted"


@pytest.mark.parametrize(
    ("kind", "signature", "name"),
    [
        ("github", "X-Hub-Signature-256", "X-GitHub-Delivery"),
        ("confluence", "X-Hub-Signature", "X-Atlassian-Webhook-Identifier"),
    ],
)
async def test_a_sender_names_its_deliveries_for_one_source(post: Post, kind: str, signature: str, name: str) -> None:
    other = (WIKI[0], SourceId("other"))
    post.sources[WIKI] = post.sources[other] = source(kind)
    body = b'{"event": "group_updated"}'
    headers = {signature: f"sha256={digest(body)}", "X-GitHub-Event": "organization", name: "7"}
    told = [
        (await post.send(body, headers, to=f"/hooks/acme/{to}")).json()["status"] for to in ("wiki", "wiki", "other")
    ]
    assert told == ["accepted", "duplicate", "accepted"]
    assert (await post.send(body, {**headers, name: "8"})).json()["status"] == "accepted"


async def test_memory_of_deliveries_is_bounded(tmp_path: Path) -> None:
    post = Post(tmp_path, FakeSources({WIKI: source()}), remembered=2)
    names = ("1", "2", "3", "1", "3")
    told = [(await post.tell(delivery=name)).json()["status"] for name in names]
    assert told == ["accepted", "accepted", "accepted", "accepted", "duplicate"]


async def test_deliveries_without_a_name_are_all_taken(post: Post) -> None:
    post.sources[WIKI] = source("github")
    headers = {"X-Hub-Signature-256": f"sha256={digest(b'{}')}", "X-GitHub-Event": "organization"}
    assert [(await post.send(b"{}", headers)).json()["status"] for _ in range(2)] == ["accepted", "accepted"]


async def test_a_paused_source_is_told_yes_and_asked_nothing(post: Post) -> None:
    post.sources[WIKI] = source(paused=True)
    answer = await post.tell(delivery="1")
    assert (answer.status_code, answer.json(), post.asked()) == (202, {"status": "paused"}, [])
    post.sources[WIKI] = source()
    assert (await post.tell(delivery="1")).json()["status"] == "accepted"


@pytest.mark.parametrize("error", [KafkaUnavailableError("away"), FatalError("the topic is not there")])
async def test_a_sender_comes_again_when_the_log_is_away(post: Post, error: HeadwaterError) -> None:
    post.requests.failing = error
    answer = await post.tell(delivery="1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    post.requests.failing = None
    assert (await post.tell(delivery="1")).json()["status"] == "accepted"


async def test_a_log_that_hangs_is_not_waited_for(post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Post(tmp_path, post.sources, limits={"append_timeout_s": 0.001})
    monkeypatch.setattr(slow.requests, "ask", lambda request: asyncio.Event().wait())
    assert (await slow.tell()).status_code == 503


async def test_nobody_is_refused_before_the_directory_is_known(post: Post) -> None:
    post.is_ready = False
    assert (await post.send(b"{}", {})).status_code == 503


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_a_body_is_read_up_to_its_limit(tmp_path: Path) -> None:
    post = Post(tmp_path, FakeSources({WIKI: source()}), limits={"max_body_bytes": 1_000})
    assert (await post.tell(b"x" * 1_000)).status_code == 202
    assert (await post.tell(b"x" * 1_001)).status_code == 413
    assert (await post.send(pieces(3, 400), {})).status_code == 413
    assert (await post.send(pieces(2, 400), {})).status_code == 401  # read, and not signed


async def test_a_body_that_is_too_long_is_not_awaited(tmp_path: Path) -> None:
    """Neither what Content-Length announces, nor what streams without an end."""
    post = Post(tmp_path, FakeSources({WIKI: source()}), limits={"max_body_bytes": 1_000})
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 500

    async with post.client() as client:
        assert (await client.post("/hooks/acme/wiki", content=endless())).status_code == 413
        assert sent == 3
        announced = {"Content-Length": "1001"}
        assert (await client.post("/hooks/acme/wiki", content=endless(), headers=announced)).status_code == 413
        assert sent == 3


async def test_without_a_word_to_the_contrary_a_body_has_a_mebibyte(post: Post) -> None:
    """And not a byte of what is longer is kept or awaited: what Content-Length announces is not read at all."""
    limit = 1024 * 1024
    assert (await post.tell(b"x" * limit)).status_code == 202
    sent: list[int] = []

    async def streamed(*sizes: int) -> AsyncIterator[bytes]:
        for size in sizes:
            sent.append(size)
            yield b"x" * size

    announced = {"Content-Length": str(limit + 1)}
    answer = await post.send(streamed(limit + 1, 1), announced)
    assert (answer.status_code, answer.json()["detail"], sent) == (413, f"body: more than {limit} bytes", [])
    assert (await post.send(streamed(limit, 1, 1), {})).status_code == 413
    assert sent == [limit, 1]
    assert (await post.send(streamed(limit), {})).status_code == 401  # read, and not signed
    assert post.asked() == [("incremental", ())]


async def test_a_body_that_stands_still_is_given_up(tmp_path: Path) -> None:
    post = Post(tmp_path, FakeSources({WIKI: source()}), limits={"read_timeout_s": 0.001})

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    assert (await post.send(stalled(), {})).status_code == 408


async def test_more_at_once_than_memory_allows_come_again(tmp_path: Path) -> None:
    post = Post(tmp_path, FakeSources({WIKI: source()}), limits={"parallel": 1})
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        await go.wait()
        yield b"{}"

    first = asyncio.create_task(post.send(slow(), signed(b"{}", at=post.clock.at.timestamp())))
    await begun.wait()
    busy = await post.tell()
    go.set()
    assert (busy.status_code, busy.headers["retry-after"], (await first).status_code) == (503, "5", 202)
    assert (await post.tell(b"later")).status_code == 202


async def test_nothing_else_is_served(post: Post) -> None:
    async with post.client() as client:
        assert (await client.get("/hooks/acme/wiki")).status_code == 405
        assert (await client.post("/")).status_code == 404


@pytest.mark.parametrize(
    "work",
    [
        Work(full=True),
        Work(changes=True, permissions=True),
        Work(permissions=True, items=frozenset({"a", "b"})),
        Work(items=frozenset({"a"})),
        Work(changes=True, items=frozenset(f"{n:04}" for n in range(2_500))),
        Work(items=frozenset(f"{n:04}" + "\U0001f600" * 1_000 for n in range(300))),
    ],
)
def test_requests_ask_for_exactly_the_work(work: Work) -> None:
    asked = Work()
    for request in requests_of(work, WIKI, Clock().now()):
        assert len(request.items) <= 1_000
        assert len(encode(request)) < 600 * 1024  # a record, of which a broker takes 1 MiB
        asked |= work_of(request)
    assert asked == work


async def test_a_delivery_of_github_asks_for_what_it_names(post: Post) -> None:
    post.sources[WIKI] = source("github")
    body = b'{"repository": {"id": 7}, "issue": {"number": 3}}'
    signature = {"X-Hub-Signature-256": f"sha256={digest(body)}"}
    assert (await post.send(body, {**signature, "X-GitHub-Event": "issues"})).json()["status"] == "accepted"
    assert post.asked() == [("items", ("repo:7/issue/3",))]
    assert (await post.send(body, {**signature, "X-GitHub-Event": "star"})).json()["status"] == "nothing"
    assert (await post.send(body, signature)).status_code == 400
