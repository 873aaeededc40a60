"""Macros as they are stored: a name, parameters, and at most one body.

What each leaves in a text: docs/connect-confluence.md#macros.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from connectors.confluence.markup import Node
from connectors.confluence.references import Target, target_of

CODE: Final = frozenset({"code", "noformat", "markdown", "mermaid", "plantuml"})
INCLUDED: Final = frozenset({"include", "excerpt-include"})
# They show what other places hold by the time somebody looks, or nothing at all.
_DYNAMIC: Final = frozenset(
    {
        "anchor",
        "attachments",
        "blog-posts",
        "children",
        "contentbylabel",
        "contributors",
        "gallery",
        "html",
        "livesearch",
    }
    | {"pagetree", "recently-updated", "toc", "toc-zone-marker", "tasks-report-macro", "detailssummary"}
)
# In this order: diagrams are called by the last three.
_TITLES: Final = ("title", "label", "diagramDisplayName", "diagramName", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    """One macro. `said`: its parameters as text; `targets`: what they refer to, each once."""

    name: str
    said: Mapping[str, str]
    targets: Sequence[Target]
    plain: Node | None
    rich: Node | None

    @classmethod
    def of(cls, node: Node) -> Self:
        """Read one."""
        given = list(node.elements("ac:parameter"))
        return cls(
            name=node.attributes.get("ac:name", ""),
            said={each.attributes.get("ac:name", ""): each.text.strip() for each in given},
            targets=tuple(dict.fromkeys(_targets(given))),
            plain=node.first("ac:plain-text-body"),
            rich=node.first("ac:rich-text-body"),
        )

    @property
    def is_shown(self) -> bool:
        """Say whether a reader sees something of it that is the page's own."""
        return self.name not in _DYNAMIC and self.said.get("hidden") != "true"

    @property
    def title(self) -> str:
        """Return what it is called; empty where nothing says so."""
        return next((self.said[name] for name in _TITLES if self.said.get(name)), "")


def _targets(given: Iterable[Node]) -> Iterable[Target]:
    """Yield what parameters refer to: resources, accounts, and those that are an address as a whole."""
    for node in given:
        text = node.text.strip()
        if text.startswith(("http://", "https://")) and not any(map(str.isspace, text)):
            yield Target(kind="url", name=text)
        for inner in node.walk():
            if (target := target_of(inner)) is not None:
                yield target
