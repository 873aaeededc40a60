"""Which documents differ between two sets of facts: halves whose fingerprints agree are not looked into."""

from collections.abc import Iterable
from itertools import accumulate

from headwater.audit.fingerprints import MODULUS, Fact, fact_hash
from schemas.ids import DocumentId


def differing(expected: Iterable[Fact], held: Iterable[Fact]) -> tuple[DocumentId, ...]:
    """Return the documents of which the two sets do not hold the same facts, in order of their ids.

    After hashing each fact once, d differing documents of n take about d log n comparisons.
    """
    surplus: dict[DocumentId, int] = {}
    for facts, sign in ((expected, 1), (held, -1)):
        for fact in facts:
            surplus[fact.document_id] = surplus.get(fact.document_id, 0) + sign * fact_hash(fact)
    ids = sorted(surplus)
    # Fingerprint of the expected facts less that of the held ones, of all documents before each: a range agrees
    # when it is the same at both of its ends.
    before = list(accumulate((surplus[document] for document in ids), initial=0))
    found: list[DocumentId] = []
    ranges = [(0, len(ids))]
    while ranges:
        begin, end = ranges.pop()
        if (before[end] - before[begin]) % MODULUS == 0:
            continue
        if end - begin == 1:
            found.append(ids[begin])
            continue
        middle = (begin + end) // 2
        ranges += [(middle, end), (begin, middle)]  # the lower half is looked at first
    return tuple(found)
