"""Which part of a request keeps a document out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from headwater.rows.conditions import row_facts
from query_api.explain.filters import filter_misses, knowledge_base_miss
from query_api.search.filters import FilterModel
from schemas.ids import KnowledgeBaseId
from tests.support.rows import chunk_row

PUBLISHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROW = chunk_row(
    attributes={"status": "draft", "pages": 12, "public": True, "tags": ("north", "sea"), "published": PUBLISHED}
)
STATUS = {"field": "attributes.status", "equals": "final"}
_MODEL: TypeAdapter[FilterModel] = TypeAdapter(FilterModel)


def misses(model: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    found = filter_misses(_MODEL.validate_python(model), row_facts(ROW), ROW.attributes)
    return [(miss.path, miss.field, miss.has) for miss in found]


@pytest.mark.parametrize(
    "model",
    [
        {"field": "attributes.status", "one_of": ["draft", "final"]},
        {"field": "attributes.pages", "at_least": 12},
        {"none_of": [STATUS]},
        {"any_of": [STATUS, {"field": "source", "equals": "files"}]},
    ],
)
def test_what_lets_the_document_through_is_no_miss(model: dict[str, Any]) -> None:
    assert misses(model) == []


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (STATUS, [("filters", "attributes.status", ("draft",))]),
        ({"field": "attributes.pages", "at_least": 13}, [("filters", "attributes.pages", ("12",))]),
        ({"field": "attributes.public", "equals": False}, [("filters", "attributes.public", ("true",))]),
        ({"field": "attributes.tags", "equals": "south"}, [("filters", "attributes.tags", ("north", "sea"))]),
        ({"field": "attributes.absent", "equals": "x"}, [("filters", "attributes.absent", ())]),
        (
            {"field": "attributes.published", "at_most": datetime(2025, 1, 1, tzinfo=UTC)},
            [("filters", "attributes.published", ("2026-01-02T03:04:05+00:00",))],
        ),
        ({"field": "media_type", "one_of": ["text/html"]}, [("filters", "media_type", ("text/markdown",))]),
        (
            {"all_of": [{"field": "source", "equals": "files"}, STATUS]},
            [("filters.all_of[1]", "attributes.status", ("draft",))],
        ),
        (
            {"none_of": [STATUS, {"all_of": [{"field": "source", "equals": "files"}]}]},
            [("filters.none_of[1]", "source", ("files",))],
        ),
        (
            {"any_of": [STATUS, {"none_of": [{"field": "language", "equals": "en"}]}]},
            [
                ("filters.any_of[0]", "attributes.status", ("draft",)),
                ("filters.any_of[1].none_of[0]", "language", ("en",)),
            ],
        ),
    ],
)
def test_the_innermost_part_is_named_with_what_the_document_has(
    model: dict[str, Any], expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    assert misses(model) == expected


def test_a_knowledge_base_that_was_not_asked_is_a_miss() -> None:
    assert knowledge_base_miss(None, KnowledgeBaseId("docs")) == ()
    assert knowledge_base_miss(["docs"], KnowledgeBaseId("docs")) == ()
    (miss,) = knowledge_base_miss(["sales"], KnowledgeBaseId("docs"))
    assert (miss.path, miss.has) == ("knowledge_bases", ("docs",))
