"""Who may read which text, computed anew from the rules: what tests of permissions compare the product with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import httpx

from schemas.events.documents import Access
from schemas.ids import EVERYONE, Principal

Editions: TypeAlias = set[tuple[str, int]]  # texts of documents by number; 0 stands for the document itself
USERS: Final = ("ann", "bob", "cyd")
GUEST: Final = "cyd"
GROUPS: Final = ("wiki:a", "wiki:b", "wiki:c")
NAMES: Final = ("one.md", "two.md", "three.md")


@dataclass(frozen=True)
class Written:
    """A revision as the log has it."""

    name: str
    revision: int
    access: Access
    edition: int  # which text
    directory: int  # how much of the directory its writer had read
    deleted: bool = False


@dataclass(frozen=True)
class Known:
    """The directory after one of its records."""

    groups: Mapping[str, tuple[Principal, ...]]
    users: frozenset[str]
    handbook: bool = True

    def held_by(self, user: str) -> set[Principal]:
        """Close the groups over one another, by brute force."""
        if user not in self.users:
            return set()
        held = {Principal(f"user:{user}")} | (set() if user == GUEST else {EVERYONE})
        for _ in GROUPS:
            held |= {Principal(f"group:{name}") for name, inside in self.groups.items() if held & set(inside)}
        return held

    def permits(self, user: str, access: Access) -> bool:
        held = self.held_by(user)
        return (
            self.handbook
            and bool(access.clauses)
            and all(held & set(clause.principals) for clause in access.clauses)
            and not held & set(access.deny)
        )


def permitted(user: str, written: Sequence[Written], directory: Known, *, known_until: int) -> Editions:
    """Return what a caller may read as of these revisions and this directory, of which so many records are known.

    A text whose revision is not among them has no rule yet. A revision whose writer knew more of the directory than is
    known here cannot be judged.
    """
    texts: Editions = set()
    for name in NAMES:
        head = newest(written, name)
        if head is None or head.deleted or head.directory > known_until:
            continue
        if directory.permits(user, head.access):
            texts |= {(name, 0)} | {(name, each.edition) for each in written if each.name == name}
    return texts


def newest(written: Sequence[Written], name: str) -> Written | None:
    """Return the newest revision of a document."""
    return next((each for each in reversed(written) if each.name == name), None)


def text_of(name: str, edition: int) -> str:
    """Write a text that tells where it is from."""
    return f"secret-of-{name} edition {edition}"


def editions_in(text: str) -> Editions:
    """Return the texts that are quoted."""
    return {(name, int(edition)) for name, edition in re.findall(r"secret-of-(\S+) edition (\d+)", text)}


def shown_in(response: httpx.Response) -> Editions:
    """Return the texts in a response: wherever in it, also in pieces of a stream."""
    pieces = re.findall(r'"text":\s*"([^"]*)"', response.text)
    return editions_in(re.sub(r"</?em>", "", response.text)) | editions_in("".join(pieces))
