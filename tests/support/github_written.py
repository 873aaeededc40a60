"""What is written on GitHub as a source of the connectors' suite: comments, releases, discussions, issues."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from connectors.protocol import Observed, SourceChange, Upserted
from headwater.clients.egress.client import Egress
from tests.support.egress import FakeClock
from tests.support.github_server import GithubServer
from tests.support.github_source import GithubSource, repo_id, written
from tests.support.github_state import FakeIssue, Repo
from tests.support.retold import AbleConnector, Retold
from tests.support.troubles import DATES_BACK


class WrittenSource(GithubSource):
    """The same, where the one item of a repository is what somebody wrote there, the last paragraph of its document."""

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        super().__init__(server, opened, clock)
        self._readings = 0

    @property
    def downloads(self) -> int:
        return self._readings

    def connector(self) -> AbleConnector:
        return Retold(self.github(), self._as_written)

    def _as_written(self, change: Observed) -> Observed:
        if not isinstance(change, SourceChange) or not isinstance(change.what, Upserted):
            return change
        repo, opened = self.state.repos[repo_id(change.external_id)], change.what.content
        assert opened is not None

        async def content() -> AsyncIterator[bytes]:
            self._readings += 1
            self._about_to_read(repo, "")
            text = b"".join([piece async for piece in opened()])
            yield text.rpartition(b"\n\n")[2].strip()

        return replace(change, what=replace(change.what, content=content))


class CommentSource(WrittenSource):
    """It is the comment on an issue: that is asked for when the content is."""

    lacks: ClassVar[Mapping[str, str]] = {DATES_BACK: "IssueSource has them: here nothing is told before the edit"}

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        super().__init__(server, opened, clock)
        self.settings["issues"] = True

    def _write(self, repo: Repo, text: bytes) -> None:
        for issue in repo.issues.values():
            self.state.edit_comment(issue.comments[0], text.decode())
            return
        self.state.comment(self.state.new_issue(repo, "An issue", "Body"), text.decode())

    def _read(self, repo: Repo) -> bytes:
        return repo.issues[1].comments[0].body.encode()


class ReleaseSource(WrittenSource):
    """It is a release: its listing shows what is in it."""

    lacks: ClassVar[Mapping[str, str]] = {DATES_BACK: "all releases are compared, whatever their dates"}

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        super().__init__(server, opened, clock)
        self.settings["releases"] = True

    def _write(self, repo: Repo, text: bytes) -> None:
        for release in repo.releases.values():
            release.body = text.decode()
            return
        self.state.new_release(repo, "v1", text.decode())

    def _read(self, repo: Repo) -> bytes:
        return next(iter(repo.releases.values())).body.encode()


class DiscussionSource(WrittenSource):
    """It is a discussion: its listing shows what is in it, and it is asked for by its time of update."""

    lacks: ClassVar[Mapping[str, str]] = {}

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        super().__init__(server, opened, clock)
        self.settings["discussions"] = True

    def _write(self, repo: Repo, text: bytes) -> None:
        for discussion in repo.discussions.values():
            self.state.edit(discussion, text.decode())
            return
        self.state.new_discussion(repo, "A discussion", text.decode())

    def _read(self, repo: Repo) -> bytes:
        return repo.discussions[1].body.encode()

    def put_late(self, name: str, text: str) -> None:
        self.put(name, text)
        self._existing(name).discussions[1].updated_at = self.state.now - timedelta(seconds=118)


class IssueSource(GithubSource):
    """The same, where an item is an issue of the one repository, which is public: for what is asked for by time."""

    lacks: ClassVar[Mapping[str, str]] = {}

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        super().__init__(server, opened, clock)
        self._repo = server.state.add_repo("talk", visibility="public")

    def share(self, name: str, readers: Sequence[str]) -> None:
        assert tuple(readers) == ("everyone",), "issues are shared as their repository is"

    def put(self, name: str, text: str) -> None:
        if (issue := self._issue(name)) is not None:
            self.state.edit(issue, text)
        else:
            self.state.new_issue(self._repo, name, text)

    def put_late(self, name: str, text: str) -> None:
        self.put(name, text)
        issue = self._issue(name)
        assert issue is not None
        issue.updated_at = self.state.now - timedelta(seconds=118)  # two minutes, and what was seen is a second old

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {issue.title: (written(issue), ("everyone",)) for issue in self._repo.issues.values()}

    def name_of(self, external_id: str) -> str:
        return self._repo.issues[int(external_id.rpartition("/")[2])].title

    def _issue(self, name: str) -> FakeIssue | None:
        return next((each for each in self._repo.issues.values() if each.title == name), None)
