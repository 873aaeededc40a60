"""A GitHub App as GitHub sees it: signatures are verified, tokens end, and an installation has some repositories."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.github_state import ORGANISATION, Repo, stamp

ALL_RIGHTS = ("administration", "contents", "issues", "members", "metadata", "pull_requests")


@cache
def private_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@cache
def pem() -> str:
    return private_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@dataclass(slots=True)
class FakeApp:
    """An app with one installation, in the organisation."""

    app: str = "77"
    installation: int = 42
    rights: tuple[str, ...] = ALL_RIGHTS
    selected: set[int] | None = None  # repositories it is installed for; None: all
    suspended: bool = False
    requests_a_token: int = 1_000_000  # then it is refused, as a revoked one is
    tokens: dict[str, tuple[datetime, int]] = field(default_factory=dict)  # until when, for how many requests
    given: int = 0
    grants: dict[str, Any] | None = None  # in place of a token

    def grant(self, now: datetime) -> dict[str, Any]:
        """Give a token of an hour."""
        if self.grants is not None:
            return self.grants
        self.given += 1
        token, until = f"ghs_secret{self.given}", now + timedelta(hours=1)
        self.tokens[token] = until, self.requests_a_token
        return {
            "token": token,
            "expires_at": stamp(until),
            "permissions": dict.fromkeys(self.rights, "read"),
            "repository_selection": "all" if self.selected is None else "selected",
        }

    def uninstall(self) -> None:
        """Take the app away: its tokens end at once, and the installation is not there any more."""
        self.tokens.clear()
        self.installation = 0

    def opens(self, authorization: str, now: datetime) -> bool:
        """Say whether a token is good for one more request."""
        token = authorization.removeprefix("Bearer ")
        until, left = self.tokens.get(token, (now, 0))
        self.tokens[token] = until, left - 1
        return now < until and left > 0

    def is_signed(self, authorization: str, now: datetime) -> bool:
        """Say whether the app signed this, a moment ago and for ten minutes at the most."""
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "),
                private_key().public_key(),
                algorithms=["RS256"],
                issuer=self.app,
                options={"verify_exp": False, "verify_iat": False, "require": ["iat", "exp", "iss"]},
            )
        except jwt.InvalidTokenError:
            return False
        issued, ends = (datetime.fromtimestamp(claims[name], tz=UTC) for name in ("iat", "exp"))
        return issued <= now < ends <= now + timedelta(minutes=10)

    def has(self, repo: Repo) -> bool:
        """Say whether the app is installed for a repository."""
        return repo.owner == ORGANISATION and (self.selected is None or repo.id in self.selected)
