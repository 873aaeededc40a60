"""Signature Version 4 of requests without a body.

Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who asks."""

    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None


def encoded_path(path: str) -> str:
    """Encode a path as S3 signs it: everything but slashes and unreserved characters, dots as they are."""
    return quote(path, safe="/~")


def encoded_query(query: Mapping[str, str]) -> str:
    """Encode a query as S3 signs it: in the order of the encoded names, spaces as %20."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    credentials: Credentials,
    region: str,
    at: datetime,
) -> dict[str, str]:
    """Return the headers, `host` among them, with a date and a signature; `target` is path?query, encoded as above."""
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    all_headers = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    all_headers |= {"x-amz-date": stamp, "x-amz-content-sha256": EMPTY_SHA256}
    if credentials.session_token is not None:
        all_headers["x-amz-security-token"] = credentials.session_token.get_secret_value()
    names = ";".join(sorted(all_headers))
    path, _, query = target.partition("?")
    lines = "".join(f"{name}:{all_headers[name]}\n" for name in sorted(all_headers))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{EMPTY_SHA256}"
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_access_key.get_secret_value()}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    all_headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return all_headers
