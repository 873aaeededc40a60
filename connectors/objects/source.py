"""A bucket as a source of the directory: settings are text there, and credentials references."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml
from pydantic import SecretStr, ValidationError

from headwater.errors import FatalError
from headwater.sources.objects import ObjectsSettings, bucket_settings

_SECRET: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"access_key_id", "secret_access_key", "session_token"}),
    "gs": frozenset({"service_account_key"}),
    "az": frozenset({"account_key", "sas_key"}),
}
# A key of Google's that says where the store is, or that it shall not be signed in to, is one for an emulator.
_LEADS_ELSEWHERE: Final = ("gcs_base_url", "disable_oauth")


def source_settings(given: Mapping[str, str], secrets: Mapping[str, SecretStr]) -> ObjectsSettings:
    """Return a bucket's settings with its credentials among the options.

    Raises FatalError naming the field and the remedy.
    """
    settings = bucket_settings(given)
    scheme = settings.url.partition("://")[0]
    for name in secrets:
        if name not in _SECRET[scheme]:
            raise FatalError(
                f"secrets.{name}: not a secret of {scheme}://; there are {', '.join(sorted(_SECRET[scheme]))}"
            )
    options = {**settings.options, **secrets}
    _check_cloud(scheme, options)
    return settings.model_copy(update={"options": options})


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


def _check_cloud(scheme: str, options: Mapping[str, SecretStr]) -> None:
    """Raise FatalError for options by which obstore would call another host than the cloud's, or as somebody else.

    Without a credential it asks the host's environment and the metadata service for the worker's own.
    """
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
