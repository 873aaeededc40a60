"""A Confluence Cloud site: spaces by version 2, contents by search with cursors, accounts with ids and addresses.

What Cloud has taken out of version 1 answers 410.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from tests.support.confluence_server import BOT, TOKEN, ConfluenceServer
from tests.support.confluence_wiki import CURRENT, Piece, Restricted

EMAIL: Final = "bot@example.org"


@dataclass(slots=True)
class CloudServer(ConfluenceServer):
    """Answers as Cloud does."""

    context: str = "/wiki"
    tells_folders: bool = False  # of a folder's restriction; Cloud does not (CONFCLOUD-82920)
    lies: dict[str, dict[str, str | None]] = field(default_factory=dict)  # by id: told of where it lies instead
    group_ids: dict[str, str] = field(default_factory=dict)  # by name, where it matters which

    def account(self, request: web.Request) -> str | None:
        """Return who asks."""
        pair = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        expired = self.expires_after is not None and self.expires_after < 0
        return BOT if request.headers.get("Authorization") == f"Basic {pair}" and not expired else None

    def routes(self) -> Sequence[tuple[str, Callable[..., web.StreamResponse]]]:
        """Return what is answered, by pattern of the path below the context."""
        return (
            (r"/rest/api/user/current", lambda *_: web.json_response({"type": "known", "accountId": BOT})),
            (r"/rest/api/user", self._account),
            (r"/rest/api/content/search", self._searched),
            (r"/rest/api/content/(\d+)/restriction/byOperation/read", self._restriction),
            (r"/rest/api/group/([^/]+)/membersByGroupId", self._by_group_id),
            (r"/api/v2/spaces", self._spaces2),
            (r"/api/v2/spaces/([^/]+)/permissions", self._permissions2),
            (r"/api/v2/spaces/([^/]+)/pages", self._pages2),
            (r"/api/v2/(folders|whiteboards|databases|embeds)/(\w+)", self._lying),
            (r"/api/v2/(pages|blogposts|footer-comments|inline-comments|attachments)/(\w+)", self._existing),
            (r"/rest/api/content/(\d+)/child/attachment/(att\d+)/download", self._redirected),
            (r"/media/(att\d+)", self._download),
            (r"/download/.*", lambda *_: web.json_response({"message": "for browsers"}, status=401)),
            (r"/rest/api/(?:space|content).*", lambda *_: web.json_response({"message": "gone"}, status=410)),
        )

    def space_id(self, key: str) -> str:
        """Return what a space is called in paths."""
        return key.encode().hex()

    def cursored(self, request: web.Request, items: Sequence[Any]) -> web.Response:
        """Answer a page by cursor; the link begins at the site's host, as Cloud's do in version 2."""
        start = int(request.query.get("cursor", "0"))
        end = start + self.page_size
        return self._page(request, items[start:end], str(end) if end < len(items) else None)

    def _page(self, request: web.Request, items: Sequence[Any], following: str | None) -> web.Response:
        links, asked = {"base": f"{self.url}{self.context}"}, dict(request.query)
        if self.duplicates_pages and asked.pop("again", None) is None:
            asked["again"], following = "1", asked.get("cursor", "0")
        if following is not None:
            host = self.context if "/api/v2/" in request.path else ""
            links["next"] = f"{host}{self.below(request)}?{urlencode({**asked, 'cursor': following})}"
        return web.json_response({"results": list(items), "_links": links})

    def user(self, name: str) -> dict[str, str]:
        """Return an account as Cloud tells of it."""
        return {"type": "known", "accountId": f"712020:{name}", "email": self.wiki.users[name], "displayName": name}

    def group(self, name: str) -> dict[str, str]:
        """Return a group as it is told of."""
        return {"type": "group", "name": name, "id": self.group_ids.get(name, name.encode().hex())}

    def _searched(self, request: web.Request, user: str | None) -> web.Response:
        if self.listing_fails_after is not None:
            self.listing_fails_after -= 1
            if self.listing_fails_after < 0:
                return web.json_response({}, status=500)
        cql, expand = request.query["cql"], request.query.get("expand", "")
        found = self.found(cql)
        if "body" in expand:
            for each in found:
                if self.on_read is not None:
                    self.on_read(each.id)
                self.bodies.append(each.id)
            found = self.found(cql)
        if cql.endswith("order by created asc"):  # a cursor of these is the last content, whatever goes meanwhile
            after = int(request.query.get("cursor", "0"))
            found = [each for each in found if int(each.id) > after]
            page = found[: self.page_size]
            following = page[-1].id if len(found) > len(page) else None
            return self._page(request, [self.told(each, expand) for each in page], following)
        return self.cursored(request, [self.told(each, expand) for each in found])

    def _redirected(self, request: web.Request, user: str | None, page_id: str, content_id: str) -> web.Response:
        piece = self.wiki.pieces.get(content_id)
        if piece is None or piece.parent != page_id:
            return web.json_response({}, status=404)
        media = request.path.partition("/rest/")[0] + f"/media/{content_id}"
        return web.Response(status=302, headers={"Location": media})

    def _spaces2(self, request: web.Request, user: str | None) -> web.Response:
        spaces = [each for each in self.wiki.spaces.values() if user == BOT or (self.wiki.anonymous and each.anonymous)]
        told = [
            {"id": self.space_id(each.key), "key": each.key, "name": each.key, "status": each.status} for each in spaces
        ]
        return self.cursored(request, told)

    def _permissions2(self, request: web.Request, user: str | None, space_id: str) -> web.Response:
        readers = self.wiki.spaces[bytes.fromhex(space_id).decode()].readers
        principals = [{"type": "user", "id": f"712020:{name}"} for name in sorted(readers.users)]
        principals += [{"type": "group", "id": self.group(name)["id"]} for name in sorted(readers.groups)]
        principals += [{"type": "role", "id": "r1"}, {"type": "access_class", "id": "all-guests"}]  # open nothing here
        view, other = {"key": "read", "targetType": "space"}, {"key": "create", "targetType": "page"}
        granted = [{"id": "1", "principal": each, "operation": view} for each in principals]
        granted.append({"id": "2", "principal": {"type": "user", "id": "712020:editor"}, "operation": other})
        return self.cursored(request, granted)

    def _existing(self, _: web.Request, user: str | None, folder: str, content_id: str) -> web.Response:
        if content_id.startswith("att") is not (folder == "attachments"):
            return web.json_response({}, status=400)  # no number
        piece = self.wiki.pieces.get(content_id)
        kind = {"pages": "page", "blogposts": "blogpost", "attachments": "attachment"}.get(folder, "comment")
        if piece is None or piece.kind != kind or folder == "inline-comments":
            return web.json_response({}, status=404)
        status = CURRENT if self.wiki.alive(content_id) else "trashed"
        return web.json_response({**self._lies(piece), "status": status})

    def _pages2(self, request: web.Request, user: str | None, space_id: str) -> web.Response:
        key = bytes.fromhex(space_id).decode()
        return self.cursored(
            request, [self._lies(each) for each in self.current() if (each.kind, each.space) == ("page", key)]
        )

    def _lying(self, _: web.Request, user: str | None, folder: str, content_id: str) -> web.Response:
        piece = self.wiki.pieces.get(content_id)
        if piece is None or f"{piece.kind}s" != folder:
            return web.json_response({}, status=404)
        return web.json_response(self._lies(piece))

    def _lies(self, piece: Piece) -> dict[str, str | None]:
        home = self.wiki.pieces[piece.parent] if piece.parent is not None else None
        return self.lies.get(piece.id) or {
            "id": piece.id,
            "parentId": home.id if home is not None else None,
            "parentType": home.kind if home is not None else None,
        }

    def _restriction(self, request: web.Request, user: str | None, content_id: str) -> web.Response:
        piece = self.wiki.pieces.get(content_id)
        if piece is not None and piece.kind not in {"page", "blogpost"} and not self.tells_folders:
            return web.json_response(self.subjects(Restricted()))
        return ConfluenceServer._restriction(self, request, user, content_id)

    def told(self, piece: Piece, expand: str) -> dict[str, Any]:
        """Return a piece as version 1 tells of it, which knows pages above it alone, up to the first folder."""
        found = ConfluenceServer.told(self, piece, expand)
        pages: list[dict[str, str]] = []
        for each in found.get("ancestors", ()):
            pages = [*pages, each] if each["type"] == "page" else []
        return {**found, "ancestors": pages} if "ancestors" in found else found

    def _by_group_id(self, request: web.Request, user: str | None, group_id: str) -> web.Response:
        group = next((each for name, each in self.wiki.groups.items() if self.group(name)["id"] == group_id), None)
        if group is None:
            return web.json_response({}, status=404)
        return self.cursored(request, [self.user(each) for each in sorted(group.users)])

    def _account(self, request: web.Request, user: str | None) -> web.Response:
        name = request.query.get("accountId", "").removeprefix("712020:")
        return web.json_response(self.user(name)) if name in self.wiki.users else web.json_response({}, status=404)
