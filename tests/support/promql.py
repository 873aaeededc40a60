"""As much of PromQL as our tested alerts need: rate, increase, max_over_time, sum and max by, time, arithmetic, `and`.

Ranges are extrapolated to their edges as Prometheus does it, so that an alert is seen here when it is seen there.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import add, eq, gt, mul, sub, truediv
from typing import Final, Protocol, TypeAlias

Labels: TypeAlias = frozenset[tuple[str, str]]
Vector: TypeAlias = Mapping[Labels, float]
Value: TypeAlias = Vector | float
Samples: TypeAlias = Sequence[tuple[float, float]]  # (seconds, value), in order

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_TOKEN: Final = re.compile(r'\s*(=~|!=|==|[A-Za-z_]\w*|\d+(?:\.\d+)?[smh]?|"[^"]*"|[(){}\[\],=*/>-])')
_BINDING: Final[tuple[Mapping[str, Callable[[float, float], float]], ...]] = (
    {">": gt, "==": eq},
    {"-": sub},
    {"*": mul, "/": truediv},
)
# A range reaches beyond its samples by at most this share of their distance.
_REACH: Final = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of a counter or a gauge."""

    name: str
    labels: Labels
    samples: Samples


def seconds(duration: str) -> float:
    """Return how long something like `6h40m` is."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))


def firing(expression: str, held_s: float, series: Sequence[Series], *, at_s: float, every_s: float) -> set[Labels]:
    """Return the alerts of a rule that fire at an instant: those that have held at each step for `held_s`."""
    steps = range(round(held_s / every_s) + 1)
    vectors = [evaluate(expression, series, at_s=at_s - step * every_s) for step in steps]
    return set.intersection(*({*vector} for vector in vectors))


def evaluate(expression: str, series: Sequence[Series], *, at_s: float) -> Vector:
    """Return the instant vector of an expression. Raises ValueError for what is not known here."""
    parser = _Parser(tokens=_tokens(expression), series=series, at_s=at_s)
    value = parser.conjunction()
    parser.take("")
    if isinstance(value, float):
        raise ValueError(f"{expression}: no vector")  # noqa: TRY004 - the expression is at fault
    return value


def _tokens(expression: str) -> Iterator[str]:
    position, text = 0, expression.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"{expression}: not known from {text[position:]!r}")
        yield found[1]
        position = found.end()
    yield ""


class _Parser:
    """Reads and evaluates in one go, the weakest binding first."""

    def __init__(self, *, tokens: Iterator[str], series: Sequence[Series], at_s: float) -> None:
        self._tokens, self._series, self._at_s = tokens, series, at_s
        self._next = next(tokens)

    def take(self, wanted: str | None = None) -> str:
        token = self._next
        if wanted is not None and token != wanted:
            raise ValueError(f"{token!r} where {wanted!r} should be")
        self._next = next(self._tokens, "")
        return token

    def conjunction(self) -> Value:
        value = self._binary(0)
        while self._next == "and":
            self.take()
            other = self._binary(0)
            assert not isinstance(value, float)
            assert not isinstance(other, float)
            value = {labels: each for labels, each in value.items() if labels in other}
        return value

    def _binary(self, level: int) -> Value:
        if level == len(_BINDING):
            return self._operand()
        value = self._binary(level + 1)
        while self._next in _BINDING[level]:
            name = self.take()
            value = _combined(_BINDING[level][name], value, self._binary(level + 1), filters=level == 0)
        return value

    def _operand(self) -> Value:
        token = self.take()
        if token in _OVER_LABELS:
            return self._aggregate(_OVER_LABELS[token])
        if token in _OVER_TIME:
            self.take("(")
            value = self._range(_OVER_TIME[token])
            self.take(")")
            return value
        if token == "time":
            self.take("(")
            self.take(")")
            return self._at_s
        return float(token)

    def _aggregate(self, combine: Callable[[float, float], float]) -> Vector:
        by: tuple[str, ...] = ()
        if self._next == "by":
            self.take()
            by = tuple(self._names())
        self.take("(")
        value = self.conjunction()
        self.take(")")
        assert not isinstance(value, float)
        found: dict[Labels, float] = {}
        for labels, each in value.items():
            kept = frozenset(pair for pair in labels if pair[0] in by)
            found[kept] = combine(found[kept], each) if kept in found else each
        return found

    def _names(self) -> Iterator[str]:
        self.take("(")
        while self._next != ")":
            yield self.take()
            if self._next == ",":
                self.take()
        self.take(")")

    def _range(self, of: "_OfRange") -> Vector:
        name, matchers = self.take(), dict(self._matchers())
        self.take("[")
        window_s = seconds(self.take())
        self.take("]")
        found: dict[Labels, float] = {}
        for series in self._series:
            if series.name == name and all(matches(dict(series.labels)) for matches in matchers.values()):
                value = of(series.samples, since_s=self._at_s - window_s, until_s=self._at_s)
                if value is not None:
                    found[series.labels] = value
        return found

    def _matchers(self) -> Iterator[tuple[str, Callable[[Mapping[str, str]], bool]]]:
        if self._next != "{":
            return
        self.take()
        while self._next != "}":
            label, sign, text = self.take(), self.take(), self.take().strip('"')
            if sign not in {"=", "=~"}:
                raise ValueError(f"{sign!r} is not known here")
            pattern = re.compile(text if sign == "=~" else re.escape(text))
            yield label, lambda labels, label=label, pattern=pattern: bool(pattern.fullmatch(labels.get(label, "")))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
            if self._next == ",":
                self.take()
        self.take("}")


def _combined(operator: Callable[[float, float], float], left: Value, right: Value, *, filters: bool) -> Value:
    """Return what an operator makes of two values; a comparison keeps the left one's where it holds."""

    def of(one: float, other: float) -> float:
        if operator is truediv and other == 0.0:
            return float("nan") if one == 0.0 else float("inf")
        return operator(one, other)

    if isinstance(left, float):
        assert isinstance(right, float), "a number beside a vector stands on the right here"
        return of(left, right)
    pairs = {
        labels: (each, right if isinstance(right, float) else right[labels])
        for labels, each in left.items()
        if isinstance(right, float) or labels in right
    }
    if filters:
        return {labels: pair[0] for labels, pair in pairs.items() if of(*pair)}
    return {labels: of(*pair) for labels, pair in pairs.items()}


