"""Storage format becomes plain HTML: what a reader sees, in the elements that the platform's parser cuts by.

Nothing of other contents gets in: an included page is a link, for its readers may be others (ADR 0127).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from connectors.confluence.macros import CODE, INCLUDED, Macro
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
# What is written on the page itself flows; between these it is a paragraph of its own.
_APART: Final = frozenset({"", "div", "blockquote"})
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
    inside: list[str] = field(default_factory=lambda: [""])  # the elements that are open
    flowed: int = -1  # how much was written when a macro last ended

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
        said = node.attributes
        named = f":{said['ac:name']}:" if said.get("ac:name") else ""  # Data Center tells no more
        self.text(said.get("ac:emoji-fallback") or said.get("ac:emoji-shortname") or named)

    def time(self, node: Node) -> None:
        self.text(node.text if node.text.strip() else node.attributes.get("datetime", ""))

    def img(self, node: Node) -> None:
        self._picture(node.attributes.get("alt", ""))

    def _kept(self, node: Node) -> None:
        said = [(name, node.attributes[name]) for name in _KEPT[node.tag] if node.attributes.get(name)]
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in said)
        if node.tag == "a" and (target := names_user(node) or target_of(node)):
            self._refer("links_to", target)
        self._element(node.tag, attributes, node)

    def _block(self, tag: str, node: Node) -> None:
        self._element(tag, "", node)

    def _element(self, tag: str, attributes: str, node: Node) -> None:
        self.out.append(f"<{tag}{attributes}>")
        self.inside.append(tag)
        self.children(node)
        self.inside.pop()
        self.out.append(f"</{tag}>")

    def macro(self, node: Node) -> None:
        macro = Macro.of(node)
        if not macro.is_shown:
            return
        if macro.name in INCLUDED:
            self._include(macro.targets)
        elif macro.name == "jira":
            self._flow(escape(macro.said.get("key") or macro.said.get("jqlQuery", ""), quote=False))
        elif macro.plain is not None or macro.name in CODE:
            self._heading(macro.said.get("title"))
            plain = macro.plain.text if macro.plain is not None else ""
            self.out.append(f"<pre><code>{escape(plain, quote=False)}</code></pre>")
        elif macro.rich is not None:
            self._heading(macro.said.get("title"))
            self._block("div", macro.rich)
        else:
            self._without_body(macro)

    def _without_body(self, macro: Macro) -> None:
        """Write what the parameters call it and refer to: a title is the name of the one thing that it refers to."""
        alone = macro.title if [target.kind != "user" for target in macro.targets] == [True] else ""
        shown = [self._shown(target, alone or target.label) for target in macro.targets]
        if macro.title and not alone:
            shown.insert(0, escape(macro.title, quote=False))
        self._flow(" ".join(shown))

    def _flow(self, written: str) -> None:
        """Write inside the text, or as a paragraph where there is none around; macros side by side are words."""
        if not written:
            return
        if self.inside[-1] in _APART:
            self.out.append(f"<p>{written}</p>")
            return
        self.out.append(f" {written}" if self.flowed == len(self.out) else written)
        self.flowed = len(self.out)

    def _heading(self, title: str | None) -> None:
        if title:
            self.out.append(f"<p><strong>{escape(title, quote=False)}</strong></p>")

    def _include(self, targets: Iterable[Target]) -> None:
        for target in targets:
            self._refer("includes", target)
            self.out.append(f"<p>Includes: {self._anchor(target, target.label)}</p>")

    def link(self, node: Node) -> None:
        body = node.first("ac:link-body", "ac:plain-text-link-body")
        target = next((found for found in map(target_of, node.elements(*_NAMING)) if found is not None), None)
        if target is not None:
            said = (body.text if body is not None else "").strip()
            self.out.append(self._shown(target, said or target.label))
        elif body is not None:
            self.children(body)
        else:  # a place on this page, or a shortcut of the site's
            shortcut = node.first("ri:shortcut")
            self.text(shortcut.attributes.get("ri:parameter", "") if shortcut else node.attributes.get("ac:anchor", ""))

    def _shown(self, target: Target, label: str) -> str:
        """Return what a reader sees of a reference, and note it."""
        if target.kind == "user":
            self._refer("mentions", target)
            called = label if label != target.label else "somebody"
            return escape(f"@{self.names.get(target) or called}", quote=False)
        self._refer("links_to", target)
        return self._anchor(target, label)

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
