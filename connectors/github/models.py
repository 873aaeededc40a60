"""What GitHub's REST API answers, as far as it is used. Source: docs.github.com/rest, version 2022-11-28."""

from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from pydantic import AwareDatetime, BaseModel, SecretStr, TypeAdapter, ValidationError

from headwater.errors import PoisonError

M = TypeVar("M")


class ShapeError(PoisonError):
    """An answer that is none of GitHub's."""


class Answer(BaseModel, frozen=True):
    """One object of an answer; fields that are not named here are passed over."""


class Permissions(Answer, frozen=True):
    """What a collaborator may do."""

    pull: bool = True


class Account(Answer, frozen=True):
    """A user or an organisation. The id stays when the login is changed."""

    id: int
    login: str
    type: str = "User"
    permissions: Permissions | None = None


class Organisation(Answer, frozen=True):
    """What all members may do with its repositories: `none`, `read`, ...; not told to everybody."""

    id: int
    login: str
    default_repository_permission: str | None = None


class Team(Answer, frozen=True):
    """A team of an organisation."""

    id: int
    slug: str
    name: str


class Repository(Answer, frozen=True):
    """A repository. The id stays when it is renamed or transferred."""

    id: int
    full_name: str
    owner: Account
    html_url: str
    private: bool
    visibility: str | None = None  # older servers tell `private` alone
    default_branch: str | None = None  # none: nothing was ever pushed
    archived: bool = False
    fork: bool = False
    has_issues: bool = True
    has_discussions: bool = False
    has_wiki: bool = True  # false: switched off, and nobody can read it

    @property
    def seen_by(self) -> str:
        """Return `public`, `internal` or `private`: the last, whatever else is said, for what no one else may see."""
        told = self.visibility or "public"
        return told if told == "internal" or (told == "public" and not self.private) else "private"


class InstallationRepositories(Answer, frozen=True):
    """A page of what an app's installation may read."""

    repositories: tuple[Repository, ...]


class Installed(Answer, frozen=True):
    """An app's installation, as the app itself is told."""

    id: int


class Granted(Answer, frozen=True):
    """A token of an installation, and what it opens: `issues` -> `read`, ..."""

    token: SecretStr
    expires_at: AwareDatetime
    permissions: dict[str, str] = {}


class Target(Answer, frozen=True):
    """What a reference points at."""

    sha: str


class Reference(Answer, frozen=True):
    """A branch."""

    object: Target


class TreeEntry(Answer, frozen=True):
    """A file, folder or submodule of a tree; `path` below that tree."""

    path: str
    mode: str
    type: str
    sha: str
    size: int | None = None


class Tree(Answer, frozen=True):
    """A folder, or all below it. `truncated`: too large for one answer, and not to be believed as a whole."""

    tree: tuple[TreeEntry, ...]
    truncated: bool = False


class Touched(Answer, frozen=True):
    """A file that differs between two commits."""

    filename: str
    status: str
    sha: str | None = None
    previous_filename: str | None = None
    additions: int = 0
    patch: str | None = None


class Comparison(Answer, frozen=True):
    """How one commit follows from another; at most 300 files are told."""

    status: str
    files: tuple[Touched, ...] = ()


class Label(Answer, frozen=True):
    """A label of an issue."""

    name: str


class Issue(Answer, frozen=True):
    """An issue; a pull request is one too."""

    number: int
    title: str
    state: str
    html_url: str
    repository_url: str
    created_at: datetime
    updated_at: datetime
    user: Account | None = None  # none: the account was deleted
    body: str | None = None
    labels: tuple[Label, ...] = ()
    comments: int = 0
    pull_request: dict[str, Any] | None = None

    @property
    def state_token(self) -> str:
        """Return what tells that something of it changed."""
        return f"{self.updated_at.isoformat()}/{self.comments}"

    @property
    def place(self) -> int:
        """Return what tells it from others of the same time."""
        return self.number


class Release(Answer, frozen=True):
    """A release. Drafts are told to those alone who may write."""

    id: int
    tag_name: str
    html_url: str
    name: str | None = None
    body: str | None = None
    draft: bool = False
    prerelease: bool = False
    published_at: datetime | None = None
    author: Account | None = None

    @property
    def title(self) -> str:
        """Return its name, or its tag where nobody gave it one."""
        return self.name or self.tag_name

    @property
    def is_published(self) -> bool:
        """Say whether those who may read the repository may read it."""
        return not self.draft


class Comment(Answer, frozen=True):
    """A comment of an issue, or of a line of a pull request (`path`)."""

    id: int
    created_at: datetime
    updated_at: datetime
    user: Account | None = None
    body: str | None = None
    path: str | None = None
    issue_url: str | None = None
    pull_request_url: str | None = None

    @property
    def place(self) -> int:
        """Return what tells it from others of the same time."""
        return self.id

    @property
    def about(self) -> int | None:
        """Return the number of its issue or pull request; None where that is not told."""
        number = (self.pull_request_url or self.issue_url or "").rpartition("/")[2]
        return int(number) if number.isdecimal() else None


Json: TypeAlias = bytes


def read_as(form: type[M], raw: Json) -> M:
    """Read an answer. Raise ShapeError naming the field; the answer's own text is left out."""
    try:
        return TypeAdapter(form).validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole answer"
        raise ShapeError(f"{form}: {field}: {first['msg']}; is settings.url GitHub's API?") from error