def _increase(samples: Samples, *, since_s: float, until_s: float) -> float | None:
    """Return by how much a counter has grown in a range, resets counted, extrapolated; None of fewer than two samples.

    As in `extrapolatedRate` of Prometheus: to an edge that lies within 1.1 times the samples' mean distance, else by
    half of that distance, and never to before the counter was zero.
    """
    inside = [sample for sample in samples if since_s <= sample[0] <= until_s]
    if len(inside) < 2:
        return None
    (first_s, first), (last_s, _) = inside[0], inside[-1]
    grown = sum(later if later < earlier else later - earlier for (_, earlier), (_, later) in pairwise(inside))
    covered_s = last_s - first_s
    distance_s = covered_s / (len(inside) - 1)
    before_s, after_s = first_s - since_s, until_s - last_s
    if grown > 0 and first >= 0:
        before_s = min(before_s, covered_s * first / grown)
    reach_s = distance_s * _REACH
    extended_s = covered_s + sum(edge_s if edge_s < reach_s else distance_s / 2 for edge_s in (before_s, after_s))
    return grown * extended_s / covered_s


def _rate(samples: Samples, *, since_s: float, until_s: float) -> float | None:
    increase = _increase(samples, since_s=since_s, until_s=until_s)
    return None if increase is None else increase / (until_s - since_s)


def _maximum(samples: Samples, *, since_s: float, until_s: float) -> float | None:
    return max((value for at_s, value in samples if since_s <= at_s <= until_s), default=None)


class _OfRange(Protocol):
    """What a function over time makes of the samples of one series; None: nothing."""

    def __call__(self, samples: Samples, *, since_s: float, until_s: float) -> float | None: ...


_OVER_TIME: Final[Mapping[str, _OfRange]] = {"rate": _rate, "increase": _increase, "max_over_time": _maximum}
_OVER_LABELS: Final[Mapping[str, Callable[[float, float], float]]] = {"sum": add, "max": max}
