"""What looks like a credential where none may be. It guards against mistakes, not against those who hide one.

A source's record is kept in the log and shown to administrators; credentials are named by reference alone.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

# Ends of names, in lower case and without what parts words.
_NAMES: Final = (
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "credentials",
    "credentialsjson",
    "authorization",
    "connectionstring",
    "accesskeyid",
    *(f"{of}key" for of in ("api", "private", "access", "secret", "account", "sas", "signing", "encryption")),
)
_WHOLE_NAMES: Final = frozenset({"pat", "pwd", "serviceaccountjson", "serviceaccountkey"})
_SIGNATURES: Final = frozenset({"sig", "xamzsignature", "xgoogsignature"})  # of an address that opens by itself
# Forms that their issuers document, so that they can be told: GitHub, GitLab, Slack, Atlassian, AWS, Google, JWT, ours,
# keys in PEM, and what an Authorization header holds.
_FORMS: Final = re.compile(
    r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|AT[AC]TT3)[A-Za-z0-9_=-]{8}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."
    r"|\bhw_[a-z0-9_-]{1,63}\.[a-z0-9]{16}_[0-9a-f]{48}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:Bearer|Basic) [A-Za-z0-9+/=._~-]{16}"
)
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_WEB: Final = frozenset({"http", "https"})


def is_credentials_name(name: str) -> bool:
    """Say whether something of that name is a credential, as people name them: `token`, `clientSecret`, `api-key`."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain.endswith(_NAMES) or plain in _WHOLE_NAMES


def has_credential(text: str) -> bool:
    """Say whether a text has a credential in it: by its form, or in an address."""
    return _FORMS.search(text) is not None or any(_opens(found[0]) for found in _ADDRESS.finditer(text))


def leaves(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what a value of YAML holds, each with the names that lead to it; of a list its place is no name."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, *path, str(name))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from leaves(below, *path)
    else:
        yield path, value


def _opens(address: str) -> bool:
    """Say whether an address has a user's password or a signature in it; on the web a user alone may be a token."""
    try:
        parts = urlsplit(address)
    except ValueError:  # no address after all
        return False
    user, at, _ = parts.netloc.rpartition("@")
    if at and user and (":" in user or parts.scheme.lower() in _WEB):
        return True
    names = (re.sub(r"[^a-z0-9]", "", name.lower()) for name, _ in parse_qsl(parts.query))
    return any(name in _SIGNATURES or is_credentials_name(name) for name in names)
