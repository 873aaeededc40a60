"""An installation's token as git takes it. Source: docs.github.com, "Authenticating as a GitHub App installation"."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.github.app import Installation

GIT_USER: Final = "x-access-token"  # with any token for a password


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationForGit:
    """`Authorization: Basic …` with an installation's token for a password. Implements RenewableCredential."""

    installation: Installation

    @property
    def name(self) -> str:
        """See Credential."""
        return self.installation.name

    async def headers(self) -> Mapping[str, str]:
        """See Credential."""
        token = (await self.installation.headers())["Authorization"].removeprefix("Bearer ")
        return {"Authorization": f"Basic {base64.b64encode(f'{GIT_USER}:{token}'.encode()).decode()}"}

    def refused(self, headers: Mapping[str, str]) -> None:
        """See RenewableCredential."""
        pair = base64.b64decode(headers.get("Authorization", "").removeprefix("Basic ")).decode()
        self.installation.refused({"Authorization": f"Bearer {pair.removeprefix(f'{GIT_USER}:')}"})
