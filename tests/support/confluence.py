"""Confluence as a source of the connectors' suite: pages by title, readers by their own restriction."""

import html
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from pydantic import SecretStr

from connectors.confluence.connector import ConfluenceConnector
from connectors.confluence.source import confluence_of
from connectors.protocol import Observed, SourceChange, Upserted
from headwater.clients.egress.client import Egress
from headwater.sources.confluence import ConfluenceSettings
from schemas.ids import KnowledgeBaseId, SourceId
from tests.support.confluence_cloud import EMAIL, CloudServer
from tests.support.confluence_gateway import CLIENT_ID, CLIENT_SECRET, CLOUD_ID, GatewayServer
from tests.support.confluence_server import TOKEN, ConfluenceServer, address, serving
from tests.support.confluence_wiki import Group, Restricted, Space, Wiki
from tests.support.egress import FakeClock, egress
from tests.support.retold import Retold
from tests.support.sources import Follower

SPACE = "ENG"
SOURCE = SourceId("wiki")


def connected(server: ConfluenceServer, way_out: Egress, **settings: Any) -> ConfluenceConnector:
    """Return the connector of a site."""
    dialect: dict[str, Any] = {"by_username": True}
    if isinstance(server, CloudServer):
        dialect = {"deployment": "cloud", "email": EMAIL}
    if isinstance(server, GatewayServer) and "email" not in settings:
        dialect = {"deployment": "cloud", "cloud_id": CLOUD_ID, "client_id": CLIENT_ID}
    chosen = ConfluenceSettings.model_validate({"url": address(server), **dialect, **settings})
    secrets = {"token": TOKEN, "client_secret": CLIENT_SECRET}
    return confluence_of(
        chosen,
        source=SOURCE,
        knowledge_base=KnowledgeBaseId("wiki"),
        secret=lambda name: SecretStr(secrets[name]),
        egress=way_out,
        gateway=f"{server.url}/ex/confluence/",
        issuer=f"{server.url}/",
        clock=server.wiki.clock.now,
    )


def plain(raw: bytes) -> str:
    """Return the text below the title of a document of ours."""
    body = raw.decode().partition("</h1>")[2].removesuffix("</body></html>\n")
    return html.unescape(re.sub(r"<[^>]+>", "", body)).strip()


def _plainly(change: Observed) -> Observed:
    if not isinstance(change, SourceChange) or not isinstance(change.what, Upserted):
        return change
    opened = change.what.content
    if opened is None or change.what.state.attributes["type"] == "attachment":
        return change

    async def content() -> AsyncIterator[bytes]:
        yield plain(b"".join([piece async for piece in opened()])).encode()

    return replace(change, what=replace(change.what, content=content))


class ConfluenceSource:
    """Implements SourceHarness on a site of one space."""

    lacks: Final[Mapping[str, str]] = {}

    def __init__(self, server: ConfluenceServer, way_out: Egress) -> None:
        self.server, self.wiki, self._way_out = server, server.wiki, way_out
        self.settings: dict[str, Any] = {}
        self._acts: dict[str, Callable[[], None]] = {}
        self._readers: dict[str, tuple[str, ...]] = {}  # by title, as the tests name them
        self._titles: dict[str, str] = {}  # of what is gone as well
        server.on_read = self._about_to_read
        self.wiki.spaces[SPACE] = Space(key=SPACE, readers=Restricted(groups={"staff"}))
        self.wiki.users = {"ann": "ann", "bob": "bob"}  # the address is the id here
        self.wiki.groups = {"staff": Group(users={"ann", "bob"}), "leads": Group(users={"bob"})}

    @property
    def outer(self) -> tuple[str, ...]:
        return (f"group:wiki:space:{SPACE}",)

    @property
    def downloads(self) -> int:
        return len(self.server.bodies)

    def connector(self) -> Retold:
        return Retold(self.confluence(), _plainly)

    def confluence(self) -> ConfluenceConnector:
        """Return the connector as it is."""
        return connected(self.server, self._way_out, **self.settings)

    def put(self, name: str, text: str) -> None:
        if (found := self._id(name)) is not None:
            self.wiki.edit(found, html.escape(text))
        else:
            found = self.wiki.write(SPACE, name, html.escape(text))
            self._titles[found] = name
            self.share(name, self._readers[name]) if name in self._readers else self.server.no_permissions.add(found)

    def put_late(self, name: str, text: str) -> None:
        self.put(name, text)
        found = self._id(name)
        assert found is not None
        self.wiki.pieces[found].modified_at = self.wiki.now() - timedelta(minutes=14)  # `overlap_minutes` are 15

    def repeat_items(self) -> None:
        self.server.duplicates_pages = True

    def set_clock(self, ahead: timedelta) -> None:
        self.wiki.skew = ahead

    def expire(self) -> None:
        self.server.expires_after = 0

    def renew(self) -> None:
        self.server.expires_after = None

    def rename(self, old: str, new: str) -> None:
        found = self._id(old)
        assert found is not None
        self.wiki.edit(found, title=new)
        self._titles[found] = new

    def delete(self, name: str) -> None:
        found = self._id(name)
        assert found is not None
        self.wiki.trash(found)

    def share(self, name: str, readers: Sequence[str]) -> None:
        self._readers[name] = tuple(readers)
        if (found := self._id(name)) is None:
            return
        self.server.no_permissions.discard(found)
        users = {each.removeprefix("user:") for each in readers if each.startswith("user:")}
        groups = {each.rpartition(":")[2] for each in readers if each.startswith("group:")}
        self.wiki.pieces[found].restriction = Restricted(users=users, groups=groups)

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        found = self._id(name)
        assert found is not None
        self._acts[found] = act

    def break_listing(self) -> None:
        self.server.listing_fails_after = 1

    def empty_listing(self) -> None:
        self.server.lists_nothing = True

    def mend(self) -> None:
        self.server.listing_fails_after, self.server.lists_nothing = None, False

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {each.title: (html.unescape(each.body), self._last_clause(each.id)) for each in self.server.current()}

    def name_of(self, external_id: str) -> str:
        return self._titles[external_id]

    def _last_clause(self, piece_id: str) -> tuple[str, ...]:
        if piece_id in self.server.no_permissions:
            return ()
        own = self.wiki.pieces[piece_id].restriction
        named = {f"user:{each}" for each in own.users} | {f"group:wiki:group:{self._key(each)}" for each in own.groups}
        return tuple(sorted(named)) or (f"group:wiki:space:{SPACE}",)

    def _key(self, group: str) -> str:
        told = self.server.group(group)
        return told.get("id", told["name"])

    def _id(self, name: str) -> str | None:
        return next((each.id for each in self.server.current() if each.title == name), None)

    def _about_to_read(self, content_id: str) -> None:
        self._acts.pop(content_id, lambda: None)()


@asynccontextmanager
async def confluence_source(kind: type[ConfluenceServer] = ConfluenceServer) -> AsyncIterator[ConfluenceSource]:
    """Run a site until the end of the block, and yield a source of it."""
    time = FakeClock()
    async with serving(kind(Wiki(clock=time))) as server, egress(time) as way_out:
        yield ConfluenceSource(server, way_out)


async def followed(wiki: ConfluenceSource) -> Follower:
    """Return one who knows all that there is; requests are counted from here."""
    follower = Follower(wiki)
    await follower.follow()
    wiki.server.requests.clear()
    wiki.server.bodies.clear()
    return follower
