"""Values of a source's settings: they are text in the directory, and read here."""

from contextlib import suppress
from typing import Annotated, Any, Final, TypeAlias

import yaml
from pydantic import BeforeValidator


class _PlainLoader(yaml.SafeLoader):
    """Neither aliases, by which a few lines become a billion nodes, nor tags, which none of our types needs."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise yaml.YAMLError("aliases and tags are not read")
        return super().compose_node(parent, index)


def from_yaml(value: Any) -> Any:
    """Return what a text says as YAML; what is no text stays as it is. Raises ValueError, which does not quote it."""
    if not isinstance(value, str):
        return value
    with suppress(yaml.YAMLError, ValueError, RecursionError):  # outside: nothing quoted hangs on it
        return yaml.load(value, Loader=_PlainLoader)  # noqa: S506 - a loader safer than the safe one
    raise ValueError("not YAML; write a list as [a, b] and a table as {a: b}")


FROM_YAML: Final = BeforeValidator(from_yaml)
Names: TypeAlias = Annotated[tuple[str, ...], FROM_YAML]  # `[ENG, HR]`
Table: TypeAlias = Annotated[dict[str, str], FROM_YAML]  # `{octocat: ann}`
