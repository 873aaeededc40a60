"""What a bucket is connected with: `HEADWATER_OBJECTS__URL` and so on."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from connectors.rules import Rule
from headwater.errors import FatalError

SIDECARS: Final = ".headwater/access/"
RULES_KEY: Final = ".headwater.yaml"


class BucketRules(Rule, frozen=True, extra="forbid"):
    """Who may read: a rule for everything below the prefix, and narrower ones by prefix of the key."""

    prefixes: Mapping[str, Rule] = Field(default_factory=dict)


class ObjectsSettings(BaseModel, frozen=True, extra="forbid"):
    """One bucket, or the part of it below a prefix: `s3://bucket/prefix/`, `gs://`, `az://`, `file:`.

    `options` are obstore's names: access_key_id, secret_access_key, session_token, region, endpoint,
    virtual_hosted_style_request, skip_signature for S3; account and key or a service account for the others.
    """

    url: str
    options: dict[str, SecretStr] = Field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: PositiveInt = 100 * 1024 * 1024  # as the blob store's own limit; a larger object is reported
    access: BucketRules | None = None  # None: the object `.headwater.yaml` at the prefix says it
    access_sidecars: bool = False  # `.headwater/access/KEY` narrows the access of KEY; one more listing
    access_tags: bool = False  # tags `headwater-readers`, `headwater-deny`; one request an object and pass
    tag_requests: PositiveInt = 16  # side by side

    @property
    def bucket(self) -> str:
        """Return the bucket's name; of a folder, its path."""
        return urlsplit(self.url).netloc or self.url

    @property
    def root(self) -> str:
        """Return the URL without the prefix: of the whole bucket."""
        return self.url.removesuffix("/").removesuffix(self.prefix.removesuffix("/")).rstrip("/")

    @property
    def prefix(self) -> str:
        """Return what all keys begin with: empty, or ending in a slash. Exactly one slash parts it from the bucket."""
        if self.url.startswith(("file:", "memory:")):
            return ""
        _, _, rest = self.url.partition("://")
        below = rest.partition("/")[2]
        return below if not below or below.endswith("/") else f"{below}/"


class _Named(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HEADWATER_OBJECTS__", env_nested_delimiter="__", frozen=True)
    options: dict[str, SecretStr] = Field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: int | None = None
    access: BucketRules | None = None
    access_sidecars: bool = False
    access_tags: bool = False


def settings_from_environment(url: str) -> ObjectsSettings:
    """Return the settings of one bucket run by hand. Raise FatalError naming the variable that is wrong."""
    try:
        named = _Named().model_dump(exclude_unset=True, exclude_none=True)
        return ObjectsSettings.model_validate({"url": url, **named})
    except (ValidationError, SettingsError) as error:
        told = (
            "; ".join(
                f"{'__'.join(str(part) for part in each['loc']).upper()}: {each['msg']}" for each in error.errors()
            )
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise FatalError(f"HEADWATER_OBJECTS__{told}") from error
