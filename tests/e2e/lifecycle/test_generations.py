"""A second generation with smaller chunks: built, switched to, rolled back, dropped, while questions go on."""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.demo.stage import wait_until
from headwater.generations.catching_up import CatchUp
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from schemas.topics import PER_GENERATION, Topic
from tests.support.asker import Asker, asking
from tests.support.library import Library
from tests.support.lifecycle import ends, feeding, headwater, listed, states, succeed, vectors_of, wait_until_built
from tests.support.platform import Platform

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SECOND = "g2"
SMALLER = "structure-1,max_tokens=64,max_context_tokens=24,min_tokens=16"
QUESTION = "night ferry"
# The audit of an added generation, in a hurry.
HURRIED = {
    "HEADWATER_AUDIT__DELAY_S": "0",
    "HEADWATER_AUDIT__INTERVAL_S": "1",
    "HEADWATER_AUDIT__SHARE": "1",
    "HEADWATER_AUDIT__SWEEP_LEEWAY_S": "0.1",
}
# What sources write: documents, and how far each has been read.
SUBMITTED = (Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL, Topic.CONNECTORS_CURSORS)
# What stages read, and what they say when rows are written.
MADE = (Topic.DOCUMENTS_CHANGED, Topic.DOCUMENTS_PROGRESSED, *sorted(PER_GENERATION))
LONG_BUDGET_S = 100.0
SHORT = "# Ferry\n\nThe night ferry leaves at nine."
LONG = "\n\n".join(
    f"## Rule {number}\n\n"
    + " ".join(f"Part {part} of rule {number} says how ferry rope {part} is stowed." for part in range(12))
    for number in range(4)
)


def compared(platform: Platform, *options: str) -> dict[str, Any]:
    """Compare both generations."""
    found: dict[str, Any] = json.loads(succeed(platform, "generations", "compare", "g1", SECOND, *options, "--json"))
    return found


def judged_collection(folder: Path) -> Path:
    """Two documents and the question that only one of them answers, as BEIR lays them out."""
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": "1", "title": "Wings", "text": "The lift of a thin wing grows with its angle to the stream."},
        {"_id": "2", "title": "Nozzles", "text": "Heat is lost through the wall of a nozzle."},
    ]
    queries = [{"_id": "a", "text": "lift of a wing"}]
    for name, lines in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t1\n")
    return folder


def compare_both_ways(platform: Platform, folder: Path) -> None:
    """See that both comparisons say all that they promise: quality, overlap, latency, size."""
    real = compared(platform, "--queries", "5")
    # Five questions in a row were the one that is asked all the time, and it is replayed once.
    assert (real["questions"], real["judged"], real["overlap_at_10"]) == (1, 0, 1.0)
    assert [(side["generation"], side["empty"], side["ndcg_at_10"]) for side in real["sides"]] == [
        ("g1", 0, None),
        (SECOND, 0, None),
    ]
    judged = compared(platform, "--beir", str(judged_collection(folder)))
    assert (judged["questions"], judged["judged"]) == (1, 1)
    assert [side["ndcg_at_10"] for side in judged["sides"]] == [1.0, 1.0]
    for found in (real, judged):
        assert all(0 < side["latency_p50_ms"] <= side["latency_p95_ms"] for side in found["sides"])
        first, second = (found["sizes"][name] for name in ("g1", SECOND))
        assert 0 < first["words_rows"] < second["words_rows"]
        assert 0 < first["vectors_rows"] < second["vectors_rows"]
        assert min(*first.values(), *second.values()) > 0


async def lose_words(platform: Platform, document: str, generation: str) -> None:
    """Remove a document's rows behind everybody's back."""
    settings, name = platform.settings, GenerationName(generation)
    async with ElasticsearchKeywordIndex.open(settings.elasticsearch, name) as keywords:
        tenant = TenantId(settings.api.default_tenant)
        assert await keywords.remove_older(tenant, DocumentId(document), than=Revision(2**62))


