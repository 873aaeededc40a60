"""Which user of the directory an account of a source is. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.ids import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Accounts are matched by name where the source's settings say so, else by the address that the source tells.

    An account that is neither is nobody: what is shared with it alone is found by no one.
    """

    users: Mapping[str, str] = field(default_factory=dict)  # the source's account -> id of the user of the directory
    by_email: bool = True  # users of the directory have their address, in lower case, as their id

    def user_of(self, account: str, *, email: str | None) -> Principal | None:
        """Return the user that an account is. `email`: only what the source itself has verified."""
        if named := self.users.get(account):
            return Principal(f"user:{named}")
        if email and self.by_email:
            return Principal(f"user:{email.lower()}")
        return None
