"""Storage format becomes plain HTML: what a reader sees, in the elements that the platform's parser cuts by.

Nothing of other contents gets in: an included page is a link, for its readers may be others (ADR 0127).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from connectors.confluence.markup import Node, markup_tree
from connectors.confluence.references import RESOURCES, Reference, Target, names_user, target_of

_KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"h{level}": () for level in range(1, 7)},
    **dict.fromkeys(("p", "ul", "li", "blockquote", "pre", "code", "table", "thead", "tbody", "tfoot", "tr"), ()),
    **dict.fromkeys(("dl", "dt", "dd", "caption", "strong", "em", "b", "i", "u", "s", "del", "sub", "sup", "div"), ()),
    "ol": ("start",),
    "td": ("colspan", "rowspan"),
    "th": ("colspan", "rowspan"),
    "a": ("href",),
}
_EMPTY: Final = frozenset({"br", "hr"})
_DROPPED: Final = frozenset(
    {"style", "script", "colgroup", "col", "input", "template", "noscript", "head", "nav", "svg", "object", "iframe"}
    | {"select", "button", "ac:parameter", "ac:placeholder", "ac:task-id"}
    | {"ac:task-uuid", "ac:task-status", "ac:adf-attribute", "ac:adf-fallback"}
)
_BLOCKS: Final = frozenset({"ac:layout", "ac:layout-section", "ac:layout-cell", "ac:rich-text-body", "ac:adf-content"})
_CODE: Final = frozenset({"code", "noformat", "markdown", "mermaid", "plantuml"})
_INCLUDED: Final = frozenset({"include", "excerpt-include"})
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
    | {"pagetree", "recently-updated", "toc", "toc-zone-marker", "rss", "tasks-report-macro", "detailssummary"}
)
_NAMING: Final = (*RESOURCES, "ri:user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A body as HTML, and what it refers to."""

    html: str
    references: tuple[Reference, ...]


def mentioned(storage: str) -> frozenset[Target]:
    """Return the accounts that a body mentions without saying what they are called."""
    found = (target_of(node) for node in markup_tree(storage).walk() if node.tag == "ri:user")
    return frozenset(target for target in found if target is not None)


def rendered(storage: str, *, site_url: str, space: str, names: Mapping[Target, str]) -> Rendered:
    """Return a body as HTML. `names`: what accounts are called; `space`: where titles without a space are looked up.

    Same body and names, same HTML.
    """
    renderer = _Renderer(site_url=site_url, space=space, names=names)
    renderer.children(markup_tree(storage))
    return Rendered(html="".join(renderer.out).strip(), references=tuple(dict.fromkeys(renderer.references)))


def document(title: str, parts: Sequence[str]) -> bytes:
    """Return a whole document: the title is part of the content, for chunks are embedded with it (ADR 0016)."""
    body = "\n".join(part for part in parts if part)
    return f"<!DOCTYPE html>\n<html><body>\n<h1>{escape(title, quote=False)}</h1>\n{body}\n</body></html>\n".encode()


