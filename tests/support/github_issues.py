"""What the API tells of issues and pull requests. Shapes: docs.github.com/rest, version 2022-11-28."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.support.github_answers import RefusedError
from tests.support.github_shapes import comment_shape, issue_shape
from tests.support.github_state import FakeComment, FakeIssue, GithubState, Repo, stamp


def of_issues(state: GithubState, repo: Repo, below: Sequence[str], query: Mapping[str, str], *, url: str) -> Any:
    """Answer what is asked for below `issues` or `pulls`, which `below` begins with."""
    if not repo.has_issues and not state.pulls_stay:
        raise RefusedError(410)
    issues = repo.talk(pulls_stay=state.pulls_stay)
    if len(below) == 1:
        return _listed(state, repo, issues.values(), query, url=url)
    if tuple(below[1:]) == ("comments",):
        return _said(state, repo, issues.values(), (below[0], query), url=url)
    issue = issues.get(int(below[1]))
    if issue is None and (moved := state.transferred.get((repo.id, int(below[1])))) is not None:
        raise RefusedError(301, f"/repos/{moved[0].full_name}/issues/{moved[1].number}")
    if issue is None:
        raise RefusedError(410)
    if tuple(below[2:]) == ("comments",):
        return [comment_shape(state, url, repo, issue, each) for each in _of_kind(issue, below[0])]
    return issue_shape(state, url, repo, issue)


def _listed(
    state: GithubState, repo: Repo, issues: Iterable[FakeIssue], query: Mapping[str, str], *, url: str
) -> list[dict[str, Any]]:
    since, is_created = query.get("since", ""), query.get("sort", "created") == "created"
    found = sorted(issues, key=lambda each: (each.created_at if is_created else each.updated_at, each.number))
    wanted = query.get("state", "open")
    return [
        issue_shape(state, url, repo, each)
        for each in found
        if stamp(each.updated_at) >= since and wanted in {"all", each.state} and each.number not in state.unlisted
    ]


def _of_kind(issue: FakeIssue, kind: str) -> list[FakeComment]:
    """Return the comments on an issue, or those on lines of a pull request."""
    return [each for each in issue.comments if (each.path is not None) == (kind == "pulls")]


def _said(
    state: GithubState, repo: Repo, issues: Iterable[FakeIssue], asked: tuple[str, Mapping[str, str]], *, url: str
) -> list[dict[str, Any]]:
    """List a kind of comments of the whole repository, by time of update as the connector asks."""
    kind, query = asked
    assert (query.get("sort", "updated"), query.get("direction", "asc")) == ("updated", "asc")
    said = [(each.edited_at, each.id, issue, each) for issue in issues for each in _of_kind(issue, kind)]
    shown = [each for each in sorted(said, key=lambda one: one[:2]) if stamp(each[0]) >= query.get("since", "")]
    return [comment_shape(state, url, repo, issue, comment) for _, _, issue, comment in shown]
