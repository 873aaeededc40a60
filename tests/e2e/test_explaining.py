"""Why is it not found? On the real product: parked, refused, deleted, hidden, below the depth, found."""

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

    library.put("menu", GATE, source_version=4)  # older than what was seen: admission refuses it

    def refusal() -> Any:
        verdict = explained(library, menu["document_id"])["verdict"]
        return verdict if verdict["cause"] == "refused" else None

    refused_again, _ = wait_until("the refusal to be recorded", refusal)
    assert refused_again["reason"] == "stale"

    broken = library.upload("plan", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nthis was a PDF once\n", name="plan.pdf")
    library.settled(broken, status="failed")
    parked = explained(library, broken["document_id"])
    assert (parked["verdict"]["cause"], parked["verdict"]["stage"]) == ("parked", "prepare")
    assert parked["verdict"]["answering"], "the older revision still answers"
