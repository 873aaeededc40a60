"""A document's life through the API: written, found, answered from, edited, hidden, deleted, parked, explained."""

from pathlib import Path

import pytest

from headwater.demo.stage import wait_until
from tests.support.library import Library

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PDF = Path("headwater/demo/handbook/general/storm-plan.pdf")
BROKEN_PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nthis was a PDF once\n"
LEAVE = "# Holidays\n\nEvery employee has thirty days of paid holiday in a year. Apply two weeks before the first day."
PARKING = "# Parking\n\nThe garage below the office has forty places. Bicycles stand in the yard."


def sections(count: int) -> str:
    """Sections long enough to be chunks of their own."""
    return "\n\n".join(
        f"## Regulation {number}\n\n" + f"Regulation {number} says how the valve number {number} is inspected. " * 25
        for number in range(count)
    )


def test_a_text_is_found_by_words_and_by_meaning_and_answers_with_citations(library: Library) -> None:
    leave = library.put("leave", LEAVE)
    library.settled(library.put("parking", PARKING))
    state = library.settled(leave)

    assert library.search("paid holiday", mode="keyword")[0]["external_id"] == "leave"
    assert library.search("How much vacation do I get?", mode="vector")[0]["external_id"] == "leave"
    hit = library.search("holiday")[0]
    assert (hit["document_id"], hit["revision"]) == (leave["document_id"], state["revision"])

    answer = library.ask("How many days of paid holiday does every employee have?")
    assert "thirty days" in answer["answer"]
    cited = answer["sources"][0]
    assert f"[{cited['number']}]" in answer["answer"]
    assert (cited["number"], cited["document_id"], cited["revision"]) == (1, leave["document_id"], state["revision"])
    assert "thirty days" in cited["snippet"]


def test_a_file_is_known_by_its_content_and_cited_by_its_page(library: Library) -> None:
    state = library.settled(library.upload("storm", PDF.read_bytes(), name="download.bin"))
    assert state["media_type"] == "application/pdf"
    assert library.search("storm gates at high water", mode="keyword")[0]["page"] >= 1


def test_a_write_can_be_read_at_once_with_its_token(library: Library) -> None:
    for number in range(3):
        accepted = library.put("note", f"# Note\n\nEdition {number}.", title=f"Edition {number}")
        head = library.state(accepted["document_id"], after=accepted["token"])
        assert head, "a document that was accepted is not there after its token"
        assert head["title"] in {f"Edition {number}", None}, "an older state is shown after a newer one's token"


def test_an_edit_replaces_what_is_found_and_embeds_only_what_changed(library: Library) -> None:
    before = library.settled(library.put("rules", sections(8)))
    edited = sections(8).replace("the valve number 5", "the turbine number 5")
    after = library.reported(library.put("rules", edited))

    assert after["revision"] > before["revision"]
    assert {hit["revision"] for hit in library.search("valve inspected", top_k=50)} == {after["revision"]}
    assert any("turbine" in hit["text"] for hit in library.search("turbine", mode="keyword"))
    vectors = after["stores"]["vectors"]
    assert 0 < vectors["embedded"] < vectors["rows"]
    assert vectors["embedded"] + vectors["reused"] == vectors["rows"]


def test_older_rows_leave_both_stores_after_the_grace(library: Library) -> None:
    library.settled(library.put("rules", sections(6)))
    after = library.reported(library.put("rules", sections(2)))
    only = {after["revision"]: after["stores"]["vectors"]["rows"]}

    wait_until(
        "the older revision's rows to be removed",
        lambda: all(rows == only for rows in library.rows(after["document_id"]).values()),
    )


def test_a_revocation_holds_from_its_token_on(library: Library) -> None:
    accepted = library.put("bonus", "# Bonus\n\nThe harbour bonus is two hundred crowns.")
    library.settled(accepted)
    assert library.found("harbour bonus") == {"bonus"}
    answer = library.ask("How much is the harbour bonus?")
    assert answer["sources"]

    token = library.set_readers("bonus", "user:somebody-else")["token"]
    for mode in ("hybrid", "vector", "keyword"):
        assert library.found("harbour bonus", mode=mode, after=token) == set()
    refused = library.ask("How much is the harbour bonus?", after=token)
    assert (refused["answer"], refused["sources"], refused["passages"]) == (None, [], [])
    assert library.state(accepted["document_id"], after=token) == {}

    again = library.set_readers("bonus", "everyone")
    library.settled(again)
    assert library.found("harbour bonus") == {"bonus"}


