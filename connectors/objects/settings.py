"""What a bucket is connected with: a URL, and a file with the rest."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml
from pydantic import Field, PositiveInt, SecretStr, ValidationError

from connectors.budgets import BudgetSettings
from connectors.prefixes import PrefixRules
from headwater.errors import FatalError

SIDECARS: Final = ".headwater/access/"
RULES_KEY: Final = ".headwater.yaml"


class ObjectsSettings(BudgetSettings, frozen=True, extra="forbid"):
    """One bucket, or the part of it below a prefix: `s3://bucket/prefix/`, `gs://`, `az://`, `file:`.

    `options` are obstore's names: access_key_id, secret_access_key, session_token, region, endpoint,
    virtual_hosted_style_request, skip_signature for S3; account and key or a service account for the others.
    """

    url: str
    options: dict[str, SecretStr] = Field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: PositiveInt = 100 * 1024 * 1024  # as the blob store's own limit; a larger object is reported
    access: PrefixRules | None = None  # None: the object `.headwater.yaml` at the prefix says it
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
    def is_folder(self) -> bool:
        """Say whether it is a folder of this host, or memory: nothing that a network leads to."""
        return self.url.startswith(("file:", "memory:"))

    @property
    def prefix(self) -> str:
        """Return what all keys begin with: empty, or ending in a slash. Exactly one slash parts it from the bucket."""
        if self.is_folder:
            return ""
        _, _, rest = self.url.partition("://")
        below = rest.partition("/")[2]
        return below if not below or below.endswith("/") else f"{below}/"


def settings_of(url: str, file: Path | None) -> ObjectsSettings:
    """Return the settings of one bucket, all but its URL from a YAML file. Raise FatalError naming the field."""
    try:
        given = yaml.safe_load(file.read_bytes()) if file is not None else {}
        return ObjectsSettings.model_validate({**(given or {}), "url": url})
    except OSError as error:
        raise FatalError(f"settings {file}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise FatalError(f"settings {file}: not a YAML mapping; see docs/connect-s3.md for its form") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FatalError(f"settings {file}: {field}: {first['msg']}; see docs/connect-s3.md") from error
