"""Random lives of an organisation: in the end what is known, and for whom, equals what the server has and decides."""

import random
from contextlib import suppress

import pytest

from headwater.errors import HeadwaterError
from tests.support.github_answers import SECONDARY_LIMIT, Answer, primary_limit
from tests.support.github_source import OrganisationFollower, OrganisationSource
from tests.support.github_state import FILE, LINK, SUBMODULE, FakeTeam, Repo

PATHS = ["a.md", "a/b.md", "a/c d.md", "a-b.md", "é/ü.md", "x.png", "deep/er/est.md", "100%.md", "a#b?.md"]
LOGINS = ["ann-hub", "lea-hub", "bob-hub", "stranger"]
STEPS = 24


class Life:
    """One organisation, one follower, one sequence of what happens."""

    def __init__(self, source: OrganisationSource, seed: int) -> None:
        self.source, self.server, self.state = source, source.server, source.state
        self.chance = random.Random(seed)
        self.more: list[str] = []  # what else may happen to repositories
        self.follower = OrganisationFollower(source, batch=self.chance.randint(1, 4))
        self.teams: list[FakeTeam] = [self.state.add_team("core", {"ann-hub"})]
        self.teams.append(self.state.add_team("sub", {"bob-hub"}, parent=self.teams[0].id))
        source.settings |= {"releases": True, "discussions": True, "wikis": True}
        for name in ("one", "two", "three"):
            repo = self.state.add_repo(name)
            for path in self.chance.sample(PATHS, 4):
                repo.put(path, self._text())
        self.stays = self.state.add_repo("stays")
        self.stays.put("so.md", b"that a listing is never empty\n")

    def happen(self) -> None:
        """Let one thing happen."""
        repo = self.chance.choice(
            [each for each in self.state.repos.values() if each is not self.stays] or [self.stays]
        )
        self.chance.choice(
            [
                self._edit,
                self._edit,
                self._shape,
                self._people,
                self._talk,
                self._publish,
                self._discuss,
                self._write,
                self._repositories,
            ]
        )(repo)

    def _text(self) -> bytes:
        return f"text {self.chance.random()}{self.chance.choice(['', chr(10), chr(10) + 'more' + chr(10)])}".encode()

    def _edit(self, repo: Repo) -> None:
        path, tree = self.chance.choice(PATHS), repo.tree()
        match self.chance.choice(["put", "put", "remove", "move", "force", "many"]):
            case "put":
                repo.put(path, self._text())
            case "remove" if path in tree:
                repo.remove(path)
            case "move" if path in tree:
                repo.move(path, self.chance.choice(PATHS))
            case "force" if repo.head:
                repo.put(path, self._text(), forced=True)
                if self.chance.random() < 0.5:
                    repo.forget()
            case "many":
                repo.commit({**tree, **{f"many/{n}.md": (FILE, self._blob(repo)) for n in range(6)}})

    def _blob(self, repo: Repo) -> str:
        repo.put("a.md", self._text())
        return repo.tree()["a.md"][1]

    def _shape(self, repo: Repo) -> None:
        path = self.chance.choice(PATHS)
        match self.chance.choice(["link", "submodule", "branch"]):
            case "link":
                repo.put(path, b"a.md", mode=LINK)
            case "submodule":
                repo.commit({**repo.tree(), path: (SUBMODULE, f"{self.chance.getrandbits(160):040x}")})
            case "branch":
                repo.branch = self.chance.choice(["main", "trunk", "rel/1.0"])

    def _people(self, repo: Repo) -> None:
        login, team = self.chance.choice(LOGINS), self.chance.choice(self.teams)
        match self.chance.choice(["direct", "team", "member", "teammate", "visibility", "base", "moved"]):
            case "direct":
                repo.direct ^= {login}
            case "team":
                repo.teams ^= {team.id}
            case "member":
                self.state.members[login] = self.chance.choice(["member", "admin"])
            case "teammate":
                team.members ^= {login}
            case "visibility":
                repo.visibility = self.chance.choice(["private", "internal", "public"])
            case "base":
                self.state.base_permission = self.chance.choice(["none", "read"])
            case "moved":
                self.state.members.pop(login, None)

    def _talk(self, repo: Repo) -> None:
        issues = list(repo.issues.values())
        said = [each for issue in issues for each in issue.comments]
        match self.chance.choice(["new", "pull", "edit", "comment", "comment", "line", "reword", "delete", "switch"]):
            case "new" | "pull" as kind:
                self.state.new_issue(repo, f"Issue {self.chance.random()}", "Body", pull=kind == "pull")
            case "edit" if issues:
                self.state.edit(self.chance.choice(issues), f"Edited {self.chance.random()}")
            case "comment" if issues:
                self.state.comment(self.chance.choice(issues), f"Comment {self.chance.random()}")
            case "line" if pulls := [each for each in issues if each.pull]:
                self.state.comment(self.chance.choice(pulls), f"Comment {self.chance.random()}", path="a.md")
            case "reword" if said:
                self.state.edit_comment(self.chance.choice(said), f"Reworded {self.chance.random()}")
            case "delete" if issues:
                del repo.issues[self.chance.choice(issues).number]
            case "switch":
                repo.has_issues = not repo.has_issues

    def _discuss(self, repo: Repo) -> None:
        discussions = list(repo.discussions.values())
        match self.chance.choice(["new", "new", "edit", "remark", "reply", "answer", "delete", "switch"]):
            case "new":
                self.state.new_discussion(repo, f"Talk {self.chance.random()}", "Body")
            case "edit" if discussions:
                self.state.edit(self.chance.choice(discussions), f"Edited {self.chance.random()}")
            case "remark" if discussions:
                self.state.remark(self.chance.choice(discussions), f"Remark {self.chance.random()}")
            case "reply" if discussions and (remarks := self.chance.choice(discussions).remarks):
                discussion = next(each for each in discussions if each.remarks is remarks)
                for _ in range(self.chance.choice([1, 5])):
                    self.state.remark(discussion, f"Reply {self.chance.random()}", on=remarks[0])
            case "answer" if discussions:
                discussion = self.chance.choice(discussions)
                discussion.answered, discussion.updated_at = True, self.state.tick()
            case "delete" if discussions:
                del repo.discussions[self.chance.choice(discussions).number]
            case "switch":
                repo.has_discussions = not repo.has_discussions

    def _write(self, repo: Repo) -> None:
        path, files = self.chance.choice(PATHS), repo.wiki.files()
        match self.chance.choice(["put", "put", "remove", "move", "force", "image", "switch"]):
            case "put":
                repo.wiki.put(path.removeprefix("a/"), self._text())
            case "remove" if files:
                repo.wiki.remove(self.chance.choice(sorted(files)))
            case "move" if files:
                repo.wiki.move(self.chance.choice(sorted(files)), f"Moved-{self.chance.getrandbits(20)}.md")
            case "force" if files:
                repo.wiki.commit({**files, "Forced.md": self._text()}, forced=True)
                repo.wiki.forget()
            case "image":
                repo.wiki.put("x.png", self._text())
            case "switch":
                repo.has_wiki = not repo.has_wiki

    def _publish(self, repo: Repo) -> None:
        releases = list(repo.releases.values())
        match self.chance.choice(["new", "new", "draft", "edit", "withdraw", "download", "delete"]):
            case "new" | "draft" as kind:
                tag = f"v{self.chance.getrandbits(20)}"
                self.state.new_release(repo, tag, "Notes", name=self.chance.choice([None, "N"]), draft=kind == "draft")
            case "edit" if releases:
                self.chance.choice(releases).body = f"Edited {self.chance.random()}"
            case "withdraw" if releases:
                self.chance.choice(releases).draft ^= True
            case "download" if releases:
                self.chance.choice(releases).downloads += 1
            case "delete" if releases:
                del repo.releases[self.chance.choice(releases).id]

    def _repositories(self, repo: Repo) -> None:
        match self.chance.choice(["rename", "delete", "transfer", "new", "archive", *self.more]):
            case "select" if self.server.app.selected is not None:
                self.server.app.selected ^= {repo.id}
            case "rename":
                self.state.rename(repo, f"renamed-{self.chance.getrandbits(20)}")
            case "delete" if self.chance.random() < 0.3:
                del self.state.repos[repo.id]
            case "transfer" if self.chance.random() < 0.3:
                self.state.rename(repo, repo.name, owner="globex")
            case "new":
                self.state.add_repo(f"new-{self.chance.getrandbits(20)}").put("a.md", self._text())
            case "archive":
                repo.archived = not repo.archived

    async def follow(self) -> None:
        """Make a pass, whole or cut, perhaps through limits and outages; or look at some items."""
        chance, connector = self.chance, self.source.connector()
        self.server.tree_entries = chance.choice([3, 1000])
        self.server.compared_files = chance.choice([4, 300])
        self.server.answers = [
            chance.choice([primary_limit(60), SECONDARY_LIMIT, Answer(status=502)])
            for _ in range(chance.choice([0, 0, 2]))
        ]
        if chance.random() < 0.15:
            self.server.refused = {
                chance.choice(
                    ["git/blobs", "issues", "releases", "graphql", "teams", "collaborators", "compare", "wiki.git"]
                ): 500
            }
        at_most = chance.choice([None, 1, 3])
        with suppress(HeadwaterError):
            match chance.choice(["changes", "changes", "items", "permissions", "everything"]):
                case "changes":
                    await self.follower.follow(at_most)
                case "items":
                    repo = chance.choice(list(self.state.repos.values()))
                    named = [f"repo:{repo.id}{each}" for each in ("", "/file/a.md", "/issue/1", "/wiki", "/wiki/a.md")]
                    named.append("repo:1")
                    looked = connector.items(chance.sample(named, 2), dict(self.follower.cursor))
                    await self.follower.submit(looked, at_most)
                case "permissions":
                    await self.follower.submit(connector.permissions(dict(self.follower.cursor)))
                case "everything":
                    await self.follower.submit(connector.everything(dict(self.follower.cursor)), at_most)
        self.server.answers, self.server.refused = [], {}


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_known_equals_the_organisation(source: OrganisationSource, seed: int) -> None:
    await _lived(Life(source, seed))


async def test_what_is_known_equals_what_an_app_is_installed_for(source: OrganisationSource) -> None:
    """Its tokens end after a few requests, and what it is installed for changes."""
    life = Life(source, 3)
    source.become_app()
    life.server.app.requests_a_token = 30
    life.server.app.selected = {each.id for each in life.state.repos.values()}
    life.more = ["select", "select"]
    await _lived(life, steps=16)


async def _lived(life: Life, steps: int = STEPS) -> None:
    source = life.source
    for _ in range(steps):
        life.happen()
        if life.chance.random() < 0.4:
            await life.follow()
    await life.follower.follow()
    known, truth = life.follower.view(), source.truth()
    # Deleted issues and discussions are told by nobody: they are missing from a whole listing alone.
    assert all("/issue/" in each or "/discussion/" in each for each in known.keys() - truth.keys())
    assert {each: known[each] for each in truth} == truth
    await life.follower.submit(source.connector().everything(dict(life.follower.cursor)))
    assert life.follower.view() == source.truth()
    assert life.follower.stale == []
    assert await life.follower.follow() == []
