"""Secrets by reference."""

from pathlib import Path

import pytest

from headwater.errors import FatalError
from headwater.secrets import SecretReference, Secrets
from headwater.settings import EgressSettings, SecretSettings


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    settings = SecretSettings(file_folders=(tmp_path / "own",), mount_folder=tmp_path / "mounted")
    for folder in ("own", "mounted", "elsewhere"):
        (tmp_path / folder).mkdir()
    return Secrets(
        settings, environment={"SOURCE_SECRET_A": "value\n", "HEADWATER_API__KEY": "own", "SOURCE_SECRET_E": ""}
    )


def written(path: Path, mode: int) -> Path:
    path.write_text("value\n")
    path.chmod(mode)
    return path


def test_a_secret_is_found_late_and_never_printed(secrets: Secrets, tmp_path: Path) -> None:
    written(tmp_path / "mounted/token", 0o444)
    references = ["env:SOURCE_SECRET_A", f"file:{written(tmp_path / 'own/token', 0o600)}", "mount:token"]
    found = [secrets.resolve(SecretReference.parse(text)) for text in references]
    assert [secret.get_secret_value() for secret in found] == ["value"] * 3
    assert "value" not in repr(found)


@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        ("env:HEADWATER_API__KEY", "begins with SOURCE_SECRET_"),
        ("env:SOURCE_SECRET_B", "set SOURCE_SECRET_B"),
        ("env:SOURCE_SECRET_E", "empty"),
        ("mount:nothing", "missing; put it there"),
        ("mount:../elsewhere/token", "outside the folders"),
        ("file:{0}/elsewhere/token", "outside the folders"),
        ("file:{0}/own/link", "outside the folders"),
        ("file:{0}/own/open", "chmod 600"),
        ("mount:open", "chmod 444"),
    ],
)
def test_what_cannot_be_used_says_the_remedy(secrets: Secrets, tmp_path: Path, reference: str, remedy: str) -> None:
    written(tmp_path / "elsewhere/token", 0o600)
    (tmp_path / "own/link").symlink_to(tmp_path / "elsewhere/token")
    written(tmp_path / "own/open", 0o640)
    written(tmp_path / "mounted/open", 0o666)
    with pytest.raises(FatalError, match=remedy) as caught:
        secrets.resolve(SecretReference.parse(reference.format(tmp_path)))
    assert "value" not in str(caught.value)


@pytest.mark.parametrize("text", ["ghp:plain77", "vault:secret77", "file:own\n77"])
def test_a_secret_in_place_of_a_reference_is_not_quoted(text: str) -> None:
    with pytest.raises(FatalError) as caught:
        SecretReference.parse(text)
    assert "77" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_networks": ["10.0.0.1/8"]},
        {"allowed_networks": ["wiki"]},
        {"allowed_hosts": ["http://wiki.test"]},
        {"proxy_url": "http://user:password@proxy.test"},
    ],
)
def test_a_wrong_setting_says_how_to_write_it(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="write"):
        EgressSettings.model_validate(wrong)
