import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli import evaluate
from headwater.settings import ApiSettings
from tests.unit.evaluation.fake_api import FakeApi


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi(delay=0)

    @contextmanager
    def opened(_settings: ApiSettings) -> Iterator[FakeApi]:
        yield fake

    monkeypatch.setattr(evaluate, "open_api", opened)
    return fake


def test_every_mode_is_measured_and_nothing_is_left(api: FakeApi, beir: Path) -> None:
    result = CliRunner().invoke(evaluate.app, [str(beir), "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert (printed["collection"], printed["queries"], printed["documents"]) == ("tiny", 2, 3)
    assert [each["mode"] for each in printed["modes"]] == ["vector", "keyword", "hybrid"]
    assert {each["ndcg_at_10"] for each in printed["modes"]} == {0.5}
    assert api.records == {}


def test_one_mode_and_a_knowledge_base_to_keep(api: FakeApi, beir: Path) -> None:
    result = CliRunner().invoke(evaluate.app, [str(beir), "--mode", "keyword", "--limit", "1", "--keep"])
    assert result.exit_code == 0, result.output
    assert "tiny: 3 documents, 1 judged queries" in result.stdout
    assert {search["mode"] for search in api.searches} == {"keyword"}
    [base] = [name.removeprefix("sources/") for name in api.records if name.startswith("sources/")]
    assert f"knowledge base {base} stays" in result.stderr
