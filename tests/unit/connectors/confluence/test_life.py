"""A site lives at random; whatever happened, what is held is what the site has, for whom the site would show it."""

import random

import pytest

from connectors.protocol import ItemConnector, PermissionsConnector
from headwater.access.clauses import permits
from headwater.errors import RetryableError
from schemas.events.documents import Link
from tests.support.callers import principals
from tests.support.confluence import SOURCE, ConfluenceSource, confluence_source
from tests.support.confluence_cloud import CloudServer
from tests.support.confluence_life import LINK, PEOPLE, Life, settle
from tests.support.confluence_server import ConfluenceServer
from tests.support.confluence_wiki import Piece
from tests.support.sources import Document, Follower


def told(source: ConfluenceSource, piece: Piece) -> dict[str, object]:
    """Return what a document is of a piece of the site, but for who may read it."""
    home = source.wiki.pieces[piece.parent] if piece.parent is not None else None
    relation = {"comment": "comments_on", "attachment": "attached_to"}.get(piece.kind, "child_of")
    links = [Link(relation=relation, target=home.id)] if home is not None else []
    if LINK in piece.body:
        target = f"{source.server.url}{source.server.context}/display/{piece.space}/Home"
        links.append(Link(relation="links_to", target=target))
    return {
        "text": piece.body.replace(LINK, "home"),
        "title": f"Comment on {home.title}" if home is not None and piece.kind == "comment" else piece.title,
        "space": piece.space,
        "labels": tuple(sorted(piece.labels)),
        "ancestors": tuple(source.wiki.pieces[each].title for each in source.wiki.above(piece.id))
        if piece.kind == "page"
        else (),
        "links": tuple(links),
    }


def held(document: Document) -> dict[str, object]:
    """Return the same of what is held."""
    attributes = {name: document.attributes[name] for name in ("space", "labels", "ancestors")}
    return {"text": document.text, "title": document.title, "links": document.links, **attributes}


def check(source: ConfluenceSource, follower: Follower) -> None:
    """Compare what is held with the site: contents, texts, what is told of them, and for everybody what may be read."""
    wiki = source.wiki
    assert {known: held(each) for known, each in follower.documents.items()} == {
        each.id: told(source, each) for each in source.server.current()
    }
    for user in (*PEOPLE, "stranger"):
        caller = principals(follower.groups, user, source=SOURCE)
        account = user if user in PEOPLE else None
        readable = {known for known, each in follower.documents.items() if permits(each.access, caller)}
        assert readable == {each for each in wiki.pieces if wiki.may_view(account, each)}, user


async def one_pass(source: ConfluenceSource, follower: Follower, dice: random.Random) -> None:
    """Make some pass, which may be cut or refused anywhere."""
    connector, cursor = source.connector(), dict(follower.cursor)
    assert isinstance(connector, PermissionsConnector)
    assert isinstance(connector, ItemConnector)
    ids = dice.sample(sorted(source.wiki.pieces), min(3, len(source.wiki.pieces)))
    passes = {
        "changes": lambda: connector.changes(cursor),
        "everything": lambda: connector.everything(cursor),
        "permissions": lambda: connector.permissions(cursor),
        "items": lambda: connector.items([*ids, "999999"], cursor),
    }
    source.server.limits_every = dice.choice((0, 0, 7))
    source.server.answers = [(503, {})] * 4 if dice.random() < 0.2 else []
    try:
        await follower.submit(passes[dice.choice(sorted(passes))](), dice.choice((None, None, 1, 4)))
    except RetryableError:
        assert source.server.answers == []


@pytest.mark.parametrize("kind", [ConfluenceServer, CloudServer])
@pytest.mark.parametrize("seed", range(4))
async def test_it_ends_where_the_site_is(seed: int, kind: type[ConfluenceServer]) -> None:
    dice = random.Random(seed)
    async with confluence_source(kind) as source:
        settle(source.wiki)
        source.server.page_size = dice.choice((2, 5, 50))
        life, follower = (
            Life(source.wiki, dice, nests=kind is ConfluenceServer),
            Follower(source, batch=dice.choice((1, 3))),
        )
        for _ in range(8):
            for _ in range(dice.randrange(1, 8)):
                life.step()
            await one_pass(source, follower, dice)
        source.server.limits_every, source.server.answers = 0, []
        await follower.follow()
        check(source, follower)
        assert await follower.follow() == []
        assert not follower.failed
