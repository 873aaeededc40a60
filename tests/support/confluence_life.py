"""What may happen to a Confluence site, at random: contents come, move and go, and those who may view them change."""

import random
from collections.abc import Callable

from tests.support.confluence_wiki import Group, Piece, Restricted, Space, Wiki

PEOPLE = ("ann", "bob", "cy", "dee")
GROUPS = ("staff", "leads", "hr", "all hands/2")
SPACES = ("ENG", "HR", "~ann")
WORD = "anchorage"  # in every text
LINK = '<ac:link><ri:page ri:content-title="Home" /><ac:link-body>home</ac:link-body></ac:link>'


def settle(wiki: Wiki) -> None:
    """Make a page in each of the spaces, which the first two may view."""
    wiki.users = {name: name for name in PEOPLE}  # the address is the id here
    wiki.groups = {name: Group() for name in GROUPS}
    wiki.spaces = {key: Space(key=key, readers=Restricted(groups={"staff"})) for key in SPACES}
    wiki.groups["staff"].users |= set(PEOPLE[:2])
    for key in SPACES:
        wiki.write(key, f"Home of {key}", f"{WORD} of {key}")


class Life:
    """What may happen to a site, one thing at a time."""

    def __init__(self, wiki: Wiki, dice: random.Random, *, nests: bool) -> None:
        self.wiki, self.dice, self.nests = wiki, dice, nests

    def step(self) -> None:
        """Let one thing happen."""
        things: list[tuple[int, Callable[[], None]]] = [
            (4, self.write),
            (3, self.edit),
            (1, self.rename),
            (2, self.forget),
            (3, self.move),
            (4, self.restrict),
            (2, self.label),
            (3, self.open_space),
            (3, self.join),
            (2 * self.nests, self.nest),
            (2, self.trash),
            (2, self.restore),
            (1, self.purge),
        ]
        weights = [weight for weight, _ in things]
        self.dice.choices([thing for _, thing in things], weights)[0]()

    def reshare(self) -> None:
        """Let who may view something change, and nothing else."""
        self.dice.choice((self.restrict, self.open_space, self.join, *((self.nest,) if self.nests else ())))()

    def write(self) -> None:
        kind = self.dice.choice(("page", "page", "page", "blogpost", "comment", "attachment"))
        parent = self.some(("page",)) if kind != "blogpost" else None
        space = parent.space if parent is not None else self.dice.choice(SPACES)
        if parent is not None or kind in {"page", "blogpost"}:
            text = f"{WORD} {self.dice.random()}"
            body = text if kind == "attachment" else f"{text} {LINK}"
            self.wiki.write(space, f"{kind} {text}", body, parent=parent.id if parent else None, kind=kind)

    def edit(self) -> None:
        if piece := self.some():
            self.wiki.edit(piece.id, f"edited {WORD} {self.dice.random()}")

    def rename(self) -> None:
        if piece := self.some():
            self.wiki.edit(piece.id, title=f"{piece.kind} {self.dice.random()}")

    def forget(self) -> None:
        if piece := self.some():
            self.wiki.forget(piece.id)

    def move(self) -> None:
        page, parent = self.some(("page",)), self.some(("page",))
        if page is not None:
            self.wiki.move(page.id, parent.id if parent is not None else None)

    def restrict(self) -> None:
        if piece := self.some(("page", "blogpost")):
            piece.restriction = self.named() if self.dice.random() < 0.7 else Restricted()

    def label(self) -> None:
        if piece := self.some():
            piece.labels ^= {self.dice.choice(("red", "blue"))}

    def open_space(self) -> None:
        space = self.wiki.spaces[self.dice.choice(SPACES)]
        space.readers = self.named()
        space.anonymous = self.dice.random() < 0.3
        self.wiki.anonymous = self.dice.random() < 0.5

    def join(self) -> None:
        self.wiki.groups[self.dice.choice(GROUPS)].users ^= {self.dice.choice(PEOPLE)}

    def nest(self) -> None:
        self.wiki.groups[self.dice.choice(GROUPS)].groups ^= {self.dice.choice(GROUPS)}

    def trash(self) -> None:
        if piece := self.dispensable():
            self.wiki.trash(piece.id)

    def restore(self) -> None:
        away = [each for each in self.wiki.pieces.values() if each.status == "trashed"]
        if away:
            self.wiki.restore(self.dice.choice(away).id)

    def purge(self) -> None:
        if piece := self.dispensable():
            self.wiki.purge(piece.id)

    def dispensable(self) -> Piece | None:
        """Leave the first page alone: a site that shows nothing any more is not believed."""
        piece = self.some()
        return piece if piece is not None and piece.id != min(self.wiki.pieces) else None

    def named(self) -> Restricted:
        users = set(self.dice.sample(PEOPLE, self.dice.randrange(3)))
        return Restricted(users=users, groups=set(self.dice.sample(GROUPS, self.dice.randrange(3))))

    def some(self, kinds: tuple[str, ...] = ("page", "blogpost", "comment", "attachment")) -> Piece | None:
        found = [each for each in self.wiki.pieces.values() if each.kind in kinds and self.wiki.alive(each.id)]
        return self.dice.choice(found) if found else None
