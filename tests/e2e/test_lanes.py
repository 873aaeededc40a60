"""The heavy lane and the limits on the real product."""

import os
import re
import signal
from typing import Any

import pytest
from redis import Redis

from headwater.demo.stage import wait_until
from tests.support.library import READER, Answer, Library
from tests.support.pdf import pdf_of
from tests.support.platform import MAX_FILE_BYTES

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PAGES = 430  # nine ranges
LINES = 20_000  # a page takes its parser some 10 ms: time enough for a kill between two ranges
KEPT = 3


def ranges(cache: Redis, prefix: str) -> dict[bytes, int]:
    """Return the page ranges that the heavy lane has kept, and until when each is: longer once it is read again."""
    keys: Any = cache.keys(f"{prefix}pages:*")
    return {key: int(cache.execute_command("PEXPIRETIME", key)) for key in keys}  # type: ignore[no-untyped-call]  # redis-py's own gap


def test_a_heavy_document_goes_on_with_the_next_page_range_after_its_worker_was_killed(library: Library) -> None:
    platform = library.platform
    accepted = library.upload(
        "plates",
        pdf_of([f"Plate {number} shows sluice gate number {number}." for number in range(PAGES)], drawn_lines=LINES),
        name="plates.pdf",
    )
    prefix = platform.settings.redis.key_prefix
    with Redis.from_url(platform.settings.redis.url.get_secret_value()) as cache:
        wait_until("page ranges to be kept", lambda: len(ranges(cache, prefix)) >= KEPT)
        os.kill(platform.pid("prepare"), signal.SIGKILL)
        before = ranges(cache, prefix)
        assert library.state(accepted["document_id"])["status"] != "searchable"

        library.settled(accepted)
        after = ranges(cache, prefix)
    assert {key: after[key] for key in before} == before, "a range was read again after the crash"
    assert len(after) > len(before)

    hits = library.search("plate shows sluice gate", mode="keyword", top_k=100)
    assert {hit["document_id"] for hit in hits} == {accepted["document_id"]}
    shown = {int(number) for hit in hits for number in re.findall(r"number (\d+)", hit["text"])}
    assert shown == set(range(PAGES))


def test_a_file_above_the_limit_is_refused_and_the_caller_learns_which_one(library: Library) -> None:
    accepted = library.upload("dump", b"# Dump\n\n" + b"x " * (MAX_FILE_BYTES // 2), name="dump.md")

    def refusal() -> Answer | None:
        asked = {"query": "dump", "as_user": READER, "knowledge_bases": [library.name]}
        verdict: Answer = library.platform.admin.call(
            "POST", f"/documents/{accepted['document_id']}/explain", json=asked
        )["verdict"]
        return verdict if verdict["cause"] == "refused" else None

    verdict, _ = wait_until("the refusal to be recorded", refusal)
    assert verdict["reason"] == "file_too_large"
    assert re.fullmatch(
        rf"content: {MAX_FILE_BYTES + 8} bytes, and a file may have {MAX_FILE_BYTES}: .*limits\.max_file_bytes",
        verdict["explanation"],
    )
