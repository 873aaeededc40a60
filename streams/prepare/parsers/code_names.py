"""What is a definition in a tree of program text, and its name: the kinds of nodes of a dozen grammars."""

import re
from typing import Final

from tree_sitter import Node

_CLASSES: Final = frozenset(
    {"class_definition", "class_declaration", "abstract_class_declaration", "class_specifier", "class", "object"}
    | {"interface_declaration", "annotation_type_declaration", "trait_declaration", "trait_item", "impl_item"}
    | {"record_declaration", "struct_declaration", "struct_specifier", "struct_item", "union_specifier", "union_item"}
    | {"enum_declaration", "enum_specifier", "enum_item", "type_spec"}
    | {"internal_module", "module", "mod_item", "namespace_declaration", "namespace_definition", "module_declaration"}
)
_FUNCTIONS: Final = frozenset(
    {"function_definition", "function_declaration", "generator_function_declaration", "function_item"}
    | {"method_definition", "method_declaration", "method", "singleton_method", "property_declaration"}
    | {"constructor_declaration", "compact_constructor_declaration", "destructor_declaration", "macro_definition"}
)
# Names for a value: `const f = () => ...`, `exports.f = function`, `{ f: class ... }`, a field that is a function.
_GIVEN: Final = {
    "variable_declarator": ("name", "value"),
    "assignment_expression": ("left", "right"),
    "pair": ("key", "value"),
    "public_field_definition": ("name", "value"),
    "field_definition": ("property", "value"),
}
_VALUES: Final = frozenset({"arrow_function", "function_expression", "generator_function", "class"})
_BODIES: Final = ("body", "accessors")  # fields; without one of them it is a mention or a declaration
_BARE: Final = frozenset({"type_spec", "macro_definition", "method", "singleton_method", "class", "module"})
_MODULES: Final = frozenset(
    {"package_declaration", "package_clause", "file_scoped_namespace_declaration", "namespace_definition"}
)
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")
_TYPE_PARAMETERS: Final = re.compile(r"[\[<].*", re.DOTALL)
_TYPE_ARGUMENTS: Final = re.compile(r"<[^<>]*>(?=::)")
_QUOTES: Final = "\"'`"
_MAX_NAME_CHARS: Final = 100


def names_of(node: Node) -> tuple[str, ...]:
    """Return the name that a node defines, with the type's before it where the language writes both; () for none."""
    if node.type in _GIVEN:
        name_field, value_field = _GIVEN[node.type]
        value = node.child_by_field_name(value_field)
        name = node.child_by_field_name(name_field)
        return _words(name) if value is not None and value.type in _VALUES else ()
    if node.type not in _CLASSES and node.type not in _FUNCTIONS:
        return ()
    if node.type not in _BARE and all(node.child_by_field_name(field) is None for field in _BODIES):
        return ()
    if node.type == "impl_item":  # Rust
        return tuple(_TYPE_PARAMETERS.sub("", each).strip() for each in _words(node.child_by_field_name("type")))
    receiver = node.child_by_field_name("receiver")  # Go
    return (*_receiver_type(receiver), *_words(node.child_by_field_name("name") or _declared(node)))


def module_of(root: Node) -> tuple[str, ...]:
    """Return the package or namespace that a file says it is in, as one name; () where it says none."""
    for node in root.named_children:
        if node.type in _MODULES and node.child_by_field_name("body") is None:
            name = node.child_by_field_name("name") or _last(node)
            return (_text(name),) if name is not None else ()
    return ()


def _declared(node: Node) -> Node | None:
    """Return the innermost declarator of C and C++: the name inside pointers, references and parameters."""
    found = node.child_by_field_name("declarator")
    while found is not None:
        inner = found.child_by_field_name("declarator")
        if inner is None and found.type.endswith("_declarator"):  # references and parentheses have no field
            inner = _last(found)
        if inner is None:
            return found
        found = inner
    return None


def _last(node: Node) -> Node | None:
    return node.named_children[-1] if node.named_children else None


def _receiver_type(receiver: Node | None) -> tuple[str, ...]:
    if receiver is None:
        return ()
    words = _IDENTIFIER.findall(_TYPE_PARAMETERS.sub("", _text(receiver)))
    return tuple(words[-1:])


def _words(name: Node | None) -> tuple[str, ...]:
    text = _text(name).strip(_QUOTES) if name is not None else ""
    return tuple(part for part in _TYPE_ARGUMENTS.sub("", text).split("::") if part)


def _text(node: Node) -> str:
    text = (node.text or b"").decode(errors="replace")
    return " ".join(text.split())[:_MAX_NAME_CHARS]
