"""A bucket as a source of the directory: settings are text there, and credentials references."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import SecretStr, ValidationError

from connectors.objects.settings import ObjectsSettings
from headwater.errors import FatalError

# By the URL's scheme: what is said in plain, and what is secret. Neither gs: nor az: takes an endpoint: those
# calls are obstore's own, which asks no guard where they lead.
_PLAIN: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"allow_http", "endpoint", "region", "skip_signature", "virtual_hosted_style_request"}),
    "gs": frozenset({"skip_signature"}),
    "az": frozenset({"account_name", "skip_signature"}),
}
_SECRET: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"access_key_id", "secret_access_key", "session_token"}),
    "gs": frozenset({"service_account_key"}),
    "az": frozenset({"account_key", "sas_key"}),
}
_FIELDS: Final = frozenset(ObjectsSettings.model_fields) - {"url", "options"}
# Both become part of the host that obstore calls. Azure's rule for names of accounts; a key of Google's that says
# where the store is, or that it shall not be signed in to, is one for an emulator.
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")
_LEADS_ELSEWHERE: Final = ("gcs_base_url", "disable_oauth")


def source_settings(given: Mapping[str, str], secrets: Mapping[str, SecretStr]) -> ObjectsSettings:
    """Return a bucket's settings. Fields that are no text are YAML: `include=["**/*.md"]`.

    Raises FatalError naming the field and the remedy.
    """
    url = given.get("url", "")
    scheme = url.partition("://")[0]
    if scheme not in _PLAIN:
        raise FatalError("settings.url: not a bucket; write s3://bucket/prefix/, gs://bucket/ or az://container/")
    fields: dict[str, Any] = {"url": url}
    options: dict[str, SecretStr] = {}
    for name, value in given.items():
        if name in _FIELDS:
            fields[name] = _yaml(name, value)
        elif name in _PLAIN[scheme]:
            options[name] = SecretStr(value)
        elif name != "url":
            known = ", ".join(sorted(_FIELDS | _PLAIN[scheme]))
            raise FatalError(f"settings.{name}: not a setting of {scheme}://; there are url, {known}")
    for name, secret in secrets.items():
        if name not in _SECRET[scheme]:
            raise FatalError(
                f"secrets.{name}: not a secret of {scheme}://; there are {', '.join(sorted(_SECRET[scheme]))}"
            )
        options[name] = secret
    _check_cloud(scheme, options)
    try:
        return ObjectsSettings.model_validate({**fields, "options": options})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FatalError(f"settings.{field}: {first['msg']}; see docs/connect-s3.md") from error


def _check_cloud(scheme: str, options: Mapping[str, SecretStr]) -> None:
    """Raise FatalError for options by which obstore would call another host than the cloud's, or as somebody else.

    Without a credential it asks the host's environment and the metadata service for the worker's own.
    """
    account = options.get("account_name")
    if scheme == "az" and (account is None or not _ACCOUNT.fullmatch(account.get_secret_value())):
        raise FatalError("settings.account_name: not the name of a storage account: 3 to 24 of a-z and 0-9")
    is_public = "skip_signature" in options and options["skip_signature"].get_secret_value().lower() == "true"
    # s3:// is signed by our own client, which has no other way to a credential.
    if scheme != "s3" and not is_public and not _SECRET[scheme] & options.keys():
        wanted = " or ".join(sorted(_SECRET[scheme]))
        raise FatalError(f"secrets: {wanted} is missing; give it, or skip_signature=true for a public bucket")
    if "service_account_key" in options:
        _check_key(options["service_account_key"])


def _check_key(key: SecretStr) -> None:
    try:
        said = dict(json.loads(key.get_secret_value()).items())
    except (ValueError, AttributeError) as error:
        raise FatalError("secrets.service_account_key: not the JSON of a service account's key") from error
    for name in _LEADS_ELSEWHERE:
        if name in said:
            raise FatalError(f"secrets.service_account_key: names {name}; give the key as Google made it")


def _yaml(name: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise FatalError(f"settings.{name}: not YAML; see docs/connect-s3.md for its form") from error
