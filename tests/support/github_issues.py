"""What the API tells of issues and pull requests. Shapes: docs.github.com/rest, version 2022-11-28."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.github_answers import RefusedError
from tests.support.github_shapes import comment_shape, issue_shape
from tests.support.github_state import GithubState, Repo, stamp


def of_issues(state: GithubState, repo: Repo, below: Sequence[str], query: Mapping[str, str], *, url: str) -> Any:
    """Answer what is asked for below `issues` or `pulls`, which `below` begins with."""
    if not repo.has_issues:
        raise RefusedError(410)
    if len(below) == 1:
        return _listed(state, repo, query, url=url)
    issue = repo.issues.get(int(below[1]))
    if issue is None and (moved := state.transferred.get((repo.id, int(below[1])))) is not None:
        raise RefusedError(301, f"/repos/{moved[0].full_name}/issues/{moved[1].number}")
    if issue is None:
        raise RefusedError(410)
    if tuple(below[2:]) == ("comments",):
        return [comment_shape(state, each) for each in issue.comments] if below[0] == "issues" else []
    return issue_shape(state, url, repo, issue)


def _listed(state: GithubState, repo: Repo, query: Mapping[str, str], *, url: str) -> list[dict[str, Any]]:
    since, is_created = query.get("since", ""), query.get("sort", "created") == "created"
    found = sorted(
        repo.issues.values(), key=lambda each: (each.created_at if is_created else each.updated_at, each.number)
    )
    wanted = query.get("state", "open")
    return [
        issue_shape(state, url, repo, each)
        for each in found
        if stamp(each.updated_at) >= since and wanted in {"all", each.state} and each.number not in state.unlisted
    ]
