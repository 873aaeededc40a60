"""What looks like a credential, and what only sounds like one."""

import pytest

from headwater.sources.credentials import has_credential, is_credentials_name

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "personalAccessToken",
        "API-Key",
        "apikey",
        "client_secret",
        "secret_access_key",
        "access_key_id",
        "account_key",
        "private_key",
        "password",
        "db_passwd",
        "pat",
        "credentials",
        "credentials_json",
        "service_account_key",
        "Authorization",
        "connection_string",
    ],
)
def test_a_credentials_name_is_known(name: str) -> None:
    assert is_credentials_name(name)


@pytest.mark.parametrize(
    "name",
    ["url", "tokens_per_page", "token_url", "auth_type", "key", "project_key", "client_id", "format", "max_tokens", ""],
)
def test_other_names_are_not_taken_for_one(name: str) -> None:
    assert not is_credentials_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "ghp_0123456789abcdef",
        "use ghs_0123456789abcdef for it",
        "github_pat_0123456789abcdef",
        "glpat-0123456789abcdef",
        "xoxb-0123456789-abcdef",
        "ATATT3xFfGF0abcdefgh",
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "a" * 35,
        JWT,
        "hw_default.0123456789abcdef_" + "0" * 48,
        "-----BEGIN RSA PRIVATE KEY-----\nMII",
        "Bearer 0123456789abcdef",
        "Basic dXNlcjpwYXNzd29yZA==",
        "https://user:pass@wiki.example.com/",
        "https://0123456789@github.com/acme",
        "HTTPS://user@wiki.example.com",
        "https://:pass@wiki.example.com",
        "postgres://user:p%40ss@db.example.com/wiki",
        "see https://a.example, https://user:pass@b.example",
        "https://papers.blob.core.windows.net/x?sv=2024&sig=abc",
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=abc",
        "https://wiki.example.com/feed?page=1&access_token=abc",
    ],
)
def test_a_text_with_a_credential_is_known(text: str) -> None:
    assert has_credential(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://wiki.example.com/confluence/?page=1#a@b",
        "https://wiki.example.com/@ann",
        "s3://papers/a@b/",
        "abfss://container@account.dfs.core.windows.net/",
        "ssh://git@github.example.com/acme",
        "ann@example.com",
        "https://[not an address@x",
        "ghp_",
        "a basic idea of what bearer means",
        "AKIA",
        "env:wiki-token",
        "",
    ],
)
def test_other_texts_are_not_taken_for_one(text: str) -> None:
    assert not has_credential(text)
