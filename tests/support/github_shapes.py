"""How the API shows a repository, an issue, a comment, a release. Shapes: docs.github.com/rest, version 2022-11-28."""

from typing import Any

from tests.support.github_state import ORGANISATION, FakeComment, FakeIssue, FakeRelease, GithubState, Repo, stamp


def repository_shape(state: GithubState, repo: Repo) -> dict[str, Any]:
    owner = {"login": ORGANISATION, "id": state.organisation_id, "type": "Organization"}
    return {
        "id": repo.id,
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": owner if repo.owner == ORGANISATION else state.account(repo.owner),
        "html_url": f"https://github.test/{repo.full_name}",
        "private": repo.visibility != "public",
        "default_branch": repo.branch,
        "archived": repo.archived,
        "fork": False,
        "has_issues": repo.has_issues,
        "has_discussions": repo.has_discussions,
        "has_wiki": repo.has_wiki,
    } | ({"visibility": repo.visibility} if state.tells_visibility else {})


def issue_shape(state: GithubState, url: str, repo: Repo, issue: FakeIssue) -> dict[str, Any]:
    return {
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": issue.state,
        "user": state.account(issue.author),
        "html_url": f"https://github.test/{repo.full_name}/issues/{issue.number}",
        "repository_url": f"{url}/repos/{repo.full_name}",
        "labels": [{"name": "kind/test"}],
        "comments": sum(each.path is None for each in issue.comments),
        "created_at": stamp(issue.created_at),
        "updated_at": stamp(issue.updated_at),
    } | ({"pull_request": {"url": "x"}} if issue.pull else {})


def release_shape(state: GithubState, repo: Repo, release: FakeRelease) -> dict[str, Any]:
    return {
        "id": release.id,
        "tag_name": release.tag,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "author": state.account("ann-hub"),
        "html_url": f"https://github.test/{repo.full_name}/releases/tag/{release.tag}",
        "published_at": None if release.draft else stamp(release.published_at),
        "assets": [{"download_count": release.downloads}],
    }


def comment_shape(state: GithubState, url: str, repo: Repo, issue: FakeIssue, comment: FakeComment) -> dict[str, Any]:
    home = f"{url}/repos/{repo.full_name}"
    on_line = {"path": comment.path, "pull_request_url": f"{home}/pulls/{issue.number}"}
    return {
        "id": comment.id,
        "user": state.account(comment.author),
        "body": comment.body,
        "created_at": stamp(comment.at),
        "updated_at": stamp(comment.edited_at),
    } | (on_line if comment.path else {"issue_url": f"{home}/issues/{issue.number}"})
