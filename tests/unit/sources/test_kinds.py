"""Settings are judged as their kind means them, and what is refused is named with a remedy and never quoted."""

import traceback

import pytest

from connectors.registry import KINDS as CONNECTED
from headwater.sources.judging import SettingError
from headwater.sources.kinds import KINDS, check_references, check_settings

# What each kind takes. Every field of every kind is tried below with a text that no answer may quote.
GOOD: dict[str, dict[str, str]] = {
    "airbyte": {
        "reader": "wiki",
        "config": "{subdomain: acme, token_url: 'https://login.example.com/', credentials: {auth_type: token}}",
        "streams": "{pages: {id: id, text: body, attributes: {token: meta.token}}}",
        "access": "{readers: [everyone]}",
    },
    "confluence": {"url": "https://wiki.example.com/", "spaces": "[ENG, HR]", "users": "{token: ann, secret: bob}"},
    "filesystem": {"root": "/srv/handbook", "watch": "true"},
    "github": {"organisation": "acme", "users": "{octocat: ann}", "max_bytes": "1000"},
    "objects": {"url": "s3://papers/a/", "region": "eu-central-1", "include": '["**/*.md"]', "skip_signature": "true"},
}
CANARY = "canary-c0ffee"


def refused(kind: str, **settings: str) -> SettingError:
    with pytest.raises(SettingError) as error:
        check_settings(kind, settings)
    return error.value


def test_every_kind_with_a_connector_is_judged() -> None:
    assert KINDS.keys() == CONNECTED.keys() == GOOD.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_a_kind_means_is_taken(kind: str) -> None:
    check_settings(kind, GOOD[kind])


def test_what_a_command_reads_needs_no_settings() -> None:
    for kind in ("filesystem", "objects", "outside"):
        check_settings(kind, {})
    assert refused("github").field == "settings"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_name_that_a_kind_does_not_know_is_refused_with_those_that_it_knows(kind: str) -> None:
    error = refused(kind, **GOOD[kind], colour=CANARY)
    assert (error.field, error.fault.split(";")[0][:17]) == ("settings.colour", "not a setting of ")
    assert all(name in error.fault for name in GOOD[kind])


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("github", {"token": CANARY}, "settings.token"),
        ("objects", {"secret_access_key": CANARY}, "settings.secret_access_key"),
        ("outside", {"apiKey": CANARY}, "settings.apiKey"),
        ("outside", {"login": f"{{user: ann, password: {CANARY}}}"}, "settings.login.password"),
        ("outside", {"logins": f"[{{user: ann, password: {CANARY}}}]"}, "settings.logins.password"),
        (
            "airbyte",
            {"config": f"{{credentials: {{access_token: {CANARY}}}}}"},
            "settings.config.credentials.access_token",
        ),
        ("airbyte", {"config": f"{{url: 'https://ann:{CANARY}@x.example'}}"}, "settings.config.url"),
        ("confluence", {"url": f"https://ann:{CANARY}@wiki.example.com/"}, "settings.url"),
        ("confluence", {"spaces": f"[ENG, ghp_{CANARY}]"}, "settings.spaces"),
        ("github", {f"ghp_{CANARY}": "token"}, "settings.…"),
        ("airbyte", {"config": f"{{ghp_{CANARY}: 'https://ann:pass@x.example'}}"}, "settings.config.…"),
    ],
)
def test_a_credential_is_refused_with_the_place_where_it_belongs(kind: str, given: dict[str, str], field: str) -> None:
    error = refused(kind, **{**GOOD.get(kind, {}), **given})
    assert error.field == field
    assert all(each in error.remedy for each in ("`secrets`", "env:NAME", "file:NAME"))
    assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, of in sorted(KINDS.items()) for name in sorted(of.names)]
)
def test_no_refusal_quotes_what_was_given(kind: str, name: str) -> None:
    """Neither does its traceback, which a log may hold."""
    for given in (CANARY, f"[{CANARY}]", f"{{{CANARY}: [{CANARY}]}}", f"[{CANARY}", f"{{prefixes: {{x: {CANARY}}}}}"):
        try:
            check_settings(kind, {**GOOD[kind], name: given})
        except SettingError as error:
            told = "".join(traceback.format_exception(error)).replace(f"settings.{name}.{CANARY}", "")
            assert CANARY not in told


def test_a_reference_is_none_of_a_credential() -> None:
    check_references({"token": "env:wiki-token", "credentials.access_token": "file:zendesk.token"})
    for references, field in (
        ({"token": "env:ghp_0123456789abcdef"}, "secrets.token"),
        ({"ghp_0123456789abcdef": "env:token"}, "secrets"),
    ):
        with pytest.raises(SettingError, match="looks like the credential itself") as error:
            check_references(references)
        assert error.value.field == field
        assert "0123456789abcdef" not in str(error.value)
