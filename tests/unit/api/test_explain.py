"""Why is it not found? Each cause made where it happens, alone and in pairs, and the evidence that comes with it."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from headwater.generations.records import first_generation
from query_api.explain.verdicts import Cause
from schemas.events.base import Position, Store
from schemas.events.directory import DirectoryKind
from schemas.events.documents import DocumentOp
from schemas.events.parked import EventResolved, LetterState
from schemas.events.queries import QueryExecuted
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision, TenantId
from tests.support import mishaps
from tests.support.answering import AnsweringApi
from tests.support.golden import golden
from tests.support.mishaps import MISHAPS, Case, Mishap, verdict_of

ACME = TenantId("acme")
LOST = {"lane": "live", "partition": 3, "found_at": "2026-03-02T12:00:00Z"}


async def test_each_cause_alone_and_in_pairs(replica: AnsweringApi) -> None:
    wrong: list[str] = []
    order = list(MISHAPS)
    for number, happened in enumerate([*((each,) for each in order), *combinations(order, 2)]):
        case = await Case.open(replica, TenantId(f"tenant-{number}"))
        replica.api.backlogs.waiting.clear()
        cause = (await verdict_of(case, *reversed(happened)))["verdict"]["cause"]
        if cause != MISHAPS[happened[0]]:
            wrong.append(f"{' + '.join(each.__name__ for each in happened)}: {cause}")
    assert "\n".join(wrong) == ""


class TestEvidence:
    """What comes with a verdict."""

    async def test_a_document_that_is_found_is_told_with_rank_and_legs(self, case: Case) -> None:
        told = await verdict_of(case)
        assert (told["verdict"]["rank"], told["verdict"]["revision"], told["revision"]) == (1, 2, 2)
        assert [(leg["store"], leg["rank"]) for leg in told["verdict"]["legs"]] == [("vectors", 1), ("keywords", 1)]
        assert told["meta"]["generation"] == "g1"

    async def test_a_refused_edit_of_a_document_that_is_there_is_told_beside_the_verdict(self, case: Case) -> None:
        await mishaps.refuse_newest(case)
        told = await verdict_of(case)
        assert (told["verdict"]["cause"], told["revision"]) == ("found", 2), "what was admitted before is found"
        assert (told["refused_since"]["reason"], told["refused_since"]["actor"]) == ("quota_documents", "user:ada")
        case.headers = await case.replica.api.key("eve", scopes=("read",), tenant=case.tenant)
        assert (await verdict_of(case))["refused_since"] is None, "who tried to write what is no reader's business"

    async def test_a_refusal_that_a_later_state_has_overtaken_is_not_told(self, case: Case) -> None:
        await mishaps.refuse_newest(case)
        admitted_ms = 1_900_000_000_000  # long after the refusal
        case.change_head(revision=admitted_ms)
        assert (await verdict_of(case))["refused_since"] is None
        await mishaps.never_submitted(case)
        told = await verdict_of(case)
        assert (told["verdict"]["cause"], told["refused_since"]) == ("refused", None)

    async def test_a_document_that_may_have_been_lost_unread_is_told_so_with_the_remedy(self, case: Case) -> None:
        told = await verdict_of(case, mishaps.expired_unread)
        assert told["verdict"] == {"cause": "never_submitted", "expired_unread": [LOST]}
        assert (told["expired_unread"], "found at 2026-03-02T12:00:00" in told["detail"]) == ([], True)
        assert "headwater sources sync NAME --mode full" in told["remedy"]

    @pytest.mark.parametrize("other", [each for each in MISHAPS if MISHAPS[each] is not Cause.NEVER_SUBMITTED])
    async def test_what_expired_unread_is_told_beside_every_other_verdict(self, case: Case, other: Mishap) -> None:
        await mishaps.lose_unread(case)
        told = await verdict_of(case, other)
        assert (told["verdict"]["cause"], told["expired_unread"]) == (MISHAPS[other], [LOST])

    @pytest.mark.parametrize(
        ("place", "lane"),
        [
            ({"topic": "rag.documents.backfill"}, "backfill"),
            ({"topic": "rag.documents.submitted", "partition": 4}, None),  # other documents lie there
            ({"topic": "rag.directory.submitted"}, None),
        ],
    )
    async def test_only_where_its_own_submissions_lie(
        self, case: Case, place: dict[str, Any], lane: str | None
    ) -> None:
        await mishaps.lose_unread(case, **place)
        told = await verdict_of(case, mishaps.never_submitted)
        assert [each["lane"] for each in told["verdict"]["expired_unread"]] == ([] if lane is None else [lane])

    @pytest.mark.parametrize(("admitted_after_ms", "told_of"), [(-1, [LOST]), (+1, [])])
    async def test_what_was_admitted_since_was_not_lost(
        self, case: Case, admitted_after_ms: int, told_of: list[Any]
    ) -> None:
        await mishaps.lose_unread(case)
        case.change_head(revision=int(mishaps.LOST_AT.timestamp() * 1_000) + admitted_after_ms)
        assert (await verdict_of(case))["expired_unread"] == told_of

    async def test_a_letter_that_was_dealt_with_counts_only_for_a_document_that_is_not_there(self, case: Case) -> None:
        letter = await mishaps.lose_unread(case)
        dealt_with = replace(golden(EventResolved, "discarded"), letter=letter, state=LetterState.DISCARDED)
        await case.replica.api.documents.record_resolved([dealt_with])
        assert (await verdict_of(case))["expired_unread"] == []
        assert (await verdict_of(case, mishaps.never_submitted))["verdict"]["expired_unread"] == [LOST]

    async def test_what_admission_has_still_to_find_gone_is_told_too(self, case: Case) -> None:
        case.replica.api.backlogs.expired["admit"] = 4
        told = await verdict_of(case, mishaps.never_submitted)
        assert [(each["partition"], each["found_at"]) for each in told["verdict"]["expired_unread"]] == [(3, None)]

    async def test_a_reader_is_not_told_what_expired(self, case: Case) -> None:
        await mishaps.lose_unread(case)
        case.headers = await case.replica.api.key("eve", scopes=("read",), tenant=case.tenant)
        assert (await verdict_of(case))["expired_unread"] == []

    async def test_waiting_tells_stage_partition_and_number(self, case: Case) -> None:
        told = await verdict_of(case, mishaps.waiting)
        assert told["verdict"]["places"][0] == {"stage": "prepare", "store": "keywords", "partition": 3, "behind": 17}
        assert "waits at prepare, behind at most 17 events of partition 3" in told["detail"]

    async def test_only_the_asked_leg_counts(self, case: Case) -> None:
        replica = case.replica
        complete = dict.fromkeys(replica.api.heads.documents[case.tenant, case.document].complete, 2)
        case.change_head(complete={key: revision for key, revision in complete.items() if key[1] is Store.KEYWORDS})
        case.body |= {"mode": "keyword"}
        assert (await verdict_of(case))["verdict"]["cause"] == "found"
        case.body |= {"mode": "vector"}
        replica.api.backlogs.waiting["embed"] = 5
        places = (await verdict_of(case))["verdict"]["places"]
        assert [(place["stage"], place["behind"]) for place in places] == [("embed", 5)]

    async def test_below_the_depth_the_rank_is_measured_by_a_deeper_search(self, case: Case) -> None:
        told = await verdict_of(case, mishaps.below_depth)
        by_store = {leg["store"]: leg for leg in told["verdict"]["legs"]}
        assert by_store["keywords"]["rank"] == 13
        assert by_store["keywords"]["depth"] == 2
        assert 0 < by_store["keywords"]["score"] < by_store["keywords"]["cutoff_score"]
        assert by_store["vectors"]["passage"] == f"{case.document}#2#0"

    async def test_words_that_do_not_occur_have_no_score(self, case: Case) -> None:
        case.body = {"query": "submarine", "mode": "keyword"}
        told = await verdict_of(case)
        (leg,) = told["verdict"]["legs"]
        assert (told["verdict"]["cause"], leg["score"], leg["rank"]) == ("below_depth", None, None)
        assert "no passage of it matches" in told["detail"]

    async def test_the_filter_that_excludes_is_named_with_what_the_document_has(self, case: Case) -> None:
        case.body["filters"] = {
            "all_of": [
                {"none_of": [{"field": "source", "equals": "files"}]},
                {"any_of": [{"field": "language", "equals": "de"}, {"field": "language", "equals": "fr"}]},
                {"field": "media_type", "equals": "text/markdown"},
            ]
        }
        case.body["knowledge_bases"] = ["other"]
        misses = (await verdict_of(case))["verdict"]["misses"]
        assert [(miss["path"], miss["field"], miss["has"]) for miss in misses] == [
            ("knowledge_bases", "knowledge_base", ["handbook"]),
            ("filters.all_of[0].none_of[0]", "source", ["files"]),
            ("filters.all_of[1].any_of[0]", "language", ["en"]),
            ("filters.all_of[1].any_of[1]", "language", ["en"]),
        ]

    async def test_a_search_is_explained_as_a_search(self, case: Case) -> None:
        await mishaps.lost_in_fusion(case)
        case.body |= {"kind": "search", "top_k": 12}
        told = await verdict_of(case)
        assert (told["verdict"]["cause"], told["verdict"]["rank"], told["verdict"]["admitted"]) == (
            "lost_in_fusion",
            13,
            12,
        )
        case.body["top_k"] = 13
        assert (await verdict_of(case))["verdict"]["cause"] == "found"

    async def test_a_deletion_with_its_knowledge_base_is_told_as_such(self, case: Case) -> None:
        await mishaps.deleted(case)
        position = Position(topic="rag.directory.changed", partition=0, offset=4)
        await case.record(op=DocumentOp.DELETED, submitted=position)
        told = await verdict_of(case)
        assert (told["verdict"]["cause"], told["verdict"]["knowledge_base"]) == ("expired", "handbook")

    async def test_what_was_away_is_said(self, case: Case) -> None:
        case.replica.vectors.away = True
        told = await verdict_of(case)
        assert (told["verdict"]["cause"], told["degraded"]) == ("found", ["keywords_only"])

    async def test_rows_that_are_being_rebuilt_are_away_and_not_missing(self, case: Case) -> None:
        await mishaps.below_depth(case)  # by words, too
        await case.replica.vectors.remove_older(case.tenant, case.document, than=Revision(3))
        assert (await verdict_of(case))["verdict"]["cause"] == "rows_missing"
        marked = replace(first_generation(GenerationName("g1")), rebuilding=(Store.VECTORS,))
        await case.replica.api.put(DirectoryKind.GENERATION, "g1", marked, tenant=SYSTEM_TENANT)
        told = await verdict_of(case)
        assert (told["verdict"]["cause"], told["degraded"]) == ("below_depth", ["keywords_only"])

    @pytest.mark.parametrize("away", ["backlogs", "stores"])
    async def test_without_evidence_there_is_no_verdict(self, case: Case, away: str) -> None:
        if away == "backlogs":
            await mishaps.waiting(case)
            case.replica.api.backlogs.away = True
        else:
            case.replica.vectors.away = case.replica.keywords.away = True
        response = await case.explain()
        assert (response.status_code, response.json()["code"]) == (503, "dependency_unavailable")

    async def test_it_is_no_query_of_anybody(self, case: Case) -> None:
        await verdict_of(case)
        assert case.replica.api.log.sent(QueryExecuted) == []

    async def test_a_document_that_never_came_is_named_by_its_address(self, case: Case) -> None:
        path = "/v1/documents/wiki/bmV2ZXIubWQ/explain"
        response = await case.replica.api.client.post(path, json=case.body, headers=dict(case.headers))
        assert response.json()["verdict"] == {"cause": "never_submitted", "expired_unread": []}

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"query": " "}, "query"),
            ({"query": "x", "revision": 3}, "revision"),
            ({"query": "x", "as_user": "nobody"}, "as_user"),
            ({"query": "x", "profile": "none"}, "profile"),
            ({"query": "x", "kind": "guess"}, "kind"),
        ],
    )
    async def test_bad_input_names_the_field(self, case: Case, body: dict[str, Any], field: str) -> None:
        case.body = body
        response = await case.explain()
        assert (response.status_code, response.json()["field"]) == (422, field)
