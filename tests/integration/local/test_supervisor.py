"""A supervisord of our own, with processes that do nothing: what its file gains and loses while it runs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.demo.stage import wait_until
from headwater.local.places import Places
from headwater.local.process import Probe, Process, Tier
from headwater.local.starting import stop_all
from headwater.local.supervisor import Supervisor, launch, render


def idle(name: str) -> Process:
    return Process(name=name, tier=Tier.APPLICATION, command=("sleep", "600"), probe=Probe.MANAGEMENT, port=1)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(state=tmp_path, cache=tmp_path, components=tmp_path)


@pytest.fixture
def supervisor(places: Places) -> Iterator[Supervisor]:
    """Runs `first` and `second`."""
    running = launch(places, render([idle("first"), idle("second")], places=places), environment=os.environ)
    try:
        for name in ("first", "second"):
            running.start(name)
        yield running
    finally:
        running.shut_down()
        wait_until("the supervisor to end", lambda: not running.answers())


async def test_processes_come_and_go_without_a_restart_of_the_others(supervisor: Supervisor, places: Places) -> None:
    before = supervisor.states()["first"].pid

    places.configuration.write_text(render([idle("first"), idle("second"), idle("third")], places=places))
    supervisor.reload()
    assert supervisor.states()["third"].pid is None, "it is started when what it needs is ready"
    supervisor.start("third")
    assert supervisor.states()["third"].pid is not None

    await stop_all(supervisor, ["second"], lambda name, what: None)
    places.configuration.write_text(render([idle("first"), idle("third")], places=places))
    supervisor.reload()
    assert supervisor.states().keys() == {"first", "third"}
    assert supervisor.states()["first"].pid == before
