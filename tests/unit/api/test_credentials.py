"""Keys, their hashes, and the files that hold secrets."""

import stat
from pathlib import Path

import pytest

from headwater.errors import FatalError
from query_api.credentials import ServerSecret, load_server_secret, new_key, parse_key, write_once
from schemas.ids import SYSTEM_TENANT, TenantId

SECRET = ServerSecret(b"a" * 32)


@pytest.mark.parametrize("tenant", ["acme", "a-b_c", SYSTEM_TENANT])
def test_a_key_survives_being_written_and_read(tenant: str) -> None:
    key = new_key(TenantId(tenant))
    assert parse_key(key.text()) == key
    assert key.text() not in repr(key)
    assert key.secret not in repr(key)


@pytest.mark.parametrize("text", ["", "hw_", "hw_acme_x", "xx_acme.0123456789abcdef_" + "0" * 48, "hw_a.b_c\n"])
def test_anything_else_is_no_key(text: str) -> None:
    assert parse_key(text) is None


def test_a_hash_is_bound_to_secret_tenant_and_id() -> None:
    key = new_key(TenantId("acme"))
    stored = SECRET.hash_key(key)
    assert SECRET.matches(key, stored)
    assert not ServerSecret(b"b" * 32).matches(key, stored)
    assert not SECRET.matches(new_key(TenantId("acme")), stored)
    assert not SECRET.matches(type(key)(tenant_id=TenantId("other"), key_id=key.key_id, secret=key.secret), stored)
    assert key.secret not in stored


def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    assert SECRET.sign("query-id", b"x") != SECRET.sign("api-key", b"x")


def test_the_first_process_makes_the_secret_and_all_share_it(tmp_path: Path) -> None:
    file = tmp_path / "state" / "api.secret"
    first, second = load_server_secret(file), load_server_secret(file)
    assert first.sign("p", b"m") == second.sign("p", b"m")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_of_two_writers_the_first_one_wins(tmp_path: Path) -> None:
    file = tmp_path / "once"
    assert write_once(file, "one") == "one"
    assert write_once(file, "two") == "one"


def test_a_secret_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "api.secret"
    load_server_secret(file)
    file.chmod(0o644)
    with pytest.raises(FatalError, match="chmod 600"):
        load_server_secret(file)


def test_a_damaged_secret_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "api.secret"
    write_once(file, "not hex")
    with pytest.raises(FatalError, match="HEADWATER_API__SECRET_FILE"):
        load_server_secret(file)
