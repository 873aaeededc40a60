"""Trees of program text, by tree-sitter (https://tree-sitter.github.io): bounded work, and only trees that hold."""

from functools import cache
from importlib import import_module
from typing import Final

from tree_sitter import Language, Node, Parser, Point, Tree

from headwater.content.media_types import MediaType

# Module and function of each grammar. They are imported when first needed: twelve are some 20 MB of tables.
_GRAMMARS: Final = {
    MediaType.BASH: "tree_sitter_bash:language",
    MediaType.C: "tree_sitter_c:language",
    MediaType.CPP: "tree_sitter_cpp:language",
    MediaType.CSHARP: "tree_sitter_c_sharp:language",
    MediaType.GO: "tree_sitter_go:language",
    MediaType.JAVA: "tree_sitter_java:language",
    MediaType.JAVASCRIPT: "tree_sitter_javascript:language",
    MediaType.PHP: "tree_sitter_php:language_php",
    MediaType.PYTHON: "tree_sitter_python:language",
    MediaType.RUBY: "tree_sitter_ruby:language",
    MediaType.RUST: "tree_sitter_rust:language",
    MediaType.TSX: "tree_sitter_typescript:language_tsx",
    MediaType.TYPESCRIPT: "tree_sitter_typescript:language_typescript",
}
# The parser reports after each hundred steps. Real files need up to some ten reports a kilobyte; ambiguous or damaged
# ones need any number, and memory with it. Counted, not timed: a slow machine must not make other chunks.
_REPORTS_PER_KIB: Final = 32
_LEAST_REPORTS: Final = 500
_READ_BYTES: Final = 64 * 1024
_MAX_DAMAGE: Final = 0.2  # share of the bytes that the grammar does not understand


def parse_tree(source: bytes, kind: MediaType) -> Tree | None:
    """Return the tree of a UTF-8 text; None when it takes too many steps, or when much of it is not understood."""
    budget = _LEAST_REPORTS + _REPORTS_PER_KIB * len(source) // 1024
    reports = 0

    def read(offset: int, _: Point) -> bytes:
        return source[offset : offset + _READ_BYTES]

    def is_too_long(_offset: int, _has_error: bool) -> bool:  # noqa: FBT001  the library passes it by position
        nonlocal reports
        reports += 1
        return reports > budget

    try:
        tree = Parser(_language(kind)).parse(read, progress_callback=is_too_long)
    except ValueError:  # how the library says that the callback has ended it
        return None
    return tree if _damaged_bytes(tree.root_node) <= _MAX_DAMAGE * len(source) else None


@cache
def _language(kind: MediaType) -> Language:
    module, function = _GRAMMARS[kind].split(":")
    return Language(getattr(import_module(module), function)())


def _damaged_bytes(root: Node) -> int:
    """Return how many bytes are in no node that the grammar knows: the outermost errors, whole."""
    damaged = 0
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error:
            damaged += node.end_byte - node.start_byte
        elif node.has_error:
            pending.extend(node.children)
    return damaged
