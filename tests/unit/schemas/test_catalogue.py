"""A catalogue file is read whole and typed, and a wrong one is refused with what is allowed."""

import shutil
from pathlib import Path

import pytest
import yaml

from schemas.catalogue import CATALOGUE_FOLDER, Cleanup, Partitions, Visibility, file_name, load_catalogue, parse_entry
from schemas.errors import ContractError
from schemas.topics import Topic

CHANGED = yaml.safe_load((CATALOGUE_FOLDER / "documents.changed.yaml").read_text(encoding="utf-8"))
SUBMITTED = yaml.safe_load((CATALOGUE_FOLDER / "documents.submitted.yaml").read_text(encoding="utf-8"))


def test_the_log_is_compacted_with_both_lags() -> None:
    entry = load_catalogue()[Topic.DOCUMENTS_CHANGED]
    assert entry.cleanup is Cleanup.COMPACT
    assert entry.retention_days is None
    assert 0 < (entry.min_compaction_lag_days or 0) < (entry.max_compaction_lag_days or 0)
    assert entry.visibility is Visibility.PUBLIC


def test_the_directory_has_one_order() -> None:
    catalogue = load_catalogue()
    one = {topic for topic, entry in catalogue.items() if entry.partitions is Partitions.ONE}
    assert one == {Topic.DIRECTORY_SUBMITTED, Topic.DIRECTORY_CHANGED}


@pytest.mark.parametrize(
    ("base", "edit", "message"),
    [
        (CHANGED, {"topic": "rag.documents.altered"}, "topic is 'rag.documents.altered' and must be one of"),
        (CHANGED, {"topic": "rag.documents.ingested"}, "so the file is named documents.ingested.yaml"),
        (CHANGED, {"event": "DocumentAltered"}, "event is 'DocumentAltered' and must be one of"),
        (CHANGED, {"event": "DocumentIngested"}, "names rag.documents.ingested as its topic"),
        (CHANGED, {"key": ""}, "key is '' and must be a text"),
        (CHANGED, {"owner": "nobody"}, "owner is 'nobody' and must be one of admission"),
        (CHANGED, {"producers": []}, "producers is empty"),
        (CHANGED, {"producers": "admit"}, "producers is 'admit' and must be a list"),
        (CHANGED, {"consumers": ["Admit"]}, "must be a list of stages"),
        (CHANGED, {"partitions": 4}, "partitions is 4 and must be one of configured, one"),
        (CHANGED, {"cleanup": "both"}, "cleanup is 'both'"),
        (CHANGED, {"retention_days": 7}, "cleanup compact wants"),
        (CHANGED, {"min_compaction_lag_days": None}, "cleanup compact wants"),
        (CHANGED, {"min_compaction_lag_days": 30}, "must be below"),
        (CHANGED, {"min_compaction_lag_days": -1}, "must be a number of days"),
        (SUBMITTED, {"retention_days": None}, "cleanup delete wants"),
        (SUBMITTED, {"max_compaction_lag_days": 3}, "cleanup delete wants"),
        (SUBMITTED, {"max_message_bytes": 0}, "must be a whole number above 0"),
        (CHANGED, {"visibility": "secret"}, "visibility is 'secret'"),
        (CHANGED, {"description": "  "}, "description is '  '"),
        (CHANGED, {"retention": 3}, "unknown keys retention"),
    ],
)
def test_a_wrong_file_is_refused(base: dict[str, object], edit: dict[str, object], message: str) -> None:
    file = file_name(Topic(str(base["topic"])))
    with pytest.raises(ContractError, match=message) as refused:
        parse_entry(yaml.safe_dump({**base, **edit}), file=file)
    assert str(refused.value).startswith(file)


@pytest.mark.parametrize("name", ["owner", "event", "description"])
def test_a_missing_key_is_refused(name: str) -> None:
    rest = {key: value for key, value in CHANGED.items() if key != name}
    with pytest.raises(ContractError, match=f"the keys {name} are missing"):
        parse_entry(yaml.safe_dump(rest), file="documents.changed.yaml")


@pytest.mark.parametrize("text", ["", "- a", "a: [", "text"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match=r"documents\.changed\.yaml"):
        parse_entry(text, file="documents.changed.yaml")


def test_a_topic_without_a_file_is_refused(tmp_path: Path) -> None:
    shutil.copytree(CATALOGUE_FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "audit.recorded.yaml").unlink()
    with pytest.raises(ContractError, match=r"no catalogue file for rag\.audit\.recorded"):
        load_catalogue(tmp_path)
