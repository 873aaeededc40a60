"""Why is it not found? That a document is hidden, or was, is told to those who may know, and to nobody else."""

from dataclasses import replace
from typing import Any

import pytest

from query_api.explain.verdicts import Cause
from schemas.events.directory import DirectoryKind, Source
from schemas.events.queries import AuditRecorded
from schemas.ids import DocumentId, KnowledgeBaseId, TenantId
from tests.support import mishaps
from tests.support.answering import AnsweringApi, for_only
from tests.support.mishaps import QUESTION, Case, verdict_of

ACME = TenantId("acme")
LOST = {"lane": "live", "partition": 3, "found_at": "2026-03-02T12:00:00Z"}


class CountingStores:
    """Counts what is asked of a replica's stores, read model and log on the way to an answer."""

    def __init__(self, replica: AnsweringApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        for name, part in (
            ("documents", replica.api.documents),
            ("backlogs", replica.api.backlogs),
            ("vectors", replica.vectors),
            ("keywords", replica.keywords),
            ("embedder", replica.embedder),
            ("log", replica.api.log),
        ):
            for method in dir(part):
                function = getattr(part, method)
                if not method.startswith("_") and callable(function):
                    monkeypatch.setattr(part, method, self._counted(f"{name}.{method}", function), raising=True)

    def _counted(self, name: str, function: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            return function(*args, **kwargs)

        return counted


class TestRights:
    """That a document is hidden is said to those who may know."""

    async def test_nobody_without_rights_learns_that_a_hidden_document_exists(
        self, replica: AnsweringApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Same status, same body, and nothing is asked of any store on the way."""
        documents = {
            "hidden": await replica.publish("hidden.md", "secret leave", access=for_only("user:bob")),
            "nobody": await replica.publish("nobody.md", "secret leave", access=for_only("user:zoe")),
            "deleted": await replica.publish("deleted.md", "secret leave"),
            "missing": DocumentId("0" * 32),
            "theirs": (await Case.open(replica, TenantId("globex"))).document,
        }
        replica.delete(documents["deleted"])
        reader = await replica.api.key("eve", scopes=("read",))
        store = CountingStores(replica, monkeypatch)
        answers = []
        for document in documents.values():
            store.calls.clear()
            response = await replica.api.client.post(
                f"/v1/documents/{document}/explain", json={"query": "secret leave"}, headers=reader
            )
            headers = {name: value for name, value in response.headers.items() if name != "headwater-request-id"}
            body = response.text.replace(document, "ID")
            answers.append((response.status_code, body, headers, tuple(store.calls)))
        assert len({repr(answer) for answer in answers}) == 1
        assert (answers[0][0], answers[0][3]) == (404, ())

    @pytest.mark.parametrize("external_id", ["aGlkZGVuLm1k", "bWlzc2luZy5tZA"])  # hidden.md, missing.md
    async def test_nor_by_its_address(self, replica: AnsweringApi, external_id: str) -> None:
        await replica.publish("hidden.md", "secret leave", access=for_only("user:bob"))
        reader = await replica.api.key("eve", scopes=("read",))
        path = f"/v1/documents/wiki/{external_id}/explain"
        response = await replica.api.client.post(path, json={"query": "leave"}, headers=reader)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")

    async def test_the_counting_counts(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        store = CountingStores(case.replica, monkeypatch)
        await verdict_of(case)
        assert {"documents.get_document", "vectors.search", "keywords.search"} <= set(store.calls)

    @pytest.mark.parametrize(
        ("scopes", "kind", "status"),
        [
            (("read",), "api", 404),
            (("read", "write"), "api", 200),
            (("read", "write"), "filesystem", 404),  # its connector maintains it, no key does
            (("read", "admin"), "filesystem", 200),
            (("write", "admin"), "api", 403),  # a question is asked on the way
        ],
    )
    async def test_administrators_and_maintainers_of_the_source_may_know(
        self, replica: AnsweringApi, scopes: tuple[str, ...], kind: str, status: int
    ) -> None:
        document = await replica.publish("hidden.md", "secret leave", access=for_only("user:bob"))
        source = Source(name="Wiki", kind=kind, knowledge_base=KnowledgeBaseId("handbook"))
        await replica.api.put(DirectoryKind.SOURCE, "wiki", source)
        headers = await replica.api.key("eve", scopes=scopes)
        response = await replica.api.client.post(
            f"/v1/documents/{document}/explain", json={"query": "leave"}, headers=headers
        )
        assert response.status_code == status
        if status == 200:
            assert response.json()["verdict"] == {
                "cause": "hidden",
                "user": "eve",
                "unmatched_clauses": [0],
                "denied_by": [],
            }

    async def test_to_a_maintainer_a_connectors_document_and_a_missing_one_look_the_same(
        self, replica: AnsweringApi
    ) -> None:
        hidden = await replica.publish("hidden.md", "secret leave", access=for_only("user:bob"))
        connected = Source(name="Wiki", kind="filesystem", knowledge_base=KnowledgeBaseId("handbook"))
        await replica.api.put(DirectoryKind.SOURCE, "wiki", connected)
        headers = await replica.api.key("eve", scopes=("read", "write"))
        answers = set()
        for document in (hidden, "0" * 32):
            response = await replica.api.client.post(
                f"/v1/documents/{document}/explain", json={"query": "leave"}, headers=headers
            )
            answers.add((response.status_code, response.text.replace(document, "ID")))
        assert {status for status, _ in answers} == {404}
        assert len(answers) == 1

    async def test_an_administrator_asks_for_another_user_and_that_is_in_the_audit_trail(
        self, replica: AnsweringApi
    ) -> None:
        document = await replica.publish("bobs.md", "leave of bob", access=for_only("user:bob"))
        await replica.api.key("bob", scopes=("read",))
        await replica.api.key("eve", scopes=("read",))
        admin = await replica.api.key("ada")
        causes = {}
        for user in ("bob", "eve"):
            response = await replica.api.client.post(
                f"/v1/documents/{document}/explain", json={"query": "leave", "as_user": user}, headers=admin
            )
            causes[user] = response.json()["verdict"]["cause"]
        assert causes == {"bob": Cause.FOUND, "eve": Cause.HIDDEN}
        audits = [event for event in replica.api.log.sent(AuditRecorded) if isinstance(event, AuditRecorded)]
        assert [(each.actor, each.action, each.resource, each.reason) for each in audits] == [
            ("user:ada", "documents.explain", f"documents/{document}", f"as user:{user}") for user in ("bob", "eve")
        ]

    async def test_without_a_record_nobody_looks_with_anothers_eyes(self, replica: AnsweringApi) -> None:
        document = await replica.publish("bobs.md", "leave of bob", access=for_only("user:bob"))
        await replica.api.key("bob", scopes=("read",))
        admin = await replica.api.key("ada")
        replica.api.log.away = True
        response = await replica.api.client.post(
            f"/v1/documents/{document}/explain", json={"query": "leave", "as_user": "bob"}, headers=admin
        )
        assert response.status_code == 503

    @pytest.mark.parametrize("document", ["0" * 32, "there"])
    async def test_others_may_not_ask_for_another_user_whatever_the_document(
        self, replica: AnsweringApi, document: str
    ) -> None:
        there = await replica.publish("bobs.md", "leave of bob")
        await replica.api.key("bob", scopes=("read",))
        maintainer = await replica.api.key("eve", scopes=("read", "write"))
        response = await replica.api.client.post(
            f"/v1/documents/{there if document == 'there' else document}/explain",
            json={"query": "leave", "as_user": "bob"},
            headers=maintainer,
        )
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")

    async def test_a_reader_is_told_of_a_document_that_they_may_read(self, case: Case) -> None:
        case.headers = await case.replica.api.key("eve", scopes=("read",), tenant=case.tenant)
        assert (await verdict_of(case, mishaps.below_depth))["verdict"]["cause"] == "below_depth"

    async def test_ranks_count_only_what_the_user_may_read(self, case: Case) -> None:
        """Else a rank would tell how much there is that somebody may not read."""
        for number in range(5):
            secret = await case.replica.publish(
                f"secret {number}", "annual leave roster", tenant=case.tenant, access=for_only("user:ada")
            )
            heads = case.replica.api.heads.documents
            heads[case.tenant, secret] = replace(heads[case.tenant, secret], access=for_only("user:bob"))
        case.body = {"query": QUESTION, "kind": "search", "top_k": 1}
        assert (await verdict_of(case))["verdict"]["rank"] == 1
