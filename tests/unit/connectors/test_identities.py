"""Accounts of a source are users of the directory by name, by address, or not at all."""

import pytest
from pydantic import BaseModel, ValidationError

from connectors.identities import Identities
from connectors.setting_types import Names, Table


class Settings(BaseModel, frozen=True, extra="forbid"):
    spaces: Names = ()
    users: Table = {}


@pytest.mark.parametrize(
    ("account", "email", "user"),
    [("octocat", "o@example.org", "user:ann"), ("bob", "Bob@Example.org", "user:bob@example.org"), ("eve", None, None)],
)
def test_an_account_is_the_user_that_is_named_or_has_its_address(
    account: str, email: str | None, user: str | None
) -> None:
    assert Identities(users={"octocat": "ann"}).user_of(account, email=email) == user


def test_addresses_count_only_where_they_may() -> None:
    assert Identities(by_email=False).user_of("bob", email="bob@example.org") is None


def test_lists_and_tables_are_written_as_yaml() -> None:
    settings = Settings.model_validate({"spaces": "[ENG, HR]", "users": "{octocat: ann}"})
    assert (settings.spaces, settings.users) == (("ENG", "HR"), {"octocat": "ann"})
    with pytest.raises(ValidationError, match="not YAML; write a list as"):
        Settings.model_validate({"spaces": "["})
