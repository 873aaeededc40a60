"""kill -9 of the auditor in the middle of its repairs, again and again: what was lost comes back all the same."""

import asyncio
import os
from contextlib import ExitStack
from functools import partial

import pytest

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.milvus import MilvusVectorIndex
from headwater.demo.stage import wait_until
from schemas.events.base import Store
from schemas.ids import DocumentId, Revision, TenantId
from streams.audit.agent import NICE
from tests.chaos.test_kills import AUDIT, HURRIED
from tests.support.library import open_library
from tests.support.platform import Platform
from tests.support.truth import Truth

DOCUMENTS = 8
LOSSES = (Store.KEYWORDS, Store.VECTORS)
LEAST_URGENT = 19  # setpriority(2)
SETTLE_S = 180.0  # on a machine that many share

pytestmark = [pytest.mark.real, pytest.mark.timeout(60 + 3 * SETTLE_S)]


async def lose(platform: Platform, store: Store, documents: list[str]) -> None:
    """Remove all rows of these documents behind everybody's back."""
    settings, tenant = platform.settings, TenantId(platform.settings.api.default_tenant)
    async with (
        MilvusVectorIndex.open(settings.milvus, settings.generation) as vectors,
        ElasticsearchKeywordIndex.open(settings.elasticsearch, settings.generation) as keywords,
    ):
        index = vectors if store is Store.VECTORS else keywords
        removed = [await index.remove_older(tenant, DocumentId(each), than=Revision(2**62)) for each in documents]
    assert any(removed)


def yields(pid: int) -> bool:
    ours, its = (os.getpriority(os.PRIO_PROCESS, each) for each in (0, pid))
    return its == min(ours + NICE, LEAST_URGENT)


def test_an_auditor_that_is_killed_in_its_repairs_mends_what_was_lost(platform: Platform) -> None:
    library = open_library(platform)
    contents: dict[str, str | None] = {
        f"page-{page}": f"# Page {page}\n\nThe lamp of page {page} is lit at dusk." for page in range(DOCUMENTS)
    }
    ids = [library.put(name, content or "")["document_id"] for name, content in contents.items()]
    truth = Truth(platform=platform, source=library.name, content=contents)
    truth.await_settled(patience_s=SETTLE_S)

    def revisions() -> list[int]:
        return [library.state(each)["revision"] for each in ids]

    def repaired_since(revision: int) -> bool:
        return max(revisions()) > revision

    with ExitStack() as auditors:
        for store in LOSSES:
            lost_at = max(revisions())
            asyncio.run(lose(platform, store, ids))
            auditor = auditors.enter_context(platform.child(*AUDIT, log="audit-killed", **HURRIED))
            wait_until("a repair to begin", partial(repaired_since, lost_at), patience_s=SETTLE_S)
            # It may only have started: the platform's own auditor repairs as well.
            wait_until("it to take what others leave", partial(yields, auditor.pid), patience_s=SETTLE_S)
            auditor.kill()
        auditors.enter_context(platform.child(*AUDIT, log="audit-killed", **HURRIED))
        truth.await_settled(patience_s=SETTLE_S)
