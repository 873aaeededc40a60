"""A GitHub App: what it signs, tokens that end, what it is installed for, and that nothing of it is told."""

import json
import logging
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr, ValidationError

from connectors.github.app import AppSignature, utc_now
from connectors.github.source import github_connector
from connectors.protocol import Deleted
from headwater.errors import FatalError, SourceGoneError, UnauthorisedError
from headwater.sources.github import GithubSettings
from schemas.ids import KnowledgeBaseId, SourceId
from tests.support.github_app import ALL_RIGHTS, pem, private_key
from tests.support.github_source import OrganisationSource
from tests.support.github_state import BEGUN, Repo
from tests.support.sources import Follower


@pytest.fixture
def repo(source: OrganisationSource) -> Repo:
    source.become_app()
    repo = source.state.add_repo("code")
    repo.put("a.md", b"text\n")
    return repo


async def test_a_signature_is_short_and_backdated() -> None:
    signature = AppSignature(app="77", key=lambda: SecretStr(pem()), now=lambda: BEGUN)
    token = (await signature.headers())["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(
        token, private_key().public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
    )
    begun = int(BEGUN.timestamp())
    assert claims == {"iss": "77", "iat": begun - 60, "exp": begun - 60 + 9 * 60}
    assert pem() not in repr(signature)


def elliptic() -> str:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "key",
    ["", "none", "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n", elliptic()],
    ids=["none", "word", "half", "elliptic"],
)
async def test_a_key_that_is_none_is_named_and_not_told(key: str) -> None:
    signature = AppSignature(app="77", key=lambda: SecretStr(key))
    with pytest.raises(UnauthorisedError, match=r"secrets\.private_key is no RSA key in PEM") as refused:
        await signature.headers()
    assert refused.value.__context__ is None


