"""`headwater verify`: what it prints, and its exit status."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.audit.recording import Verification
from headwater.cli import verify
from headwater.cli.main import app
from headwater.ports.consistency import Projection
from headwater.settings import Settings
from schemas.ids import GenerationName
from tests.unit.audit.test_passes import Site, site
from tests.unit.audit.worlds import logged


def run(monkeypatch: pytest.MonkeyPatch, here: Site, *arguments: str, asked: list[str] | None = None) -> Result:
    @asynccontextmanager
    async def opened(settings: Settings, folder: Path) -> AsyncIterator[Verification]:
        assert folder.is_dir()
        if asked is not None:
            asked.append(settings.generation)
        yield here.verification()

    async def serving(_: Settings) -> GenerationName:
        return GenerationName("g2")

    monkeypatch.setattr(verify, "open_verification", opened)
    monkeypatch.setattr(verify, "serving", serving)
    return CliRunner().invoke(app, ["verify", *arguments])


def test_stores_that_agree_are_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, site(logged(1), logged(2)))
    assert result.exit_code == 0, result.output
    assert "2 documents, 0 under way, 0 parked" in result.output
    assert result.output.count("agrees") == 3


def test_differences_are_listed_with_their_documents_and_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    here = site(logged(1), logged(2))
    here.projections[Projection.VECTORS].held.pop()
    result = run(monkeypatch, here, "--repair")
    assert result.exit_code == 1
    assert "missing" in result.output
    assert logged(2).document_id in result.output
    assert "1 documents submitted to run again" in result.output
    assert len(here.reruns()) == 1


def test_the_generation_that_serves_is_compared_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    run(monkeypatch, site(), asked=asked)
    run(monkeypatch, site(), "--generation", "g1", asked=asked)
    assert asked == ["g2", "g1"]


def test_programs_get_json(monkeypatch: pytest.MonkeyPatch) -> None:
    here = site(logged(1))
    here.projections[Projection.KEYWORDS].held.clear()
    result = run(monkeypatch, here, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["clean"], told["differing_ranges"]) == (False, ["0-end"])
    assert [(each["projection"], each["difference"]) for each in told["findings"]] == [("keywords", "missing")]
    assert told["tenants"][0]["counts"] == {"keywords": {"missing": 1}}
    assert here.reruns() == []
