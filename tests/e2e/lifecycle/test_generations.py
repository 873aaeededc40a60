"""A second generation with smaller chunks: built, switched to, rolled back, dropped, while questions go on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from headwater.cli.api_client import ApiClient
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.demo.stage import wait_until
from tests.support.library import READER, Library
from tests.support.lifecycle import built, feeding, headwater, listed, states, succeed, vectors_of
from tests.support.platform import KEYS_VALID_S, Platform

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SECOND = "g2"
SMALLER = "structure-1,max_tokens=64,max_context_tokens=24,min_tokens=16"
EVERY_S = 0.2
SHORT = "# Ferry\n\nThe night ferry leaves at nine."
LONG = "\n\n".join(
    f"## Rule {number}\n\n"
    + " ".join(f"Part {part} of rule {number} says how ferry rope {part} is stowed." for part in range(12))
    for number in range(4)
)


@dataclass
class Asker:
    """Asks five times a second and notes what is wrong with an answer."""

    api: ApiClient
    knowledge_base: str
    wrong: list[str] = field(default_factory=list)
    generations: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        body = {"query": "night ferry", "knowledge_bases": [self.knowledge_base]}
        while not self._stop.wait(EVERY_S):
            try:
                found = self.api.call("POST", "/search", json=body)
            except Exception as error:  # noqa: BLE001 - the thread must live to report it
                self.wrong.append(repr(error))
                continue
            self.generations.append(found["meta"]["generation"])
            if not found["hits"] or found["meta"]["degraded"]:
                self.wrong.append(str(found["meta"]))

    def stop(self) -> None:
        self._stop.set()

    def until_answered_by(self, generation: str) -> None:
        wait_until(f"an answer of {generation}", lambda: self.generations[-1:] == [generation])


@contextmanager
def asking(library: Library) -> Iterator[Asker]:
    asker = Asker(api=library.platform.admin.acting_as(READER, valid_s=KEYS_VALID_S), knowledge_base=library.name)
    thread = threading.Thread(target=asker.run)
    thread.start()
    try:
        yield asker
    finally:
        asker.stop()
        thread.join()
        asker.api._client.close()


def test_a_generation_comes_serves_and_goes_while_questions_are_answered(platform: Platform, library: Library) -> None:
    short, long = library.put("short", SHORT), library.put("long", LONG)
    for each in (short, long):
        library.settled(each)

    with asking(library) as asker:
        succeed(platform, "generations", "create", SECOND, "--policy", SMALLER)
        refused = headwater(platform, "generations", "switch", SECOND, "--patience", "0")
        assert (refused.returncode, "g2 has not caught up" in refused.stderr) == (1, True), refused.stderr
        with feeding(platform, SECOND):
            wait_until("the generation to be built", lambda: built(platform, SECOND))
            assert set(asker.generations) == {"g1"}
            assert vectors_of(library, short["document_id"], SECOND) == (1, 0, 1), "cut as before: not embedded again"
            rows = {name: vectors_of(library, long["document_id"], name)[0] for name in ("g1", SECOND)}
            assert rows[SECOND] > rows["g1"]

            succeed(platform, "generations", "switch", SECOND)
            asker.until_answered_by(SECOND)
            assert states(platform) == {"g1": "fed", SECOND: "serving"}
            library.settled(library.put("edit", "# Tug\n\nA tugboat was hired while the second generation served."))

            succeed(platform, "generations", "rollback")
            asker.until_answered_by("g1")
            # By meaning the other documents are found as well, after it.
            wait_until(
                "the edit in the generation before",
                lambda: [hit["external_id"] for hit in library.search("tugboat")][:1] == ["edit"],
            )
        serving = headwater(platform, "generations", "drop", "g1", "--force")
        assert (serving.returncode, "g1 serves" in serving.stderr) == (1, True)
        succeed(platform, "generations", "drop", SECOND, "--force")
    assert asker.wrong == []
    assert listed(platform)[SECOND]["state"] == "retired"
    topics = asyncio.run(KafkaAdmin(platform.settings.kafka).topic_names())
    assert not [
        name for name in topics if name.startswith(platform.settings.kafka.topic_prefix) and name.endswith(".g2")
    ]
