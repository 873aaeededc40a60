"""What a source of kind `github` is connected with."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from headwater.sources.base import BudgetSettings
from headwater.sources.setting_types import Names, Table


class GithubSettings(BudgetSettings):
    """Repositories of one organisation, those of a list, or those of an app's installation."""

    organisation: str | None = None
    repositories: Names = ()  # owner/name
    app: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,100}$")  # an app's id, or its client id
    installation: PositiveInt | None = None  # of that app; with neither of the first two: all that it may read
    url: str = "https://api.github.com/"  # of a server of your own: https://HOST/api/v3/
    include: Names = ()  # globs of paths, the buckets' dialect
    exclude: Names = ()
    max_bytes: PositiveInt = 10 * 1024 * 1024  # a larger file is reported, not read
    issues: bool = True  # and pull requests, with their comments
    releases: bool = False  # what they say; not their assets
    discussions: bool = False  # with their comments and replies
    wikis: bool = False
    wiki_listing_bytes: PositiveInt = 8 * 1024 * 1024  # of the list of a wiki's files: some 100,000 of them
    # At most so long between two listings of all issues and discussions of a repository, which show what was deleted:
    # GitHub tells of that by webhooks alone. 0: in each pass over changes.
    listing_every_s: NonNegativeInt = 24 * 3600
    archived: bool = True  # archived repositories too
    forks: bool = True
    # Whom a public repository is for: members of its organisation, or all of the tenant.
    public: Literal["members", "everyone"] = "members"
    users: Table = Field(default_factory=dict)  # login or numeric id of an account -> id of the directory's user

    @model_validator(mode="after")
    def _one_scope(self) -> Self:
        if (self.app is None) != (self.installation is None):
            raise ValueError("give `app` and `installation` together, or a token and neither")
        given = (self.organisation is not None) + bool(self.repositories)
        if given > 1 or (not given and self.installation is None):
            raise ValueError("give either `organisation` or `repositories` (a list of owner/name)")
        if any(each.count("/") != 1 or not all(each.split("/")) for each in self.repositories):
            raise ValueError("repositories: write each as owner/name, in a list")
        return self

    @property
    def of_installation(self) -> bool:
        """Say whether all is read that the installation may read."""
        return self.organisation is None and not self.repositories

    @property
    def home(self) -> str:
        """Return the API's address: paths are relative to it."""
        return self.url if self.url.endswith("/") else f"{self.url}/"

    @property
    def git_url(self) -> str:
        """Return where repositories are cloned from: beside `api.`, or beside `api/v3/` on a server of your own."""
        found = urlsplit(self.home)
        host = found.netloc if found.path == "/api/v3/" else found.netloc.removeprefix("api.")
        return f"{found.scheme}://{host}/"

    @property
    def graphql_url(self) -> str:
        """Return where GraphQL is asked: beside REST's `v3/` on a server of your own."""
        return f"{self.home.removesuffix('v3/')}graphql"
