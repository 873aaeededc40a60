"""Conditions as Milvus expressions.

No caller's text ever becomes syntax: every value is folded into letters, digits and a few marks before it is stored
and before it is asked for, so a literal never holds a quote, a backslash or a control character. Escaping would depend
on the server: Milvus Lite drops a backslash where Milvus reads an escape, and refuses line ends in any spelling.

An expression may admit more than its condition, never less: what Milvus cannot say (a negation over an array, a range
over a list) is left out, and the index checks the rows that come back.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from headwater.errors import PoisonError
from headwater.rows.conditions import ARRAY_FIELDS, Condition, Every, Negation, Some, Span, Term

# What a literal may hold besides letters and digits; `quote` adds `_.-~` and `%`.
_PLAIN: Final = " :/@#=+,;()"
# Stands for an absent value: folding never makes a `%` that is not followed by two digits.
ABSENT: Final = "%"

Everything: TypeAlias = Literal[True]
Nothing: TypeAlias = Literal[False]
Expression: TypeAlias = str | Everything | Nothing


class UnfoldableTextError(PoisonError):
    """Text that is not Unicode (a lone surrogate) has no bytes to store."""


def folded(text: str) -> str:
    """Return text in the alphabet of literals; distinct texts stay distinct. Milvus holds filtered fields like this."""
    try:
        return quote(text, safe=_PLAIN)
    except UnicodeEncodeError as error:
        raise UnfoldableTextError("text holds a lone surrogate; correct it at the source") from error


def literal(text: str) -> str:
    """Return a Milvus string literal for what `folded` stores. The only function that turns text into expression."""
    return f'"{folded(text)}"'


def one_of(field: str, values: Iterable[str]) -> str:
    """Return `field in [...]`; at least one value."""
    return f"{field} in [{_literals(values)}]"


def render(condition: Condition) -> Expression:
    """Return an expression that admits every row for which the condition holds; True for all rows, False for none."""
    match condition:
        case Term():
            return _term(condition)
        case Span():
            return _span(condition)
        case Negation(inner):
            return _render_not(inner)
        case Every(parts):
            return _every([render(part) for part in parts])
        case Some(parts):
            return _some([render(part) for part in parts])


def _render_not(condition: Condition) -> Expression:
    """Negations are pushed down to single fields: Milvus Lite negates nothing else."""
    match condition:
        case Term(field, values) if values and field not in ARRAY_FIELDS:
            return f"{field} not in [{_literals(values)}]"
        case Term() | Span():
            return True
        case Negation(inner):
            return render(inner)
        case Every(parts):
            return _some([_render_not(part) for part in parts])
        case Some(parts):
            return _every([_render_not(part) for part in parts])


def _term(term: Term) -> Expression:
    if not term.values:
        return False
    if term.field in ARRAY_FIELDS:
        return f"array_contains_any({term.field}, [{_literals(term.values)}])"
    return one_of(term.field, term.values)


def _span(span: Span) -> str:
    """Compare with a row's lowest and highest value of that name and kind; their text is in order."""
    ends = []
    if span.low is not None:
        ends.append(f'spans["{highest_key(span.name, span.kind)}"] >= {literal(span.low)}')
    if span.high is not None:
        ends.append(f'spans["{lowest_key(span.name, span.kind)}"] <= {literal(span.high)}')
    return f"({' and '.join(ends)})"


def lowest_key(name: str, kind: str) -> str:
    """Name the entry of `spans` that holds a row's lowest value."""
    return f"{name}={kind}.lowest"


def highest_key(name: str, kind: str) -> str:
    """Name the entry of `spans` that holds a row's highest value."""
    return f"{name}={kind}.highest"


def _literals(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in values)


def _every(parts: Sequence[Expression]) -> Expression:
    said = [part for part in parts if isinstance(part, str)]
    if any(part is False for part in parts):
        return False
    return f"({' and '.join(said)})" if said else True


def _some(parts: Sequence[Expression]) -> Expression:
    said = [part for part in parts if isinstance(part, str)]
    if any(part is True for part in parts):
        return True
    return f"({' or '.join(said)})" if said else False