async def test_a_token_serves_until_shortly_before_its_end(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.skew = timedelta(seconds=50)  # our clock is fast; the token's life is counted by the server's
    connector = source.connector()
    await follower.submit(connector.changes({}))
    assert follower.view() == source.truth()
    source.state.tick(53 * 60)
    await follower.submit(connector.changes(dict(follower.cursor)))
    assert source.server.app.given == 1
    source.state.tick(2 * 60)
    await follower.submit(connector.changes(dict(follower.cursor)))
    assert source.server.app.given == 2


@pytest.mark.usefixtures("repo")
async def test_an_installation_is_listed_to_its_last_page(source: OrganisationSource, follower: Follower) -> None:
    for number in range(7):
        source.state.add_repo(f"r{number}").put("a.md", b"text\n")
    await follower.follow()
    assert len(follower.view()) == 8
    assert follower.view() == source.truth()


async def test_a_source_of_the_directory_goes_by_the_clock_of_its_worker(
    source: OrganisationSource, repo: Repo
) -> None:
    source.state.now = utc_now()
    settings = GithubSettings(url=source.server.url, **source.settings)
    asked: list[str] = []

    def secret(name: str) -> SecretStr:
        asked.append(name)
        return SecretStr(pem())

    connector = github_connector(
        settings, egress=source.egress, secret=secret, source=SourceId("hub"), knowledge_base=KnowledgeBaseId("code")
    )
    await connector.check()
    assert set(asked) == {"private_key"}
    assert source.server.app.given == 1


async def test_a_token_that_is_refused_is_replaced_and_the_pass_goes_on(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    source.server.app.requests_a_token = 2
    await follower.follow()
    assert follower.view() == source.truth()
    assert source.server.app.given > 2


async def test_an_app_that_is_uninstalled_deletes_nothing(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    await follower.follow()
    source.server.app.installation = 43
    with pytest.raises(UnauthorisedError, match=r"settings\.installation 42: app 77 is not installed there"):
        await follower.follow()
    assert follower.deleted == []


async def test_a_repository_that_is_not_selected_any_more_goes_though_it_is_public(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    other = source.state.add_repo("other", visibility="public")
    other.put("b.md", b"text\n")
    source.state.add_repo("elsewhere", owner="globex", visibility="public").put("c.md", b"text\n")
    source.server.app.selected = {repo.id, other.id}
    await follower.follow()
    assert follower.view() == source.truth()
    source.server.app.selected = {repo.id}
    named = [f"repo:{other.id}"]
    changes = await follower.submit(source.connector().items(named, dict(follower.cursor)))
    assert [(each.external_id, type(each.what)) for each in changes] == [(f"repo:{other.id}/file/b.md", Deleted)]
    source.server.app.selected = {other.id}
    await follower.follow()
    assert follower.view() == source.truth()


async def test_an_installation_that_lists_nothing_deletes_nothing(
    source: OrganisationSource, follower: Follower, repo: Repo
) -> None:
    await follower.follow()
    source.server.lists_nothing = True
    with pytest.raises(FatalError, match=r"settings\.installation: 42: lists no repository"):
        await follower.follow()
    assert follower.deleted == []


async def test_rights_that_were_not_given_are_named_together(source: OrganisationSource, repo: Repo) -> None:
    await source.connector().check()
    source.server.app.rights = tuple(each for each in ALL_RIGHTS if each not in {"members", "issues"})
    with pytest.raises(UnauthorisedError, match=r"settings\.installation 42: lacks issues, members \(read\)"):
        await source.connector().check()
    source.settings["issues"] = False
    with pytest.raises(UnauthorisedError, match=r"lacks members \(read\)"):
        await source.connector().check()


@pytest.mark.parametrize("wrong", ["app", "installation", "suspended", "key", "clock"])
async def test_what_is_wrong_with_an_app_is_named_and_nothing_secret(
    source: OrganisationSource, repo: Repo, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, named = source.server.app, r"settings\.app 77: .*revoked"
    match wrong:
        case "app":
            app.app = "78"
        case "installation":
            app.installation, named = 43, r"settings\.installation 42: app 77 is not installed"
        case "suspended":
            app.suspended, named = True, r"settings\.installation 42: suspended"
        case "key":
            source.key, named = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n", r"secrets\.private_key is no RSA key"
        case "clock":
            source.skew, named = timedelta(hours=-1), r"this host's clock"
    with caplog.at_level(logging.DEBUG), pytest.raises(UnauthorisedError, match=named) as refused:
        await source.connector().check()
    told = f"{refused.value!r} {refused.value.__cause__!r} {caplog.text}"
    assert not any(secret in told for secret in ("ghs_", "eyJ", "BEGIN", "c2VjcmV0"))


async def test_nothing_of_a_token_is_told(
    source: OrganisationSource, follower: Follower, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    connector = source.connector()
    with caplog.at_level(logging.DEBUG):
        await follower.submit(connector.changes({}))
    cursor = json.dumps({name: part.decode(errors="replace") for name, part in follower.cursor.items()})
    told = f"{connector!r} {cursor} {caplog.text}"
    assert source.server.app.given == 1
    assert not any(secret in told for secret in ("ghs_", "eyJ", "BEGIN"))


async def test_an_answer_that_is_no_token_is_not_quoted(source: OrganisationSource, repo: Repo) -> None:
    source.server.app.grants = {"token": "ghs_half"}
    with pytest.raises(FatalError, match=r"no token was answered; is settings\.url GitHub's API\?") as refused:
        await source.connector().check()
    assert refused.value.__context__ is None


async def test_a_listing_of_the_installation_that_is_not_there_is_named(source: OrganisationSource, repo: Repo) -> None:
    source.server.refused = {"installation/repositories": 404}
    with pytest.raises(SourceGoneError, match=r"settings\.installation: 42"):
        await source.connector().check()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"app": "77"},
        {"installation": "42", "organisation": "acme"},
        {"app": "77", "installation": "42", "organisation": "acme", "repositories": "[acme/code]"},
        {"app": "77\n", "installation": "42"},
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        GithubSettings.model_validate(given)
