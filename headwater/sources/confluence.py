"""What a Confluence site is connected with."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from headwater.sources.base import BudgetSettings
from headwater.sources.setting_types import Names, Table

CLOUD: Final = "cloud"
DATA_CENTER: Final = "data_center"
_CLOUD_HOST: Final = ".atlassian.net"


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an address; write https://wiki.example.com/ or https://example.atlassian.net/wiki/")
    return value if value.endswith("/") else f"{value}/"


class ConfluenceSettings(BudgetSettings):
    """One site, or some spaces of it."""

    url: Annotated[str, AfterValidator(_address)]
    deployment: Literal["cloud", "data_center"] | None = None  # None: Cloud where the address is Atlassian's
    email: str | None = None  # Cloud: whose API token `secrets.token` is
    cloud_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None  # Cloud: for tokens with scopes
    client_id: str | None = None  # Cloud: of a service account's OAuth 2.0 credential, with `secrets.client_secret`
    spaces: Names = ()  # keys; empty: every current space that the account may view
    exclude_spaces: Names = ()
    blog_posts: bool = True
    comments: bool = True  # documents of their own, with their page's access
    attachments: bool = True  # likewise
    max_bytes: PositiveInt = 100 * 1024 * 1024  # larger attachments are reported, not read
    users: Table = Field(default_factory=dict)  # account id, user name or user key -> user of the directory
    by_email: bool = True  # users of the directory have their address as their id
    by_username: bool = False  # Data Center: users of the directory have their Confluence user name as their id
    open_folders: bool = False  # Cloud: a folder of which no restriction is told has none; else it is nobody's
    nested_groups: bool = True  # Data Center: one request a group of the site and pass
    listing_every_s: NonNegativeInt = 0  # between complete listings in passes over changes; 0: in every one
    overlap_minutes: PositiveInt = 15  # of two searches: the index is written late
    page_size: PositiveInt = 100  # items a request; the site may give fewer

    @model_validator(mode="after")
    def _complete(self) -> "ConfluenceSettings":
        if self.is_cloud and not self.email and not self.client_id:
            raise ValueError(
                "email is missing, or client_id: Cloud takes an API token with the address of its account, or the "
                "OAuth 2.0 credential of a service account"
            )
        if self.email and self.client_id:
            raise ValueError("email and client_id: one credential is enough; leave one of them out")
        if self.client_id and not self.cloud_id:
            raise ValueError("cloud_id is missing: what client_id opens is behind Atlassian's gateway alone")
        if (self.client_id or self.cloud_id) and not self.is_cloud:
            raise ValueError("client_id and cloud_id are Cloud's; Data Center takes a personal access token")
        if self.by_username and self.is_cloud:
            raise ValueError("by_username is for Data Center: accounts of Cloud have no user names")
        return self

    @property
    def is_cloud(self) -> bool:
        """Say whether the site speaks Cloud's dialect."""
        if self.deployment is None:
            return (urlsplit(self.url).hostname or "").endswith(_CLOUD_HOST)
        return self.deployment == CLOUD

    def takes(self, space_key: str) -> bool:
        """Say whether a space is connected."""
        return (not self.spaces or space_key in self.spaces) and space_key not in self.exclude_spaces
