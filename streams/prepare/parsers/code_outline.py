"""From a tree of program text to its outline: lines that may begin a chunk, and the definitions around them."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from tree_sitter import Node, Tree

from streams.prepare.outline import Definition, Outline, Part
from streams.prepare.parsers.code_names import module_of, names_of

# What stands above a statement and speaks of it.
_LEADING: Final = frozenset(
    {"comment", "line_comment", "block_comment", "doc_comment", "decorator", "attribute_item", "attribute_list"}
)
_WRAPPERS: Final = frozenset(
    {"decorated_definition", "export_statement", "ambient_declaration", "template_declaration", "lexical_declaration"}
)
_MAX_DEPTH: Final = 40  # parts in parts; deeper ones are cut between lines
_MAX_WRAPPED: Final = 4


def outline_of(text: str, tree: Tree) -> Outline:
    """Return the outline of a canonical text whose UTF-8 form is the tree's source."""
    builder = _Builder(text, tree.root_node)
    return Outline(whole=builder.whole(), definitions=builder.definitions(), module=module_of(tree.root_node))


class _Builder:
    """Holds the lines of one file and, for each row, where what leads to it begins."""

    def __init__(self, text: str, root: Node) -> None:
        self._root = root
        lines = text.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self._starts[-1] = len(text)
        self._text = text
        self._indents = [len(line[: len(line) - len(line.lstrip())].encode()) for line in lines]
        self._above: dict[int, int] = {}  # the row after a leading node: the node's first row
        self._found: list[tuple[Node, tuple[str, ...], int | None]] = []  # definitions, with the one around each
        self._walk()

    def whole(self) -> Part:
        """Return the file as a part."""
        rows = len(self._indents)
        return Part(start=0, end=self._starts[rows], key=0, inner=self._inner(0, rows, [self._root], 0))

    def definitions(self) -> tuple[Definition, ...]:
        """Return the definitions, outer ones first."""
        paths: list[tuple[str, ...]] = []
        made = []
        for node, names, outer in self._found:
            paths.append((*(paths[outer] if outer is not None else ()), *names))
            start, end = self._starts[self._led(node.start_point.row)], self._starts[_last_row(node) + 1]
            made.append(Definition(start=start, end=end, path=paths[-1], outer=outer))
        return tuple(made)

    def _walk(self) -> None:
        """Find definitions and leading nodes. Only what begins a line or spans lines can be either."""
        pending: list[tuple[Node, int | None]] = [(self._root, None)]
        while pending:
            node, outer = pending.pop()
            if node.type in _LEADING:
                self._note_leading(node)
            if node.type in _WRAPPERS:  # whose own words may stand on a line above
                self._note_wrapped(node, _unwrapped(node))
            names = names_of(node) if node is not self._root else ()
            if names:
                self._found.append((node, names, outer))
                outer = len(self._found) - 1
            inner = [child for child in node.children if child.is_named and (_spans(child) or self._begins_line(child))]
            pending.extend((child, outer) for child in reversed(inner))

    def _note_leading(self, node: Node) -> None:
        last = _last_row(node)
        rest = self._text[self._starts[last] : self._starts[last + 1]].encode()[node.end_point.column :]
        if self._begins_line(node) and (last < node.end_point.row or not rest.strip()):
            self._above[last + 1] = node.start_point.row

    def _note_wrapped(self, wrapper: Node, inner: Node) -> None:
        if self._begins_line(inner) and inner.start_point.row > wrapper.start_point.row:
            self._above[inner.start_point.row] = wrapper.start_point.row

    def _led(self, row: int) -> int:
        """Return the row where a row's leading comments and decorators begin."""
        while row in self._above:
            row = self._above[row]
        return row

    def _begins_line(self, node: Node) -> bool:
        return node.start_point.column <= self._indents[node.start_point.row]

    def _inner(self, first: int, last: int, nodes: Sequence[Node], depth: int) -> tuple[Part, ...]:
        """Return the parts of rows [first, last), which `nodes` fill; () where no line inside begins anything."""
        heads: list[tuple[int, int]] = []  # row of a part, place in `children` of the node that begins it
        children: list[Node] = []
        while nodes and not heads and depth < _MAX_DEPTH:
            children = [child for node in nodes for child in _opened(node)]
            heads = self._heads(children, first, last)
            nodes = [child for child in children if _spans(child)]
        if not heads:
            return ()
        bounds = [(first, 0), *heads, (last, len(children))]
        return tuple(
            self._part((row, end), children[at:until], depth, follows=index == 1)
            for index, ((row, at), (end, until)) in enumerate(pairwise(bounds))
        )

    def _heads(self, children: Sequence[Node], first: int, last: int) -> list[tuple[int, int]]:
        found: dict[int, int] = {}
        for at, child in enumerate(children):
            if child.is_named and self._begins_line(child):
                row = self._led(child.start_point.row)
                if first < row < last:
                    found.setdefault(row, at)
        return sorted(found.items())

    def _part(self, rows: tuple[int, int], nodes: Sequence[Node], depth: int, *, follows: bool) -> Part:
        spoken_of = next((node for node in nodes if node.type not in _LEADING), None)
        start = self._starts[rows[0]]
        return Part(
            start=start,
            end=self._starts[rows[1]],
            key=self._offset(_unwrapped(spoken_of)) if spoken_of is not None else start,
            bound=follows and spoken_of is not None and _is_docstring(spoken_of),
            inner=self._inner(*rows, [node for node in nodes if _spans(node)], depth + 1),
        )

    def _offset(self, node: Node) -> int:
        row, column = node.start_point
        return self._starts[row] + min(column, self._indents[row])


def _opened(node: Node, depth: int = 0) -> Iterator[Node]:
    """Yield a node's children; its body, and what it wraps, as their children: header and statements side by side."""
    body = node.child_by_field_name("body")
    for child in node.children:
        is_body = body is not None and child.id == body.id
        is_wrapped = node.type in _WRAPPERS and _spans(child) and child.type not in _LEADING
        if depth < _MAX_WRAPPED and (is_body or is_wrapped):
            yield from _opened(child, depth + 1)
        else:
            yield child


def _unwrapped(node: Node) -> Node:
    for _ in range(_MAX_WRAPPED):
        inner = [child for child in node.named_children if child.type not in _LEADING]
        if node.type not in _WRAPPERS or not inner:
            break
        node = inner[-1]
    return node


def _is_docstring(node: Node) -> bool:
    return node.type == "expression_statement" and [child.type for child in node.children] == ["string"]


def _spans(node: Node) -> bool:
    return node.end_point.row > node.start_point.row


def _last_row(node: Node) -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point.row else row
