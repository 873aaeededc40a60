"""Conditions as Elasticsearch filters: values stand in JSON fields, never in a query language."""

from typing import Any, TypeAlias

from headwater.rows.conditions import FACETS, Condition, Every, Negation, Some, Span, Term, span_tokens

Query: TypeAlias = dict[str, Any]


def render(condition: Condition) -> Query:
    """Return a query that matches exactly the rows for which the condition holds; meant for filter context."""
    match condition:
        case Term(field, values):
            return {"terms": {field: list(values)}}
        case Span():
            low, high = span_tokens(condition)
            return {"range": {FACETS: {"gte": low, "lte": high}}}
        case Negation(inner):
            return {"bool": {"must_not": [render(inner)]}}
        case Every(parts):
            return {"bool": {"filter": [render(part) for part in parts]}} if parts else {"match_all": {}}
        case Some(parts):
            any_of = {"should": [render(part) for part in parts], "minimum_should_match": 1}
            return {"bool": any_of} if parts else {"match_none": {}}


def words(query: str, boosts: dict[str, float]) -> Query:
    """Return a query for plain text over fields; `match` analyses it and knows no syntax."""
    matches = [{"match": {field: {"query": query, "boost": boost}}} for field, boost in boosts.items()]
    return {"bool": {"should": matches, "minimum_should_match": 1}}
