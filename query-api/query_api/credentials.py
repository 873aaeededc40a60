"""API keys: their form, their keyed hash, and the server secret that both hash keys and sign query ids."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.errors import FatalError
from schemas.ids import TenantId

SECRET_BYTES: Final = 32
# `hw_TENANT.ID_SECRET`: the tenant is part of the public half, so that a key is found without a global index.
_KEY = re.compile(r"hw_(?P<tenant>[a-z0-9_-]{1,63})\.(?P<id>[a-z0-9]{16})_(?P<secret>[0-9a-f]{48})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedKey:
    """A key as a caller shows it. Its repr leaves the secret out."""

    tenant_id: TenantId
    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"PresentedKey({self.tenant_id}.{self.key_id})"

    def text(self) -> str:
        """Return what the caller sends: shown once, when it is made."""
        return f"hw_{self.tenant_id}.{self.key_id}_{self.secret}"


class ServerSecret:
    """The secret of this installation: the same file for every replica."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def __repr__(self) -> str:
        return "ServerSecret(...)"

    def hash_key(self, key: PresentedKey) -> str:
        """Return the keyed hash that is stored of an API key (HMAC-SHA256, hex). Bound to its tenant and id."""
        return self.sign("api-key", f"{key.tenant_id}.{key.key_id}.{key.secret}".encode()).hex()

    def matches(self, key: PresentedKey, stored_hash: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.hash_key(key), stored_hash)

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Return 32 bytes that only this installation can make. A signature for one purpose is none for another."""
        return hmac.digest(self._raw, purpose.encode() + b"\x00" + message, hashlib.sha256)


def new_key(tenant: TenantId) -> PresentedKey:
    """Make a key with 192 random bits of secret."""
    return PresentedKey(tenant_id=tenant, key_id=secrets.token_hex(8), secret=secrets.token_hex(24))


def parse_key(text: str) -> PresentedKey | None:
    """Read a key; None where the text has another form."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        return None
    return PresentedKey(tenant_id=TenantId(found["tenant"]), key_id=found["id"], secret=found["secret"])


def load_server_secret(file: Path) -> ServerSecret:
    """Read the secret; the first process to start makes it. Raise FatalError where others may read the file."""
    content = write_once(file, secrets.token_hex(SECRET_BYTES))
    try:
        raw = bytes.fromhex(content.strip())
    except ValueError:
        raw = b""
    if len(raw) < SECRET_BYTES:
        raise FatalError(
            f"HEADWATER_API__SECRET_FILE {file}: not {SECRET_BYTES} bytes in hex; restore it from the backup. "
            "Without it every API key is void: move the file away, and new keys must be made"
        )
    return ServerSecret(raw)


def write_once(file: Path, content: str) -> str:
    """Create a 0600 file unless it exists, and return what it holds: of two processes the first one wins.

    A hard link appears whole or not at all, so that nobody reads half a secret.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(content + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()
    return read_private(file)


def read_private(file: Path) -> str:
    """Read a file that only its owner may read; raise FatalError where others may."""
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise FatalError(f"{file}: others may read it; run `chmod 600 {file}`, and rotate what it holds")
    return file.read_text().strip()
