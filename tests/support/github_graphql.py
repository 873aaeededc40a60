"""GitHub's GraphQL over a synthetic organisation: the connector's queries, pages by value, errors in a 200."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.github_state import FakeDiscussion, FakeRemark, GithubState, Repo, stamp

NOT_FOUND = {"type": "NOT_FOUND", "message": "Could not resolve"}


def answered(
    state: GithubState, shown: Callable[[Repo], bool], query: str, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Answer a query by its name."""
    assert query.count("{") == query.count("}")
    named = re.match(r"\s*query (\w+)", query)
    assert named is not None
    if named[1] == "Replies":
        return _replies(state, variables)
    repo = state.named(f"{variables['owner']}/{variables['name']}")
    if repo is None or not shown(repo):
        return {"data": {"repository": None}, "errors": [NOT_FOUND]}
    if named[1] == "Discussions":
        listed = (each for each in repo.discussions.values() if each.number not in state.unlisted)
        newest = sorted(listed, key=_order, reverse=True)
        page = _page([(_order(each), _head(repo, each)) for each in newest], variables)
        return {"data": {"repository": {"discussions": page}}}
    discussion = repo.discussions.get(variables["number"])
    if discussion is None:
        return {"data": {"repository": {"discussion": None}}, "errors": [NOT_FOUND]}
    if named[1] == "Discussion":
        return {"data": {"repository": {"discussion": _head(repo, discussion)}}}
    comments = _page([(f"{each.id:09d}", _comment(each, variables)) for each in discussion.remarks], variables)
    return {"data": {"repository": {"discussion": {"body": discussion.body, "comments": comments}}}}


def _replies(state: GithubState, variables: Mapping[str, Any]) -> dict[str, Any]:
    for repo in state.repos.values():
        for discussion in repo.discussions.values():
            for remark in discussion.remarks:
                if f"DC_{remark.id}" == variables["id"]:
                    return {"data": {"node": _comment(remark, variables)}}
    return {"data": {"node": None}, "errors": [NOT_FOUND]}


def _order(discussion: FakeDiscussion) -> str:
    return f"{stamp(discussion.updated_at)}/{discussion.number:09d}"


def _page(found: Sequence[tuple[str, Any]], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a page out of a listing, whose order is by value: what moves meanwhile shifts nothing."""
    after = variables.get("after")
    is_falling = len(found) > 1 and found[0][0] > found[-1][0]
    left = [each for each in found if after is None or (each[0] < after if is_falling else each[0] > after)]
    shown = left[: variables["first"]]
    more = len(left) > len(shown)
    cursor = shown[-1][0] if shown else None
    return {"pageInfo": {"hasNextPage": more, "endCursor": cursor}, "nodes": [node for _, node in shown]}


def _head(repo: Repo, discussion: FakeDiscussion) -> dict[str, Any]:
    return {
        "number": discussion.number,
        "title": discussion.title,
        "url": f"https://github.test/{repo.full_name}/discussions/{discussion.number}",
        "createdAt": stamp(discussion.at),
        "updatedAt": stamp(discussion.updated_at),
        "isAnswered": discussion.answered,
        "author": {"login": "ann-hub"},
        "category": {"name": "Ideas"},
        "comments": {"totalCount": len(discussion.remarks)},
    }


def _comment(remark: FakeRemark, variables: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"first": variables["first"], "after": variables.get("after") if "id" in variables else None}
    replies = _page([(f"{each.id:09d}", _said(each)) for each in remark.replies], asked)
    return {**_said(remark), "id": f"DC_{remark.id}", "replies": replies}


def _said(remark: FakeRemark) -> dict[str, Any]:
    return {"createdAt": stamp(remark.at), "body": remark.body, "author": {"login": remark.author}}
