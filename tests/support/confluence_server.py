"""A Confluence Data Center site over HTTP: REST version 1 with pages, expansion, rate limits and refusals.

Shapes: Confluence Data Center REST API 9.2. The state and the decisions are `confluence_wiki.py`'s.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from aiohttp import web

from tests.support.confluence_wiki import CURRENT, Piece, Restricted, Wiki

CONTEXT: Final = "/confluence"
TOKEN: Final = "pat-of-the-bot"
BOT: Final = "bot"
_MINUTES: Final = re.compile(r'lastmodified >= now\("-(\d+)m"\)')
_TYPES: Final = re.compile(r"type in \(([^)]*)\)")
_SPACES: Final = re.compile(r'space (?:= |in \()((?:"[^"]*"(?:, )?)+)')
Answer = tuple[int, Mapping[str, str]]


@dataclass(slots=True)
class ConfluenceServer:
    """Answers for a wiki. What is set on it holds for the requests that follow."""

    wiki: Wiki
    url: str = ""
    context: str = CONTEXT
    page_size: int = 3
    requests: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)  # ids of what was read
    answers: list[Answer] = field(default_factory=list)  # given instead, once each
    expires_after: int | None = None  # so many requests, then the token is refused
    limits_every: int = 0  # each so manieth request is too many
    listing_fails_after: int | None = None
    listing_refusal: int = 500
    lists_nothing: bool = False
    duplicates_pages: bool = False
    hidden: set[str] = field(default_factory=set)  # ids that the account may not view; rows stand for them all the same
    search_never_ends: bool = False  # the same of what is searched for
    never_ends: bool = False  # contents: past the end the last page comes again, with a next one (CONFSERVER-95396)
    search_is_behind: set[str] = field(default_factory=set)  # ids that the search index does not have yet
    no_permissions: set[str] = field(
        default_factory=set
    )  # keys of spaces, ids of contents, names of groups, "groups": 403
    untold_status: int = 403  # of the spaces among them; those before 9.1 answer 404
    no_ancestors: set[str] = field(default_factory=set)  # names of groups of which it is not told what they are in
    strangers_go_to: str | None = None  # where requests without credentials are sent to log in
    refused: dict[str, int] = field(default_factory=dict)  # a pattern of paths -> status
    on_read: Callable[[str], None] | None = None  # before a body is answered

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = self.below(request)
        self.requests.append(f"{path}?{request.query_string}" if request.query_string else path)
        if request.method != "GET":
            return _refused(405)  # nothing is ever written
        if self.answers:
            status, headers = self.answers.pop(0)
            return web.json_response({"statusCode": status}, status=status, headers=headers)
        if self.limits_every and len(self.requests) % self.limits_every == 0:
            return web.json_response({}, status=429, headers={"Retry-After": "7"})
        if self.expires_after is not None:
            self.expires_after -= 1
        user = self.account(request)
        if user is None and self.strangers_go_to is not None:
            return web.Response(status=302, headers={"Location": self.strangers_go_to})
        if user is None and not (self.wiki.anonymous and path in {"/rest/api/space", "/api/v2/spaces"}):
            return _refused(401)
        return self.routed(request, path, user)

    def below(self, request: web.Request) -> str:
        """Return the path below the context, as it was sent: a slash in a name is none of the path."""
        return request.rel_url.raw_path.removeprefix(self.context)

    def account(self, request: web.Request) -> str | None:
        """Return who asks."""
        if self.expires_after is not None and self.expires_after < 0:
            return None
        return BOT if request.headers.get("Authorization") == f"Bearer {TOKEN}" else None

    def routed(self, request: web.Request, path: str, user: str | None) -> web.StreamResponse:
        """Answer by path."""
        for pattern, status in self.refused.items():
            if re.search(pattern, path):
                return _refused(status)
        for pattern, answer in self.routes():
            if found := re.fullmatch(pattern, path):
                return answer(request, user, *map(unquote, found.groups()))
        return _refused(404)

    def routes(self) -> Sequence[tuple[str, Callable[..., web.StreamResponse]]]:
        """Return what is answered, by pattern of the path below the context."""
        return (
            (r"/rest/api/user/current", lambda *_: web.json_response({"type": "known", "username": BOT})),
            (r"/rest/api/user", self._user),
            (r"/rest/api/space", self._spaces),
            (r"/rest/api/space/([^/]+)/permissions", self._permissions),
            (r"/rest/api/content", self._contents),
            (r"/rest/api/content/search", self._search),
            (r"/rest/api/content/((?:att)?\d+)", self._content),
            (r"/rest/api/content/(\d+)/restriction/byOperation/read", self._restriction),
            (r"/rest/api/group", self._groups),
            (r"/rest/api/group/([^/]+)/member", self._members),
            (r"/rest/api/group/([^/]+)/groupancestor", self._ancestors),
            (r"/download/attachments/(att\d+)", self._download),
        )

    def space_id(self, key: str) -> str:
        """Return what a space is called in paths."""
        return key

    def paged(self, request: web.Request, items: Sequence[Any]) -> web.Response:
        """Answer a page by offset, as `start` and `limit` ask."""
        start = int(request.query.get("start", "0"))
        size = min(self.page_size, int(request.query.get("limit", "25")))
        by_links = request.path != f"{self.context}/rest/api/content"  # contents are asked for by offset
        searched = request.path == f"{self.context}/rest/api/content/search"
        endless = self.search_never_ends if searched else self.never_ends and not by_links
        start = min(start, max(0, len(items) - size)) if endless else start
        page = [each for each in items[start : start + size] if each.get("id") not in self.hidden]
        links = {"base": f"{self.url}{self.context}", "context": self.context}
        again = self.duplicates_pages and by_links and "again" not in request.query
        if again or start + size < len(items) or endless:
            past = int(request.query.get("start", "0")) + size
            asked = {**request.query, "start": str(start if again else past)}
            asked = {**asked, "again": "1"} if again else {key: it for key, it in asked.items() if key != "again"}
            links["next"] = f"{self.below(request)}?{urlencode(asked)}"
        return web.json_response({"results": page, "start": start, "limit": size, "size": len(page), "_links": links})

    def _spaces(self, request: web.Request, user: str | None) -> web.Response:
        spaces = self.wiki.spaces.values()
        shown = [space for space in spaces if user == BOT or (self.wiki.anonymous and space.anonymous)]
        return self.paged(
            request, [{"id": 1, "key": each.key, "name": each.key.title(), "status": each.status} for each in shown]
        )

    def _permissions(self, _: web.Request, user: str | None, key: str) -> web.Response:
        if key in self.no_permissions:
            return _refused(self.untold_status)
        space = self.wiki.spaces[key]
        view, other = (
            {"targetType": kind, "operationKey": name} for kind, name in (("space", "read"), ("page", "create"))
        )
        subjects: list[dict[str, str]] = [{"type": "group", "name": name} for name in sorted(space.readers.groups)]
        subjects += [{"type": "user", "userKey": f"key-{name}"} for name in sorted(space.readers.users)]
        subjects += [{"type": "anonymous"}] if space.anonymous else []
        granted = [{"operation": view, "subject": each, "spaceKey": key} for each in subjects]
        granted.append({"operation": other, "subject": {"type": "group", "name": "editors"}, "spaceKey": key})
        return web.json_response(granted)

    def _contents(self, request: web.Request, user: str | None) -> web.Response:
        if self.listing_fails_after is not None:
            self.listing_fails_after -= 1
            if self.listing_fails_after < 0:
                return _refused(self.listing_refusal)
        kind, space = request.query["type"], request.query["spaceKey"]
        shown = (
            [] if self.lists_nothing else [each for each in self.current() if each.kind == kind and each.space == space]
        )
        return self.paged(request, [self.told(each, request.query.get("expand", "")) for each in shown])

    def _search(self, request: web.Request, user: str | None) -> web.Response:
        found = self.found(request.query["cql"])
        return self.paged(request, [self.told(each, request.query.get("expand", "")) for each in found])

    def found(self, cql: str) -> list[Piece]:
        """Return what the search index has."""
        if self.lists_nothing:
            return []
        indexed = [each for each in self.current() if each.id not in self.search_is_behind]
        if one := re.fullmatch(r'id = "([^"]*)"', cql):
            return [each for each in indexed if each.id == one[1]]
        kinds, spaces, minutes = _TYPES.search(cql), _SPACES.search(cql), _MINUTES.search(cql)
        assert kinds is not None, cql
        named = re.findall(r'"([^"]*)"', spaces[1]) if spaces else list(self.wiki.spaces)
        shown = [each for each in indexed if each.kind in kinds[1].split(", ") and each.space in named]
        if minutes:
            since = self.wiki.now() - timedelta(minutes=int(minutes[1]))
            shown = sorted((each for each in shown if each.modified_at >= since), key=lambda each: each.modified_at)
        return shown

    def _content(self, request: web.Request, user: str | None, content_id: str) -> web.Response:
        expand = request.query.get("expand", "")
        if "body" in expand and self.on_read is not None:
            self.on_read(content_id)
        piece = self.wiki.pieces.get(content_id)
        if piece is None or piece.status != CURRENT or content_id in self.hidden:
            return _refused(404)
        if "body" in expand:
            self.bodies.append(content_id)
        return web.json_response(self.told(piece, expand))

    def _restriction(self, _: web.Request, user: str | None, content_id: str) -> web.Response:
        if content_id in self.no_permissions:
            return _refused(403)
        piece = self.wiki.pieces.get(content_id)
        return _refused(404) if piece is None else web.json_response(self.subjects(piece.restriction))

    def _groups(self, request: web.Request, user: str | None) -> web.Response:
        if "groups" in self.no_permissions:
            return _refused(403)
        return self.paged(request, [{"type": "group", "name": name} for name in sorted(self.wiki.groups)])

    def _members(self, request: web.Request, user: str | None, name: str) -> web.Response:
        if name in self.no_permissions:
            return _refused(403)
        group = self.wiki.groups.get(name)
        return (
            _refused(404) if group is None else self.paged(request, [self.user(each) for each in sorted(group.users)])
        )

    def _ancestors(self, request: web.Request, user: str | None, name: str) -> web.Response:
        if name in self.no_ancestors:
            return _refused(404)
        above = sorted(self.wiki.nested_ancestors(name))
        return self.paged(request, [{"type": "group", "name": each} for each in above])

    def _user(self, request: web.Request, user: str | None) -> web.Response:
        asked = request.query.get("key", "").removeprefix("key-") or request.query.get("username", "")
        return web.json_response(self.user(asked)) if asked in self.wiki.users else _refused(404)

    def _download(self, _: web.Request, user: str | None, content_id: str) -> web.Response:
        if self.on_read is not None:
            self.on_read(content_id)
        piece = self.wiki.pieces.get(content_id)
        if piece is None or piece.status != CURRENT:
            return _refused(404)
        self.bodies.append(content_id)
        return web.Response(body=piece.body.encode(), content_type=piece.media_type)

    def current(self) -> list[Piece]:
        """Return what listings show."""
        return [each for each in self.wiki.pieces.values() if self.wiki.alive(each.id)]

    def user(self, name: str) -> dict[str, str]:
        """Return an account as Data Center tells of it: without an address."""
        return {"type": "known", "username": name, "userKey": f"key-{name}", "displayName": name.title()}

    def group(self, name: str) -> dict[str, str]:
        """Return a group as it is told of."""
        return {"type": "group", "name": name}

    def _status(self, piece: Piece) -> str:
        return self.wiki.spaces[piece.space].status

    def subjects(self, restricted: Restricted) -> dict[str, Any]:
        """Return whom a restriction names."""
        users, groups = sorted(restricted.users)[:200], sorted(restricted.groups)[:200]  # no more are told at once
        return {
            "operation": "read",
            "restrictions": {
                "user": {"results": [self.user(each) for each in users], "start": 0, "limit": 200, "size": len(users)},
                "group": {"results": [self.group(each) for each in groups], "start": 0, "limit": 200},
            },
        }

    def told(self, piece: Piece, expand: str) -> dict[str, Any]:
        """Return a piece with what was asked to be expanded, and nothing else."""
        asked = {part.partition(".")[0] for part in expand.split(",")}
        is_page = piece.kind in {"page", "blogpost"}
        found: dict[str, Any] = {"id": piece.id, "type": piece.kind, "status": piece.status, "title": piece.title}
        found["_links"] = {"webui": f"/pages/viewpage.action?pageId={piece.id}"}
        if piece.kind == "attachment":
            found["_links"]["download"] = f"/download/attachments/{piece.id}?version={piece.version}"
            found["extensions"] = {"mediaType": piece.media_type, "fileSize": len(piece.body.encode())}
        if "space" in asked:
            found["space"] = {"id": 1, "key": piece.space, "name": piece.space.title(), "status": self._status(piece)}
        if "version" in asked:
            when = piece.modified_at.isoformat(timespec="milliseconds")
            found["version"] = {"number": piece.version, "when": when, "by": self.user("ann")}
        if "history" in asked:
            found["history"] = {"createdBy": self.user("ann"), "latest": True}
        if "metadata" in asked:
            found["metadata"] = {"labels": {"results": [{"name": name} for name in sorted(piece.labels)]}}
        if "ancestors" in asked and is_page:
            above = [self.wiki.pieces[each] for each in self.wiki.above(piece.id)]
            found["ancestors"] = [{"id": each.id, "type": each.kind, "title": each.title} for each in above]
        if "restrictions" in asked and is_page and piece.id not in self.no_permissions:
            found["restrictions"] = {"read": self.subjects(piece.restriction)}
        if "container" in asked and not is_page and piece.parent is not None:
            home = self.wiki.pieces[piece.parent]
            found["container"] = {"id": home.id, "type": home.kind, "title": home.title}
        if "body" in asked:
            found["body"] = {"storage": {"value": piece.body, "representation": "storage"}}
        return found


def _refused(status: int) -> web.Response:
    return web.json_response({"statusCode": status, "message": "refused"}, status=status)


@asynccontextmanager
async def serving(server: ConfluenceServer) -> AsyncIterator[ConfluenceServer]:
    """Serve a site on a free port of loopback, under the name `wiki.test`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://wiki.test:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def address(server: ConfluenceServer) -> str:
    """Return what a source is connected with."""
    return f"{server.url}{quote(server.context)}/"
