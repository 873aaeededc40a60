"""An admin client that gave no answer is replaced, and ends although the loop that asked has ended before."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from headwater.clients.kafka import admin
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.errors import RetryableError
from headwater.settings import KafkaSettings
from tests.support.waiting import reached

PATIENCE_S = 20.0


def clients() -> int:
    """Count librdkafka's clients of this process: each has one main thread."""
    names = []
    for each in Path("/proc/self/task").glob("*/comm"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            names.append(each.read_text().strip())
    return names.count("rdk:main")


async def test_the_replaced_client_ends_after_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_SLACK_S", 0.05)
    before = clients()
    asking = KafkaAdmin(KafkaSettings(bootstrap_servers="127.0.0.1:1", request_timeout_s=0.2))
    first = asking._client
    with pytest.raises(RetryableError):
        await asyncio.to_thread(lambda: asyncio.run(asking.log_ends({"nobody-answers": [0]})))
    assert asking._client is not first
    del first

    await reached(lambda: clients() <= before + 1, deadline_s=PATIENCE_S)
