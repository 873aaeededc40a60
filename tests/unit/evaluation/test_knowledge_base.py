from collections.abc import Iterator

import pytest

from headwater.evaluation.knowledge_base import (
    EvaluationError,
    TemporaryKnowledgeBase,
    Upload,
    temporary_knowledge_base,
)
from tests.unit.evaluation.fake_api import FakeApi


def pages(*names: str) -> Iterator[Upload]:
    return (Upload(external_id=name, title=name, text=f"text of {name}", media_type="text/plain") for name in names)


def wait(base: TemporaryKnowledgeBase, *, patience_s: float = 5.0) -> list[str]:
    said: list[str] = []
    base.poll_s = 0
    base.wait(patience_s=patience_s, report=said.append)
    return said


def fill_and_wait(api: FakeApi, *names: str) -> None:
    with temporary_knowledge_base(api, purpose="test") as base:
        base.put(pages(*names))
        wait(base)


def test_it_waits_until_every_document_is_searchable() -> None:
    api = FakeApi(delay=3)
    with temporary_knowledge_base(api, purpose="test") as base:
        base.put(pages("a", "b"))
        assert wait(base) == ["0 of 2 documents searchable"]
    assert api.listings == 4


def test_what_was_deleted_is_not_waited_for_but_must_be_gone() -> None:
    api = FakeApi(delay=0)
    with temporary_knowledge_base(api, purpose="test") as base:
        base.put(pages("a", "b"))
        base.delete(["a"])
        wait(base)
        assert [item["external_id"] for item in base.documents()] == ["b"]
        api.documents["a"] = {}
        with pytest.raises(EvaluationError, match="none followed"):
            wait(base, patience_s=0)


def test_runs_do_not_share_names_and_leave_nothing() -> None:
    api = FakeApi()
    with temporary_knowledge_base(api, purpose="test") as first, temporary_knowledge_base(api, purpose="test") as other:
        assert first.name != other.name
        assert len(api.records) == 4
    assert api.records == {}


def test_it_is_removed_after_a_failure_and_kept_on_wish() -> None:
    api = FakeApi(broken=frozenset({"b"}))
    with pytest.raises(EvaluationError, match="document b failed: it is broken"):
        fill_and_wait(api, "a", "b")
    assert api.records == {}
    with temporary_knowledge_base(api, purpose="test", keep=True) as base:
        pass
    assert set(api.records) == {f"knowledge-bases/{base.name}", f"sources/{base.name}"}


def test_a_refused_line_is_named() -> None:
    api = FakeApi()
    base = TemporaryKnowledgeBase(api=api, name="absent")
    with pytest.raises(EvaluationError, match="document a: no such source"):
        base.put(pages("a"))


def test_many_documents_go_in_several_batches() -> None:
    api = FakeApi(delay=0)
    with temporary_knowledge_base(api, purpose="test") as base:
        base.put(pages(*(f"{number:03d}" for number in range(450))))
        assert len(api.documents) == len(base.expected) == 450
