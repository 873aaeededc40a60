"""GET /v1/consistency on fakes."""

from dataclasses import replace
from datetime import timedelta

from headwater.ports.consistency import (
    ConsistencyReport,
    Difference,
    Finding,
    Projection,
    Repairs,
    Tally,
)
from schemas.events.base import Position
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from tests.support.api import ACME, FakeApi

FINDING = Finding(
    tenant_id=ACME,
    document_id=DocumentId("d" * 32),
    projection=Projection.VECTORS,
    difference=Difference.EXTRA,
    revision=Revision(9),
    stray=(Revision(7),),
)


def report(api: FakeApi) -> ConsistencyReport:
    return ConsistencyReport(
        tenant_id=ACME,
        generation=GenerationName("g1"),
        started_at=api.clock(),
        finished_at=api.clock() + timedelta(seconds=5),
        positions=(Position(topic="rag.documents.changed", partition=0, offset=17),),
        documents=4,
        under_way=1,
        parked=0,
        projections={
            projection: Tally(documents=3, rows=9, fingerprint="a", expected="b") for projection in Projection
        },
        counts={Projection.VECTORS: {Difference.EXTRA: 1}},
        findings=(FINDING,),
        repairs=Repairs(removed=1),
        clean_at=None,
    )


async def test_administrators_see_what_the_last_pass_found_about_their_tenant(api: FakeApi) -> None:
    theirs = replace(report(api), tenant_id=TenantId("other"), documents=1_000)
    await api.runtime.consistency.save([report(api), theirs])
    shown = (await api.client.get("/v1/consistency", headers=await api.key())).json()
    assert (shown["clean"], shown["documents"], shown["under_way"], shown["clean_at"]) == (False, 4, 1, None)
    assert shown["positions"] == [{"topic": "rag.documents.changed", "partition": 0, "offset": 17}]
    assert shown["stores"]["vectors"] == {"documents": 3, "rows": 9, "fingerprint": "a", "expected": "b"}
    assert shown["differences"] == {"vectors": {"extra": 1}}
    assert shown["findings"] == [{"document_id": "d" * 32, "store": "vectors", "difference": "extra", "revision": 9}]
    assert shown["repairs"] == {"rerun": 0, "removed": 1, "refused": 0}


async def test_before_the_first_pass_of_a_generation_there_is_nothing_to_show(api: FakeApi) -> None:
    await api.runtime.consistency.save([report(api)])
    asked = await api.client.get("/v1/consistency", headers=await api.key(), params={"generation": "g2"})
    assert (asked.status_code, asked.json()["code"]) == (404, "not_found")
    assert "headwater verify" in asked.json()["detail"]


async def test_others_are_refused(api: FakeApi) -> None:
    await api.runtime.consistency.save([report(api)])
    refused = await api.client.get("/v1/consistency", headers=await api.key("eve", scopes=("read", "write")))
    assert refused.status_code == 403