def test_a_group_opens_a_document_to_its_members_only(library: Library) -> None:
    platform, group = library.platform, f"{library.name}:crew"
    platform.directory(
        ("users/mate", {"name": "mate"}), (f"groups/{group}", {"name": "crew", "members": ["user:mate"]})
    )
    accepted = library.put("rota", "# Rota\n\nThe night watch begins at ten.", readers=f"group:{group}")
    library.settled(accepted, user="mate")
    assert library.found("night watch", user="mate") == {"rota"}
    assert library.found("night watch") == set()

    platform.directory((f"groups/{group}", {"name": "crew", "members": []}))
    assert library.found("night watch", user="mate") == set()


def test_a_deletion_hides_at_once_and_empties_both_stores(library: Library) -> None:
    accepted = library.put("menu", "# Menu\n\nOn Friday the canteen serves herring.")
    library.settled(accepted)
    token = library.delete("menu")["token"]

    assert library.found("canteen herring", after=token) == set()
    assert library.state(accepted["document_id"], after=token) == {}
    wait_until(
        "both stores to be without rows",
        lambda: not any(library.rows(accepted["document_id"]).values()),
    )


def test_a_broken_file_is_parked_with_its_reason_and_the_older_content_stays(library: Library) -> None:
    library.settled(library.put("plan", "# Plan\n\nThe evacuation assembles at the flagpole."))
    broken = library.upload("plan", BROKEN_PDF, name="plan.pdf")
    state = library.settled(broken, status="failed")

    assert state["failure"]["stage"] == "prepare"
    assert state["failure"]["error"]
    assert state["failure"]["reason"]
    letters, _ = wait_until("the dead letter to be listed", lambda: library.parked(broken["document_id"]))
    assert [(letter["stage"], letter["revision"]) for letter in letters] == [("prepare", state["revision"])]
    assert library.found("evacuation flagpole") == {"plan"}

    library.settled(library.put("plan", "# Plan\n\nThe evacuation assembles at the lighthouse."))
    assert "lighthouse" in library.search("evacuation")[0]["text"]
    replayed = library.replay(broken["document_id"])
    assert [result["verdict"] for result in replayed["results"]] == ["superseded"]
    wait_until("the letter to be superseded", lambda: library.letter_state(broken["document_id"]) == "superseded")


def test_what_was_parked_runs_again_once_its_cause_is_mended(library: Library) -> None:
    text = b"# Pilots\n\nThe harbour pilot boards at the outer buoy."
    accepted = library.submit_unstored("pilots", text)
    state = library.settled(accepted, status="failed")
    assert state["failure"]["error"] == "BlobMissingError"
    wait_until("the dead letter to be listed", lambda: library.parked(accepted["document_id"]))

    library.store(text)
    looked = library.replay(accepted["document_id"], dry_run=True)
    assert [result["verdict"] for result in looked["results"]] == ["rerun"]
    replayed = library.replay(accepted["document_id"])
    assert [(each["verdict"], each["ended"]) for each in replayed["results"]] == [("rerun", "done")], replayed
    assert library.found("harbour pilot") == {"pilots"}
    after = library.state(accepted["document_id"])
    assert (after["status"], after["failure"]) == ("searchable", None)
    assert after["revision"] > state["revision"]
    wait_until("the letter to be replayed", lambda: library.letter_state(accepted["document_id"]) == "replayed")


def test_the_lineage_leads_from_a_source_to_its_events(library: Library) -> None:
    library.settled(library.put("leave", LEAVE))
    source = library.ask("How many days of paid holiday does every employee have?")["sources"][0]

    def recorded() -> dict[str, dict[str, object]] | None:
        trail = library.platform.acting_as("reader").call("GET", f"/documents/{source['document_id']}/lineage")
        steps = {step["step"]: step for step in trail["steps"] if step["revision"] == source["revision"]}
        return steps if steps.keys() == {"log", "vectors", "keywords"} else None

    steps, _ = wait_until("every step to be recorded", recorded)
    vectors = steps["vectors"]
    assert vectors["submitted"] == steps["log"]["submitted"] == steps["keywords"]["submitted"]
    assert isinstance(vectors["changed"], dict)
    assert str(vectors["changed"]["topic"]).endswith("rag.documents.changed")
    assert vectors["parser"]
    assert vectors["model"]
