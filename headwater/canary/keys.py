"""The canary's own keys: two, of its own tenant, in a file that only its owner may read."""

import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from headwater.errors import FatalError

OWNER: Final = "canary"  # writes, and administers the canary's tenant
WITNESS: Final = "witness"  # may only read, and what it may read the owner changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Both keys. Their repr leaves the secrets out."""

    owner: str
    witness: str

    def __repr__(self) -> str:
        return "Keys(...)"


def read_keys(file: Path) -> Keys | None:
    """Return the keys of an earlier start, None where there are none. Raise FatalError where others may read them."""
    try:
        content = file.read_text()
    except FileNotFoundError:
        return None
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise FatalError(f"{file}: others may read it; delete it, withdraw its keys and start the canary again")
    try:
        held = json.loads(content)
        return Keys(owner=str(held["owner"]), witness=str(held["witness"]))
    except (ValueError, KeyError, TypeError):
        return None  # not ours, or cut off: new ones are made


def write_keys(file: Path, keys: Keys) -> None:
    """Replace the file at once; it is 0600 from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(asdict(keys), opened)
    temporary.replace(file)
