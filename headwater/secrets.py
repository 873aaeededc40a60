"""Secrets by reference: `env:NAME`, `file:/path`, `mount:name`. Resolved late, never printed.

Whoever may configure a source names references; so they reach only what was set aside for sources, not the process's
own secrets: variables with a prefix, and files below the folders of the settings.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from headwater.errors import FatalError
from headwater.settings import SecretSettings

MAX_SECRET_BYTES: Final = 64 * 1024
_OTHERS_MAY_READ: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class SecretKind(StrEnum):
    """Where a secret lies."""

    ENVIRONMENT = "env"
    FILE = "file"
    MOUNT = "mount"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """Where a secret lies; safe to print and to store."""

    kind: SecretKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind:name`. Raises FatalError without quoting the text: it may be the secret itself, by mistake."""
        kind, _, name = text.partition(":")
        if kind not in set(SecretKind) or not name or not name.isprintable():
            raise FatalError(
                "a secret is given by reference: env:NAME, file:/path or mount:name; what was given is none of these"
            )
        return cls(kind=SecretKind(kind), name=name)


class Secrets:
    """Finds secrets; reads them anew each time."""

    def __init__(self, settings: SecretSettings, *, environment: Mapping[str, str] = os.environ) -> None:
        self._settings, self._environment = settings, environment

    def resolve(self, reference: SecretReference) -> SecretStr:
        """Return the secret, without the line end at its end. Raises FatalError naming the reference and the remedy."""
        match reference.kind:
            case SecretKind.ENVIRONMENT:
                value = self._variable(reference)
            case SecretKind.FILE:
                value = self._file(reference, Path(reference.name), forbidden=_OTHERS_MAY_READ, mode="600")
            case SecretKind.MOUNT:
                path = self._settings.mount_folder / reference.name
                value = self._file(reference, path, forbidden=_OTHERS_MAY_WRITE, mode="444")
        if not value:
            raise FatalError(f"the secret {reference} is empty; put the secret there")
        return SecretStr(value)

    def _variable(self, reference: SecretReference) -> str:
        prefix = self._settings.variable_prefix
        if not reference.name.startswith(prefix):
            raise FatalError(f"the secret {reference} is not for sources; name a variable that begins with {prefix}")
        try:
            return self._environment[reference.name].rstrip("\r\n")
        except KeyError as error:
            raise FatalError(f"the secret {reference} is missing; set {reference.name} for this process") from error

    def _file(self, reference: SecretReference, path: Path, *, forbidden: int, mode: str) -> str:
        folders = [self._settings.mount_folder] if reference.kind is SecretKind.MOUNT else self._settings.file_folders
        try:
            real = path.resolve(strict=True)
            if not any(real.is_relative_to(folder.resolve()) for folder in folders):
                raise FatalError(
                    f"the secret {reference} lies outside the folders for secrets of sources; move it, or name its "
                    "folder in secrets.file_folders"
                )
            with real.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & forbidden:
                    raise FatalError(f"the secret {reference} is open to others; close it: chmod {mode} {path}")
                content = file.read(MAX_SECRET_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FatalError(f"the secret {reference} is missing; put it there, readable for this process") from error
        except OSError as error:
            raise FatalError(f"the secret {reference} cannot be read ({error.strerror}); correct its rights") from error
        if len(content) > MAX_SECRET_BYTES:
            raise FatalError(f"the secret {reference} is larger than {MAX_SECRET_BYTES} bytes; name the right file")
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise FatalError(f"the secret {reference} is not text; name the right file") from error
