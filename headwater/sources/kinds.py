"""The kinds of sources that have a connector here, one line each, and what may be said in the directory of any."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from headwater.sources.airbyte import AirbyteSettings
from headwater.sources.base import SourceSettings
from headwater.sources.confluence import ConfluenceSettings
from headwater.sources.credentials import has_credential, is_credentials_name, leaves
from headwater.sources.filesystem import FilesystemSettings
from headwater.sources.github import GithubSettings
from headwater.sources.judging import SettingError, field_of, typed
from headwater.sources.objects import bucket_setting_names, bucket_settings
from headwater.sources.setting_types import from_yaml

_REFERENCE: Final = (
    "name under `secrets` where it is, as env:NAME or file:NAME (docs/connectors.md): settings are kept and shown"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """One line of the table. `check` raises SettingError."""

    check: Callable[[Mapping[str, str]], object]
    names: frozenset[str]  # of settings: what is declared is no credential, whatever it is called
    tables: frozenset[str] = frozenset()  # settings in whose tables a stranger chooses the names
    by_command: bool = False  # a command may say on its own line what is read: then the directory says nothing


def _kind(
    name: str, model: type[SourceSettings], *, tables: frozenset[str] = frozenset(), by_command: bool = False
) -> SourceKind:
    return SourceKind(
        check=lambda given: typed(model, given, of=f"kind {name}"),
        names=frozenset(model.model_fields),
        tables=tables,
        by_command=by_command,
    )


KINDS: Final[Mapping[str, SourceKind]] = {
    "airbyte": _kind("airbyte", AirbyteSettings, tables=frozenset({"config"})),
    "confluence": _kind("confluence", ConfluenceSettings),
    "filesystem": _kind("filesystem", FilesystemSettings, by_command=True),
    "github": _kind("github", GithubSettings),
    "objects": SourceKind(check=bucket_settings, names=bucket_setting_names(), by_command=True),
}


def check_settings(kind: str, given: Mapping[str, str]) -> None:
    """Raise SettingError for settings that may not be written: a credential, or what the kind does not know.

    Of a kind without a line here, somebody else's, only credentials are looked for.
    """
    known = KINDS.get(kind)
    for name, value in given.items():
        _check_no_credential(name, value, known)
    if known is not None and (given or not known.by_command):
        known.check(given)


def check_references(references: Mapping[str, str]) -> None:
    """Raise SettingError for a reference whose name has the form of a credential."""
    for name, reference in references.items():
        if has_credential(reference.partition(":")[2]) or has_credential(name):
            field = "secrets" if has_credential(name) else f"secrets.{name}"
            raise SettingError(field, "looks like the credential itself", remedy="write where it is instead")


def _check_no_credential(name: str, value: str, known: SourceKind | None) -> None:
    if has_credential(name):
        raise SettingError(field_of(name), "a name that looks like a credential itself", remedy=_REFERENCE)
    if (known is None or name not in known.names) and is_credentials_name(name):
        raise SettingError(field_of(name), "a credential, by its name", remedy=_REFERENCE)
    for path, leaf in leaves(_read(value)):
        if isinstance(leaf, str) and has_credential(leaf):
            raise SettingError(field_of(name, *path), "has a credential in it", remedy=_REFERENCE)
        chosen = known is None or name in known.tables
        if chosen and path and is_credentials_name(path[-1]) and leaf and not isinstance(leaf, bool):
            raise SettingError(field_of(name, *path), "a credential, by its name", remedy=_REFERENCE)


def _read(value: str) -> object:
    """Return a table or a list that a setting holds; else its text."""
    try:
        found = from_yaml(value)
    except ValueError:
        return value
    return found if isinstance(found, dict | list) else value