@dataclass(slots=True, kw_only=True)
class _Renderer:
    site_url: str
    space: str
    names: Mapping[Target, str]
    out: list[str] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def children(self, node: Node) -> None:
        for child in node.children:
            if isinstance(child, str):
                self.text(child)
            else:
                self.element(child)

    def text(self, text: str) -> None:
        self.out.append(escape(text, quote=False))

    def element(self, node: Node) -> None:
        tag = node.tag
        if tag in _DROPPED:
            return
        if tag in _EMPTY:
            self.out.append(f"<{tag}>")
        elif tag in _KEPT:
            self._kept(node)
        elif tag in _BLOCKS:
            self._block("div", node)
        else:
            _WRITTEN.get(tag, _Renderer.children)(self, node)

    def emoticon(self, node: Node) -> None:
        self.text(node.attributes.get("ac:emoji-fallback") or node.attributes.get("ac:emoji-shortname", ""))

    def time(self, node: Node) -> None:
        self.text(node.text if node.text.strip() else node.attributes.get("datetime", ""))

    def img(self, node: Node) -> None:
        self._picture(node.attributes.get("alt", ""))

    def _kept(self, node: Node) -> None:
        said = [(name, node.attributes[name]) for name in _KEPT[node.tag] if node.attributes.get(name)]
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in said)
        if node.tag == "a" and (target := names_user(node) or target_of(node)):
            self._refer("links_to", target)
        self.out.append(f"<{node.tag}{attributes}>")
        self.children(node)
        self.out.append(f"</{node.tag}>")

    def _block(self, tag: str, node: Node) -> None:
        self.out.append(f"<{tag}>")
        self.children(node)
        self.out.append(f"</{tag}>")

    def macro(self, node: Node) -> None:
        name = node.attributes.get("ac:name", "")
        given = {each.attributes.get("ac:name", ""): each for each in node.elements("ac:parameter")}
        said = {key: each.text.strip() for key, each in given.items()}
        plain, rich = node.first("ac:plain-text-body"), node.first("ac:rich-text-body")
        if name in _DYNAMIC or said.get("hidden") == "true":
            return
        if name in _INCLUDED:
            self._include(given.values())
        elif name == "status":
            self.text(said.get("title", ""))
        elif name == "jira":
            self.text(said.get("key") or said.get("jqlQuery", ""))
        elif name in {"view-file", "viewpdf", "viewdoc", "viewxls", "viewppt"}:
            self._file(given.values())
        elif plain is not None or name in _CODE:
            self._heading(said.get("title"))
            self.out.append(f"<pre><code>{escape(plain.text if plain else '', quote=False)}</code></pre>")
        elif rich is not None:
            self._heading(said.get("title"))
            self._block("div", rich)

    def _heading(self, title: str | None) -> None:
        if title:
            self.out.append(f"<p><strong>{escape(title, quote=False)}</strong></p>")

    def _include(self, given: Iterable[Node]) -> None:
        for target in _targets(given):
            self._refer("includes", target)
            self.out.append(f"<p>Includes: {self._anchor(target, target.label)}</p>")

    def _file(self, given: Iterable[Node]) -> None:
        for target in _targets(given):
            self._refer("links_to", target)
            self.text(target.label)

    def link(self, node: Node) -> None:
        body = node.first("ac:link-body", "ac:plain-text-link-body")
        target = next((found for found in map(target_of, node.elements(*_NAMING)) if found is not None), None)
        if target is None:
            if body is not None:
                self.children(body)
            return
        if target.kind == "user":
            self.text(f"@{self.names.get(target) or 'somebody'}")
            self._refer("mentions", target)
            return
        self._refer("links_to", target)
        self.out.append(self._anchor(target, (body.text if body is not None else "").strip() or target.label))

    def _anchor(self, target: Target, label: str) -> str:
        url = target.url(site_url=self.site_url, space=self.space)
        text = escape(label, quote=False)
        return f'<a href="{escape(url)}">{text}</a>' if url else text

    def image(self, node: Node) -> None:
        target = next((found for found in map(target_of, node.elements(*_NAMING)) if found is not None), None)
        self._picture(node.attributes.get("ac:alt") or (target.label if target is not None else ""))
        if (caption := node.first("ac:caption")) is not None:
            self._block("div", caption)

    def _picture(self, label: str) -> None:
        if label:
            self.out.append(f'<img alt="{escape(label)}">')

    def tasks(self, node: Node) -> None:
        self._block("ul", node)

    def task(self, node: Node) -> None:
        status = node.first("ac:task-status")
        done = status is not None and status.text.strip() == "complete"
        self.out.append(f"<li>[{'x' if done else ' '}] ")
        self.children(node)
        self.out.append("</li>")

    def extension(self, node: Node) -> None:
        """Panels and decisions of Cloud's newer editor come twice: as they are, and for those that cannot read them."""
        inner = next((each for each in node.walk() if each.tag == "ac:adf-content"), None)
        chosen = inner if inner is not None else node.first("ac:adf-fallback")
        if chosen is not None:
            self._block("div", chosen)

    def _refer(self, relation: str, target: Target) -> None:
        self.references.append(Reference(relation=relation, target=target))


_WRITTEN: Final[Mapping[str, Callable[[_Renderer, Node], None]]] = {
    "ac:structured-macro": _Renderer.macro,
    "ac:macro": _Renderer.macro,
    "ac:link": _Renderer.link,
    "ac:image": _Renderer.image,
    "ac:task-list": _Renderer.tasks,
    "ac:task": _Renderer.task,
    "ac:adf-extension": _Renderer.extension,
    "ac:emoticon": _Renderer.emoticon,
    "time": _Renderer.time,
    "img": _Renderer.img,
}


def _targets(given: Iterable[Node]) -> list[Target]:
    return [target for node in given for inner in node.walk() if (target := target_of(inner)) is not None]
