"""docker-compose.yml and the images: no engine runs them here, so what can be held against them is."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from headwater.local import applications
from headwater.local.components import kafka
from headwater.local.manifest import read_manifest
from headwater.settings import Settings
from tests.support.containers import PORT_VARIABLES, SERVICES
from tests.unit.local.site import paper_site

ROOT = Path(__file__).parents[2]
# The compose specification's own schema, as docker-compose 1.29.2 carries it (Apache-2.0, licence beside it).
SCHEMA = Path(__file__).parent / "data" / "compose_spec.json"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def validator() -> Draft7Validator:
    schema = json.loads(SCHEMA.read_text())
    # Written before the specification took a project's name in.
    schema["properties"]["name"] = {"type": "string"}
    return Draft7Validator(schema)


def test_it_follows_the_compose_schema(compose: dict[str, Any]) -> None:
    assert [f"{error.json_path}: {error.message}" for error in validator().iter_errors(compose)] == []


def test_the_schema_would_notice(compose: dict[str, Any]) -> None:
    wrong = {**compose, "services": {**compose["services"], "kafka": {"image": "x", "prots": []}}}
    assert any("prots" in error.message for error in validator().iter_errors(wrong))


def test_every_process_of_the_table_is_a_service(compose: dict[str, Any]) -> None:
    for name, (module, _) in applications.TABLE.items():
        assert compose["services"][name]["command"] == list(module)
    assert set(compose["services"]) == {*applications.TABLE, *SERVICES, "prepare-platform"}


def test_every_dependency_exists_and_answers_a_health_check(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            if how["condition"] == "service_healthy":
                assert compose["services"][needed]["healthcheck"]


def test_every_port_is_on_loopback_and_can_be_moved(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(published) == len(PORT_VARIABLES) + 2  # and those of the API and the webhooks
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{HEADWATER_PORT_[A-Z]+:-\d+\}:\d+", port)
    for variable in PORT_VARIABLES.values():
        assert any(variable in port for port in published)


def test_settings_given_to_our_processes_exist(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in compose["x-environment"].items():
        monkeypatch.setenv(name, value)
        group, _, field = name.removeprefix("HEADWATER_").lower().partition("__")
        assert field in type(getattr(Settings(), group)).model_fields


def test_images_are_pinned_to_the_versions_of_the_embedded_stack(compose: dict[str, Any]) -> None:
    components = read_manifest().components
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{components['kafka'].version}"
    assert compose["services"]["elasticsearch"]["image"].endswith(f":{components['elasticsearch'].version}")
    for service in compose["services"].values():
        assert not service["image"].endswith((":latest", ":main"))


def test_both_brokers_take_records_of_the_same_size(compose: dict[str, Any], tmp_path: Path) -> None:
    size = compose["services"]["kafka"]["environment"]["KAFKA_MESSAGE_MAX_BYTES"]
    assert f"message.max.bytes={size}\n" in kafka.properties(paper_site(tmp_path))


def test_the_model_servers_packages_are_those_of_the_lock() -> None:
    locked = {entry["name"]: entry.get("version") for entry in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    [line] = re.findall(r"RUN pip install --no-cache-dir (.*)", (ROOT / "deploy/docker/Dockerfile").read_text())
    for package, version in (requirement.split("==") for requirement in line.split()):
        assert locked[package] == version
