"""A bucket as a source of the directory: settings are text there, and credentials references."""

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
    try:
        return ObjectsSettings.model_validate({**fields, "options": options})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FatalError(f"settings.{field}: {first['msg']}; see docs/connect-s3.md") from error


def _yaml(name: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise FatalError(f"settings.{name}: not YAML; see docs/connect-s3.md for its form") from error
