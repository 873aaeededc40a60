"""Accounts of a source are users of the directory by name, by address, or not at all."""

import pytest

from connectors.identities import Identities


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
