"""What a source of kind `objects`, a bucket, says in the directory."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr

from headwater.sources.base import BudgetSettings
from headwater.sources.judging import SettingError, typed, unknown_setting
from headwater.sources.rules import PrefixRules
from headwater.sources.setting_types import from_yaml

SIDECARS: Final = ".headwater/access/"
RULES_KEY: Final = ".headwater.yaml"
# What is said in plain, by the URL's scheme. Neither gs: nor az: takes an endpoint: those calls are obstore's own,
# which asks no guard where they lead.
_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"allow_http", "endpoint", "region", "skip_signature", "virtual_hosted_style_request"}),
    "gs": frozenset({"skip_signature"}),
    "az": frozenset({"account_name", "skip_signature"}),
}
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")  # Azure's rule: the name becomes part of the host that is called


class ObjectsSettings(BudgetSettings):
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


def bucket_setting_names() -> frozenset[str]:
    """Return the names of all settings that some bucket has."""
    return frozenset(ObjectsSettings.model_fields) - {"options"} | frozenset[str]().union(*_OPTIONS.values())


def bucket_settings(given: Mapping[str, str]) -> ObjectsSettings:
    """Return a bucket's settings, without its credentials. Fields that are no text are YAML: `include=["**/*.md"]`.

    Raises SettingError naming the field and the remedy.
    """
    scheme = _scheme_of(given.get("url", ""))
    fields: dict[str, Any] = {"url": given["url"]}
    options: dict[str, SecretStr] = {}
    known = (frozenset(ObjectsSettings.model_fields) - {"options"}) | _OPTIONS[scheme]
    for name, value in given.items():
        if name not in known:
            raise unknown_setting(name, known, of=f"{scheme}://")
        if name in _OPTIONS[scheme]:
            options[name] = SecretStr(value)
        elif name != "url":
            fields[name] = _read(name, value)
    if scheme == "az" and not _ACCOUNT.fullmatch(given.get("account_name", "")):
        raise SettingError(
            "settings.account_name", "not the name of a storage account", remedy="it is 3 to 24 of a-z and 0-9"
        )
    return typed(ObjectsSettings, {**fields, "options": options}, of=f"{scheme}://")


def _scheme_of(url: str) -> str:
    """Return a bucket's scheme. Raise SettingError where the URL is none of a bucket."""
    scheme = url.partition("://")[0]
    with suppress(ValueError):
        if scheme in _OPTIONS and urlsplit(url).netloc:
            return scheme
    raise SettingError(
        "settings.url", "not a bucket", remedy="write s3://bucket/prefix/, gs://bucket/ or az://container/"
    )


def _read(name: str, value: str) -> Any:
    with suppress(ValueError):
        return from_yaml(value)
    raise SettingError(f"settings.{name}", "not YAML", remedy="see docs/connect-s3.md for its form")
