"""A synthetic organisation: what it has, and who may read it. Git objects are named by their content, as git does."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.github_wiki import FakeWiki

ORGANISATION = "acme"
BEGUN = datetime(2026, 3, 2, 12, tzinfo=UTC)
FILE, LINK, SUBMODULE = "100644", "120000", "160000"

Tree = dict[str, tuple[str, str]]  # path -> mode, sha


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def blob_sha(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def tree_sha(tree: Tree) -> str:
    return hashlib.sha1(json.dumps(sorted(tree.items())).encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Commit:
    tree: Tree
    parents: tuple[str, ...]


@dataclass(slots=True)
class FakeComment:
    id: int
    author: str
    body: str
    at: datetime
    edited_at: datetime
    path: str | None = None  # of a pull request: on a line of this file


@dataclass(slots=True)
class FakeIssue:
    number: int
    title: str
    body: str
    author: str
    created_at: datetime
    updated_at: datetime
    pull: bool = False
    state: str = "open"
    comments: list[FakeComment] = field(default_factory=list)


@dataclass(slots=True)
class FakeRelease:
    id: int
    tag: str
    name: str | None
    body: str
    published_at: datetime
    draft: bool = False
    prerelease: bool = False
    downloads: int = 0  # of its assets, which its listing tells


@dataclass(slots=True)
class FakeRemark:
    id: int
    author: str
    body: str
    at: datetime
    replies: list["FakeRemark"] = field(default_factory=list)


@dataclass(slots=True)
class FakeDiscussion:
    number: int
    title: str
    body: str
    at: datetime
    updated_at: datetime
    answered: bool | None = None
    remarks: list[FakeRemark] = field(default_factory=list)


@dataclass(slots=True)
class Repo:
    id: int
    name: str
    owner: str = ORGANISATION
    visibility: str = "private"
    branch: str = "main"
    archived: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    head: str | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    direct: set[str] = field(default_factory=set)
    barred: set[str] = field(default_factory=set)  # of those that are listed as collaborators
    teams: set[int] = field(default_factory=set)
    issues: dict[int, FakeIssue] = field(default_factory=dict)
    releases: dict[int, FakeRelease] = field(default_factory=dict)
    discussions: dict[int, FakeDiscussion] = field(default_factory=dict)
    has_issues: bool = True
    has_discussions: bool = True
    has_wiki: bool = True
    wiki: FakeWiki = field(default_factory=FakeWiki)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def talk(self, *, pulls_stay: bool = False) -> dict[int, FakeIssue]:
        """Return the issues and pull requests that somebody can read."""
        return {n: each for n, each in self.issues.items() if self.has_issues or (pulls_stay and each.pull)}

    def tree(self) -> Tree:
        return dict(self.commits[self.head].tree) if self.head else {}

    def files(self) -> dict[str, bytes]:
        return {path: self.blobs[sha] for path, (mode, sha) in self.tree().items() if mode == FILE}

    def commit(self, tree: Tree, *, forced: bool = False) -> str:
        """Put a commit on top of the branch; forced: in place of its newest one."""
        before = self.commits[self.head].parents if forced and self.head else tuple(filter(None, [self.head]))
        sha = hashlib.sha1(f"{tree_sha(tree)} {before} {len(self.commits)}".encode(), usedforsecurity=False).hexdigest()
        self.commits[sha], self.head = Commit(tree, before), sha
        return sha

    def put(self, path: str, content: bytes, *, mode: str = FILE, forced: bool = False) -> None:
        sha = blob_sha(content)
        self.blobs[sha] = content
        self.commit({**self.tree(), path: (mode, sha)}, forced=forced)

    def remove(self, path: str) -> None:
        self.commit({name: entry for name, entry in self.tree().items() if name != path})

    def move(self, old: str, new: str) -> None:
        tree = self.tree()
        tree[new] = tree.pop(old)
        self.commit(tree)

    def forget(self) -> None:
        """Collect what no branch leads to: commits and blobs that a force push left behind."""
        live, at = {}, self.head
        while at is not None:
            live[at] = self.commits[at]
            at = next(iter(live[at].parents), None)
        self.commits = live
        named = {sha for commit in live.values() for _, sha in commit.tree.values()}
        self.blobs = {sha: content for sha, content in self.blobs.items() if sha in named}


@dataclass(slots=True)
class FakeTeam:
    id: int
    slug: str
    members: set[str] = field(default_factory=set)
    parent: int | None = None


@dataclass(slots=True)
class GithubState:
    """An organisation with its repositories, members and teams, and what it did to them so far."""

    organisation_id: int = 900
    base_permission: str = "none"
    tells_visibility: bool = True  # older servers tell `private` alone
    pulls_stay: bool = False  # where issues are switched off; GitHub was seen to answer either way
    accounts: dict[str, int] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)  # login -> role
    teams: dict[int, FakeTeam] = field(default_factory=dict)
    repos: dict[int, Repo] = field(default_factory=dict)
    former_names: dict[str, int] = field(default_factory=dict)
    transferred: dict[tuple[int, int], tuple[Repo, FakeIssue]] = field(default_factory=dict)  # a repository's issue
    unlisted: set[int] = field(default_factory=set)  # issues, releases, discussions: there, and in no listing
    now: datetime = BEGUN
    _ids: int = 1000

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def tick(self, seconds: int = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def account(self, login: str) -> dict[str, Any]:
        return {"login": login, "id": self.accounts.setdefault(login, self.new_id()), "type": "User"}

    def add_repo(self, name: str, **said: Any) -> Repo:
        repo = Repo(id=self.new_id(), name=name, **said)
        self.repos[repo.id] = repo
        self.former_names.pop(repo.full_name, None)
        return repo

    def rename(self, repo: Repo, name: str, *, owner: str | None = None) -> None:
        self.former_names[repo.full_name] = repo.id
        repo.name, repo.owner = name, owner or repo.owner
        self.former_names.pop(repo.full_name, None)

    def named(self, full_name: str) -> Repo | None:
        return next((repo for repo in self.repos.values() if repo.full_name.lower() == full_name.lower()), None)

    def add_team(self, slug: str, members: set[str], parent: int | None = None) -> FakeTeam:
        team = FakeTeam(id=self.new_id(), slug=slug, members=set(members), parent=parent)
        self.teams[team.id] = team
        return team

    def team_members(self, team: FakeTeam) -> set[str]:
        """Return members, those of child teams among them, as the API lists them."""
        found = set(team.members)
        for child in self.teams.values():
            if child.parent == team.id:
                found |= self.team_members(child)
        return found

    def readers(self, repo: Repo) -> set[str]:
        """Decide who of the accounts may read a repository; `*`: everybody."""
        if repo.visibility == "public":
            return {"*"}
        found = repo.direct - repo.barred
        if repo.owner == ORGANISATION:
            found |= {login for login, role in self.members.items() if role == "admin"}
            if repo.visibility == "internal" or self.base_permission != "none":
                found |= set(self.members)
            for team in repo.teams:
                found |= self.team_members(self.teams[team]) if team in self.teams else set()
        return found

    def new_issue(self, repo: Repo, title: str, body: str, *, pull: bool = False) -> FakeIssue:
        at = self.tick()
        number = max([0, *repo.issues]) + 1
        issue = FakeIssue(number, title, body, "ann-hub", at, at, pull=pull)
        repo.issues[number] = issue
        return issue

    def transfer(self, repo: Repo, issue: FakeIssue, other: Repo) -> None:
        del repo.issues[issue.number]
        moved = self.new_issue(other, issue.title, issue.body)
        self.transferred[repo.id, issue.number] = (other, moved)

    def new_release(
        self, repo: Repo, tag: str, body: str, *, name: str | None = None, draft: bool = False
    ) -> FakeRelease:
        release = FakeRelease(self.new_id(), tag, name, body, self.tick(), draft=draft)
        repo.releases[release.id] = release
        return release

    def new_discussion(self, repo: Repo, title: str, body: str) -> FakeDiscussion:
        at, number = self.tick(), max([0, *repo.discussions]) + 1
        discussion = repo.discussions[number] = FakeDiscussion(number, title, body, at, at)
        return discussion

    def remark(self, discussion: FakeDiscussion, body: str, *, on: FakeRemark | None = None) -> FakeRemark:
        remark = FakeRemark(self.new_id(), "bob-hub", body, self.tick())
        (discussion.remarks if on is None else on.replies).append(remark)
        discussion.updated_at = self.now
        return remark

    def edit(self, issue: FakeIssue | FakeDiscussion, body: str) -> None:
        issue.body, issue.updated_at = body, self.tick()

    def comment(self, issue: FakeIssue, body: str, *, path: str | None = None) -> FakeComment:
        at = issue.updated_at = self.tick()
        comment = FakeComment(self.new_id(), "bob-hub", body, at, at, path)
        issue.comments.append(comment)
        return comment

    def edit_comment(self, comment: FakeComment, body: str) -> None:
        """Edit a comment, which moves no time of its issue."""
        comment.body, comment.edited_at = body, self.tick()
