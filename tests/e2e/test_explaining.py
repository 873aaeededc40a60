"""Why is it not found? On the real product: what the question does to a document, and what happens to it."""

from typing import Any

import pytest

from headwater.cli.api_client import ApiProblemError
from headwater.demo.stage import wait_until
from tests.support.library import READER, Library

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

QUESTION = "When does the tide gate close?"
GATE = "# Gate\n\nThe tide gate closes two hours before high water."


def explained(library: Library, document: str, *, user: str = READER, **body: Any) -> Any:
    """Ask as an administrator why a user does not find a document."""
    asked = {"query": QUESTION, "as_user": user, "knowledge_bases": [library.name], **body}
    return library.platform.admin.call("POST", f"/documents/{document}/explain", json=asked)


def test_the_question_is_asked_again_on_the_real_product(library: Library) -> None:
    documents = [library.put(name, GATE)["document_id"] for name in ("one", "two", "three")]
    older = library.settled(library.put("one", GATE))["revision"]
    library.settled(library.put("one", GATE + " Mind the gap."))
    for name in ("two", "three"):
        library.settled(library.put(name, GATE))

    first_of_three = [explained(library, each, kind="search", top_k=1)["verdict"]["cause"] for each in documents]
    assert sorted(first_of_three) == ["found", "lost_in_fusion", "lost_in_fusion"]
    in_french = explained(library, documents[1], filters={"field": "language", "equals": "fr"})["verdict"]
    assert (in_french["cause"], [miss["path"] for miss in in_french["misses"]]) == ("filtered_out", ["filters"])
    no_words = explained(library, documents[1], query="xylophone", mode="keyword")["verdict"]
    assert (no_words["cause"], [leg["score"] for leg in no_words["legs"]]) == ("below_depth", [None])
    assert explained(library, documents[0], revision=older)["verdict"]["cause"] == "superseded"

    def of_nothing() -> str | None:
        cause: str = explained(library, "0" * 32)["verdict"]["cause"]
        return None if cause == "waiting" else cause

    unknown, _ = wait_until("admission to have nothing to do", of_nothing)
    assert unknown == "never_submitted"


def test_the_first_cause_is_named_on_the_real_product(library: Library) -> None:
    gate, menu, plan = (library.put(name, GATE, source_version=5) for name in ("gate", "menu", "plan"))
    for accepted in (gate, menu, plan):
        library.settled(accepted)
    found = explained(library, gate["document_id"])
    assert found["verdict"]["cause"] == "found", found
    assert {leg["store"] for leg in found["verdict"]["legs"]} == {"vectors", "keywords"}

    after = {"after": library.set_readers("gate", "user:somebody-else")["token"]}
    hidden = explained(library, gate["document_id"], **after)["verdict"]
    assert (hidden["cause"], hidden["unmatched_clauses"]) == ("hidden", [0])
    with pytest.raises(ApiProblemError) as refused:
        library.platform.acting_as(READER).call(
            "POST", f"/documents/{gate['document_id']}/explain", json={"query": QUESTION}
        )
    assert refused.value.status == 404

    after = {"after": library.delete("menu")["token"]}
    assert explained(library, menu["document_id"], **after)["verdict"]["cause"] == "deleted"

    for name in ("menu", "plan"):
        library.put(name, GATE, source_version=4)  # older than what was seen: admission refuses it

    def refusal() -> Any:
        verdict = explained(library, menu["document_id"])["verdict"]
        return verdict if verdict["cause"] == "refused" else None

    refused_again, _ = wait_until("the refusal to be recorded", refusal)
    assert refused_again["reason"] == "stale"
    beside, _ = wait_until(
        "the refusal of an edit to be recorded", lambda: explained(library, plan["document_id"])["refused_since"]
    )
    assert beside["reason"] == "stale"

    broken = library.upload("plan", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nthis was a PDF once\n", name="plan.pdf")
    library.settled(broken, status="failed")
    parked = explained(library, broken["document_id"])
    assert (parked["verdict"]["cause"], parked["verdict"]["stage"]) == ("parked", "prepare")
    assert parked["verdict"]["answering"], "the older revision still answers"
