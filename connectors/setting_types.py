"""Values of a source's settings: they are text in the directory, and read here."""

from typing import Annotated, Any, Final, TypeAlias

import yaml
from pydantic import BeforeValidator


def _from_yaml(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError("not YAML; write a list as [a, b] and a table as {a: b}") from error


FROM_YAML: Final = BeforeValidator(_from_yaml)
Names: TypeAlias = Annotated[tuple[str, ...], FROM_YAML]  # `[ENG, HR]`
Table: TypeAlias = Annotated[dict[str, str], FROM_YAML]  # `{octocat: ann}`
