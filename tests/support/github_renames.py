"""Files that are renamed: steps in the life of a repository, and a follower that is killed between two saves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.protocol import SourceChange
from tests.support.github_source import OrganisationFollower, OrganisationSource
from tests.support.github_state import Repo

LINES = "".join(f"line {number}\n" for number in range(9)).encode()
Step = Callable[[Repo], None]


class KilledError(Exception):
    """The worker is gone."""


@dataclass(slots=True)
class MortalFollower(OrganisationFollower):
    """Saves parts one by one, as a runner without transactions may, and is killed before one of them is."""

    saves: int | None = None  # parts until then

    def _note(self, parts: Mapping[str, bytes | None]) -> None:
        for part, state in parts.items():
            if self.saves is not None:
                if not self.saves:
                    raise KilledError
                self.saves -= 1
            OrganisationFollower._note(self, {part: state})  # `super()` knows no slotted dataclass

    def twin(self, saves: int) -> "MortalFollower":
        """Return one who knows the same, and will be killed."""
        return MortalFollower(
            self.source,
            batch=self.batch,
            cursor=dict(self.cursor),
            documents=dict(self.documents),
            groups=dict(self.groups),
            saves=saves,
        )

    async def settle(self) -> None:
        """Look again after a kill, and see that all is as it should be."""
        self.saves = None
        await self.follow()
        assert isinstance(self.source, OrganisationSource)
        assert self.view() == self.source.truth()
        assert not self.stale
        changes = await self.follow()
        assert changes == []


def filled(source: OrganisationSource, *paths: str) -> Repo:
    """Make a repository of these files; their ends do not say what a link would."""
    repo = source.state.add_repo("code")
    for path in paths or ("a.md", "b.md", "docs/c.md"):
        repo.put(path, f"{path}\n".encode() + LINES)
    return repo


def ids(follower: OrganisationFollower) -> dict[str, str]:
    """Return, by path, the rest of the id of the document there."""
    return {
        str(document.attributes["path"]): external_id.partition("/file/")[2]
        for external_id, document in follower.documents.items()
    }


def kinds(changes: Sequence[SourceChange]) -> list[type]:
    return [type(each.what) for each in changes]


def moved(*pairs: tuple[str, str]) -> Step:
    """Move at once, so that what is at a path may go where another one was."""

    def step(repo: Repo) -> None:
        tree = repo.tree()
        taken = [(new, tree.pop(old)) for old, new in pairs]
        repo.commit(tree | dict(taken))

    return step


def put(path: str, text: str) -> Step:
    return lambda repo: repo.put(path, text.encode() + LINES)


def both(first: Step, second: Step) -> Step:
    """Push two commits at once."""

    def step(repo: Repo) -> None:
        first(repo)
        second(repo)

    return step


def forced(step: Step) -> Step:
    """Let a step be in place of the newest commit, which nobody knows any more."""

    def rewritten(repo: Repo) -> None:
        step(repo)
        repo.commit(repo.tree(), forced=True)
        assert repo.head is not None
        repo.commits[repo.head].parents = ()
        repo.forget()

    return rewritten


RENAMED = moved(("a.md", "z.md"))
LIVES: dict[str, list[Step]] = {
    "rename and back": [RENAMED, moved(("z.md", "a.md"))],
    "chain": [RENAMED, moved(("z.md", "y.md")), moved(("y.md", "docs/x.md")), moved(("docs/x.md", "a.md"))],
    "swap": [moved(("a.md", "b.md"), ("b.md", "a.md")), put("a.md", "edited\n")],
    "swap by a third": [moved(("a.md", "t.md")), moved(("b.md", "a.md")), moved(("t.md", "b.md"))],
    "another at the old path": [RENAMED, put("a.md", "new\n"), moved(("z.md", "q.md")), moved(("a.md", "z.md"))],
    "several at the old path": [RENAMED, put("a.md", "2\n"), moved(("a.md", "y.md")), put("a.md", "3\n"), RENAMED],
    "folder": [moved(("docs/c.md", "text/c.md"), ("a.md", "text/a.md")), moved(("text/c.md", "docs/c.md"))],
    "edited as well": [both(RENAMED, put("z.md", "a.md, edited\n")), both(moved(("z.md", "q.md")), put("q.md", "3\n"))],
    "copied, then gone": [lambda repo: repo.put("z.md", repo.files()["a.md"]), lambda repo: repo.remove("a.md")],
    "came and went": [both(put("m.md", "m\n"), put("n.md", "n\n")), lambda repo: repo.remove("m.md")],
    "forced": [forced(RENAMED), forced(put("a.md", "new\n")), forced(moved(("z.md", "y.md"), ("a.md", "z.md")))],
    "others leave": [moved(("a.md", "z.md"), ("b.md", "y.md")), put("a.md", "new\n"), lambda repo: repo.remove("z.md")],
}