def mended(platform: Platform, library: Library, document: str) -> None:
    """Lose rows of the generation that serves; see its audit find them, say so, and have them made again."""
    before = library.state(document)["revision"]
    asyncio.run(lose_words(platform, document, SECOND))
    wait_until("the document to be run again", lambda: library.state(document)["revision"] > before)
    wait_until("its words to be found again", lambda: "short" in library.found(QUESTION, mode="keyword"))
    mended_at = datetime.now(UTC)

    def said() -> Any:
        found = platform.admin.call("GET", "/consistency")
        return found if found["clean"] and datetime.fromisoformat(found["started_at"]) > mended_at else None

    report, _ = wait_until("a clean pass", said)
    assert report["generation"] == SECOND


def roll_back_at_once(platform: Platform, asker: Asker) -> None:
    """Go back; say (`pytest -rP`) when the generation before answered, the command's start included.

    Nothing is waited for, neither for what may be on its way nor for the staleness budget, and nothing is made again.
    """
    fed = CatchUp(settings=platform.settings, generation=GenerationName("g1"), patience_s=60.0)
    asyncio.run(fed.prove())
    before, began = ends(platform, MADE), time.monotonic()
    long = {"HEADWATER_HEADS__STALENESS_BUDGET_S": f"{LONG_BUDGET_S:g}"}
    succeed(platform, "generations", "rollback", "--patience", "0", **long)
    asker.until_answered_by("g1")
    took_s = time.monotonic() - began
    assert took_s < LONG_BUDGET_S
    assert ends(platform, MADE) == before
    sys.stdout.write(f"rolled back after {took_s:.2f} s\n")


def test_a_generation_comes_serves_and_goes_while_questions_are_answered(
    platform: Platform, library: Library, tmp_path: Path
) -> None:
    short, long = library.put("short", SHORT), library.put("long", LONG)
    for each in (short, long):
        library.settled(each)
    first = library.state(short["document_id"])["revision"]
    assert library.found(QUESTION)  # the first question opens what the others use

    submitted = ends(platform, SUBMITTED)
    with asking(library, QUESTION) as asker:
        succeed(platform, "generations", "create", SECOND, "--policy", SMALLER)
        refused = headwater(platform, "generations", "switch", SECOND, "--patience", "0")
        assert (refused.returncode, "g2 has not caught up" in refused.stderr) == (1, True), refused.stderr
        with feeding(platform, SECOND, **HURRIED):
            wait_until_built(platform, SECOND)
            assert ends(platform, SUBMITTED) == submitted, "it is built from the log: no source is read again"
            assert set(asker.generations) == {"g1"}
            assert vectors_of(library, short["document_id"], SECOND) == (1, 0, 1), "cut as before: not embedded again"
            rows = {name: vectors_of(library, long["document_id"], name)[0] for name in ("g1", SECOND)}
            assert rows[SECOND] > rows["g1"]
            compare_both_ways(platform, tmp_path)
            assert library.state(short["document_id"])["revision"] == first, "what is being built is nothing to repair"

            succeed(platform, "generations", "switch", SECOND)
            asker.until_answered_by(SECOND)
            assert states(platform) == {"g1": "fed", SECOND: "serving"}
            library.settled(library.put("edit", "# Tug\n\nA tugboat was hired while the second generation served."))
            mended(platform, library, short["document_id"])

            roll_back_at_once(platform, asker)
            # By meaning the other documents are found as well, after it.
            wait_until(
                "the edit in the generation before",
                lambda: [hit["external_id"] for hit in library.search("tugboat")][:1] == ["edit"],
            )
        serving = headwater(platform, "generations", "drop", "g1", "--force")
        assert (serving.returncode, "g1 serves" in serving.stderr) == (1, True)
        succeed(platform, "generations", "drop", SECOND, "--force")
    asker.check()
    assert listed(platform)[SECOND]["state"] == "retired"
    topics = asyncio.run(KafkaAdmin(platform.settings.kafka).topic_names())
    assert not [
        name for name in topics if name.startswith(platform.settings.kafka.topic_prefix) and name.endswith(".g2")
    ]
