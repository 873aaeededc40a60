"""Admission against the real broker: what reaches the log, and what does not."""


import pytest

from schemas.events.base import Lane
from schemas.events.documents import DocumentOp
from tests.support.admission import Installation
from tests.support.heads import delete, put, state

pytestmark = pytest.mark.real


async def test_submissions_become_the_log(own: Installation) -> None:
    await own.admission()
    await own.settle_in()
    positions = await own.submit(put(source_version=1), put(state("Travel"), "travel.md", lane=Lane.BACKFILL))
    await own.settled(*positions)
    positions = await own.submit(put(source_version=1), delete("travel.md"))
    await own.settled(*positions)

    log = {(each.external_id, each.op): each for each in await own.changes()}

    assert log.keys() == {
        ("leave.md", DocumentOp.UPSERTED),
        ("travel.md", DocumentOp.UPSERTED),
        ("travel.md", DocumentOp.DELETED),
    }
    assert log["travel.md", DocumentOp.UPSERTED].lane is Lane.BACKFILL
    outcomes = sorted((each.action, each.outcome) for each in await own.audit() if each.action.startswith("documents"))
    assert outcomes == [
        ("documents.delete", "accepted"),
        ("documents.put", "accepted"),
        ("documents.put", "accepted"),
        ("documents.put", "unchanged"),
    ]
