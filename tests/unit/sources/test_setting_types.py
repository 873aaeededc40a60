"""Lists and tables of a setting are written as YAML, and a text of a few lines stays as small as it looks."""

import pytest
from pydantic import Field, ValidationError

from headwater.sources.base import SourceSettings
from headwater.sources.setting_types import Names, Table

BOMB = "{a: &a [x, x], b: &b [*a, *a], c: [*b, *b]}"


class Settings(SourceSettings):
    spaces: Names = ()
    users: Table = Field(default_factory=dict)


def test_lists_and_tables_are_written_as_yaml() -> None:
    settings = Settings.model_validate({"spaces": "[ENG, HR]", "users": "{octocat: ann}"})
    assert (settings.spaces, settings.users) == (("ENG", "HR"), {"octocat": "ann"})


@pytest.mark.parametrize("text", ["[one, [two", BOMB, "!!int x", "!!python/name:os.system", "[" * 3_000, "2020-99-99"])
def test_what_is_none_says_how_to_write_it_and_is_not_quoted(text: str) -> None:
    with pytest.raises(ValidationError, match="not YAML; write a list as") as error:
        Settings.model_validate({"spaces": text})
    assert text not in str(error.value)
