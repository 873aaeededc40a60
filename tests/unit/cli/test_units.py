"""Help says what a number counts and in which zone a time is."""

import re
from datetime import datetime
from typing import Any, Final

import pytest

from tests.unit.cli.test_json import COMMANDS

COUNTED: Final = re.compile(
    r"\b(seconds|minutes|hours|days|bytes|passages|queries|letters|documents|deletions|rows|lines|pages|number of)\b",
    re.IGNORECASE,
)


def options(*types: type) -> dict[str, Any]:
    """Return the options and arguments of these types, by command and name."""
    return {
        f"{name} {each.opts[0]}": each
        for name, command in COMMANDS.items()
        for each in command.params
        if each.type_descriptor.annotation in types
    }


@pytest.mark.parametrize(("name", "option"), options(int, float).items(), ids=options(int, float))
def test_a_number_names_its_unit(name: str, option: Any) -> None:
    assert COUNTED.search(option.help or ""), f"{name}: {option.help!r} does not say what is counted"


@pytest.mark.parametrize(("name", "option"), options(datetime).items(), ids=options(datetime))
def test_a_time_names_its_zone(name: str, option: Any) -> None:
    assert "UTC" in (option.help or ""), f"{name}: {option.help!r} does not say which time"


@pytest.mark.parametrize("name", COMMANDS)
def test_everything_that_can_be_given_is_explained(name: str) -> None:
    unexplained = [each.opts[0] for each in COMMANDS[name].params if not each.help]
    assert (unexplained, bool(COMMANDS[name].help)) == ([], True)


def test_there_are_numbers_and_times_to_look_at() -> None:
    assert len(options(int, float)) > 10
    assert len(options(datetime)) > 2
