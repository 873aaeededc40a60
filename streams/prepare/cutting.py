"""Where a run of atoms is cut: at the places with the lowest rank, one after another, until every piece fits.

Ranks depend only on the words after a place, so this is a treap (Seidel and Aragon, 1996) over the places of a text:
putting in or taking out one atom changes the pieces around it and leaves all others as they were.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from streams.prepare.atoms import Atom


def cut(atoms: Sequence[Atom], *, budget: int, least: int, fits: Callable[[int, int], bool]) -> list[tuple[int, int]]:
    """Return ranges of atoms, in order, each within `budget` tokens and accepted by `fits`, or of a single atom.

    No cut leaves a piece of fewer than `least` tokens unless there is no other place.
    """
    sums = [0, *accumulate(atom.tokens for atom in atoms)]
    pieces = []
    pending = [(0, len(atoms))] if atoms else []
    while pending:
        first, last = pending.pop()
        if last - first == 1 or (sums[last] - sums[first] <= budget and fits(first, last)):
            pieces.append((first, last))
            continue
        at = _weakest(atoms, sums, first, last, least)
        pending += [(at, last), (first, at)]
    return pieces


def _weakest(atoms: Sequence[Atom], sums: Sequence[int], first: int, last: int, least: int) -> int:
    low = max(bisect_left(sums, sums[first] + least, first + 1, last), first + 1)
    high = min(bisect_right(sums, sums[last] - least, first, last), last)
    if low >= high:
        low, high = first + 1, last
    middle = (sums[first] + sums[last]) / 2
    # Equal ranks mean repeated words. The one nearest to the middle keeps the work at n log n.
    return min(range(low, high), key=lambda at: (atoms[at].rank, abs(sums[at] - middle)))
