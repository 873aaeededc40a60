"""docs/asyncapi.yaml is judged by AsyncAPI's own schema, Kafka bindings included."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from schemas.asyncapi import ASYNCAPI_FILE

# schemas/3.0.0.json of https://github.com/asyncapi/spec-json-schemas as @asyncapi/specs 6.11.1 carries it, unchanged
# (Apache-2.0; licence and notice beside it).
SCHEMA = Path(__file__).parent / "data" / "asyncapi-3.0.0.json"
SHA256 = "d4571a420e6ffb7fcc7066c95a6db1202f299a3c51daa103d0706bf30f95e626"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(ASYNCAPI_FILE.read_text("utf-8"))
    return loaded


def test_the_schema_is_as_it_was_published() -> None:
    assert hashlib.sha256(SCHEMA.read_bytes()).hexdigest() == SHA256


def test_the_document_follows_it(validator: Draft7Validator, committed: dict[str, Any]) -> None:
    assert committed["asyncapi"] == SCHEMA.stem.removeprefix("asyncapi-")
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(committed)] == []


WRONGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$.operations.sendAuditRecorded": lambda it: it["operations"]["sendAuditRecorded"].update(action="publish"),
    "$.channels.auditRecorded": lambda it: it["channels"]["auditRecorded"].update(adress="rag.audit.recorded"),
    "$.channels.documentsSubmitted": lambda it: it["channels"]["documentsSubmitted"]["bindings"]["kafka"].update(
        topicConfiguration={"retention.ms": "a week"}
    ),
    "$.components.messages.DocumentSubmitted": lambda it: it["components"]["messages"]["DocumentSubmitted"]["bindings"][
        "kafka"
    ].update(schemaIdLocation="body"),
    "$.servers.kafka": lambda it: it["servers"]["kafka"].pop("host"),
    "$.info": lambda it: it["info"].pop("version"),
}


@pytest.mark.parametrize("where", WRONGS)
def test_the_schema_would_notice(validator: Draft7Validator, committed: dict[str, Any], where: str) -> None:
    wrong = copy.deepcopy(committed)
    WRONGS[where](wrong)
    assert [error.json_path for error in validator.iter_errors(wrong)] == [where]
