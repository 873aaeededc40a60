"""The documentation names commands, settings, targets and files that there are, and its indexes are complete."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

from headwater.cli.main import COMMANDS
from headwater.settings import Settings

ROOT: Final = Path(__file__).parents[2]
GUIDES: Final = sorted((ROOT / "docs").glob("*.md"))
RUNBOOKS: Final = sorted((ROOT / "docs/runbooks").glob("*.md"))
ADRS: Final = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
DOCUMENTS: Final = [ROOT / "README.md", *GUIDES, *RUNBOOKS, *ADRS]
# Read by docker-compose.yml and by the tests themselves, or a source's credential: no settings of a process.
OTHER_VARIABLES: Final = re.compile(
    r"HEADWATER_(ACCESS_(SEEDS|WORLDS)|PORT_\w+|VERSION|DATA|TEST_STACK|CHAOS_(PAGES|AWAY_S|FAULTS|POISON|SEED|SYNC_ITEMS|SYNC_KILLS)|SECRET__TENANT__NAME)"
)


def code_of(text: str) -> list[str]:
    """Return what is written as code: blocks and inline."""
    blocks = re.findall(r"^```.*?$(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [line for block in blocks for line in block.splitlines()] + inline


def commands_in(text: str) -> set[str]:
    return {name for code in code_of(text) for name in re.findall(r"^(?:\S+=\S+ )*headwater ([a-z]+)\b", code.strip())}


def settings_in(text: str) -> set[str]:
    return {name for name in re.findall(r"HEADWATER_[A-Z0-9_]*[A-Z0-9]", text) if not OTHER_VARIABLES.fullmatch(name)}


def known_settings() -> set[str]:
    names = set()
    for group, field in Settings.model_fields.items():
        names.add(f"HEADWATER_{group.upper()}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= {f"HEADWATER_{group}__{name}".upper() for name in field.annotation.model_fields}
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_only_what_there_is(document: Path) -> None:
    text = document.read_text()
    assert sorted(commands_in(text) - COMMANDS.keys()) == []
    assert [name for name in sorted(commands_in(text)) if find_spec(COMMANDS[name].module) is None] == []
    assert sorted(settings_in(text) - known_settings()) == []


def test_every_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for document in DOCUMENTS
        for code in code_of(document.read_text())
        for target in re.findall(r"^make ([a-z-]+)", code.strip())
    }
    assert named - targets == set()


@pytest.mark.parametrize("adr", ADRS, ids=lambda path: path.name)
def test_a_decision_has_its_four_parts_and_is_listed(adr: Path) -> None:
    parts = re.findall(r"^(?:## |\*\*)(Context|Decision|Consequences|Alternatives)\b", adr.read_text(), re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Alternatives"]
    assert f"]({adr.name})" in (ROOT / "docs/adr/README.md").read_text(), "add a row to docs/adr/README.md"


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [adr.name[:4] for adr in ADRS]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("guide", [path for path in GUIDES if path.name != "README.md"], ids=lambda path: path.name)
def test_a_guide_is_listed(guide: Path) -> None:
    assert f"]({guide.name})" in (ROOT / "docs/README.md").read_text(), "add a row to docs/README.md"


def test_the_checks_bite() -> None:
    text = "Run `headwater fly --high`, with `HEADWATER_KAFKA__TYPO=1 headwater up`."
    assert commands_in(text) == {"fly", "up"}
    assert settings_in(text) - known_settings() == {"HEADWATER_KAFKA__TYPO"}
