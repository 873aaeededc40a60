"""GitHub's REST API over a synthetic organisation: pages, validators, limits, outages, truncated trees. On loopback.

Shapes: docs.github.com/rest, version 2022-11-28, and the recordings of `api/github-octokit`.
"""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.support.github_answers import Allowance, Answer, RefusedError
from tests.support.github_app import FakeApp
from tests.support.github_diffs import comparison
from tests.support.github_graphql import answered
from tests.support.github_issues import of_issues
from tests.support.github_shapes import release_shape, repository_shape
from tests.support.github_state import ORGANISATION, GithubState, Repo
from tests.support.github_trees import tree_shape

TOKEN = "ghp_synthetic"
WIKI = ".wiki.git/git-upload-pack"


@dataclass(slots=True)
class GithubServer:
    """Serves a state. What is set on it holds for the requests that follow."""

    url: str = ""
    state: GithubState = field(default_factory=GithubState)
    tree_entries: int = 1000  # of one recursive answer; more are truncated
    folder_entries: int = 1000  # of one answer about a folder alone
    compared_files: int = 300
    requests: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)  # with a body
    not_modified: int = 0
    answers: list[Answer] = field(default_factory=list)  # to the next requests, whatever they are
    allowance: Allowance | None = None
    refused: dict[str, int] = field(default_factory=dict)  # a pattern of paths -> status, until taken away
    lists_nothing: bool = False
    tells_etags: bool = True  # a proxy may take them away
    fails_after_pages: int | None = None  # of the listing of repositories
    duplicates_items: bool = False  # each page begins with the last item of the one before: something came in meanwhile
    on_read: Callable[[Repo, str], None] | None = None  # before a blob is answered
    on_answer: Callable[[str], object] | None = None  # before anything is answered
    asked_of_git: list[bytes] = field(default_factory=list)
    graph_error: str | None = None  # its type
    stands_still: str | None = None  # a pattern of paths, or a query's name: each page is the first, and none the last
    cursor_of_all: str | None = "same"  # of such pages of GraphQL
    token: str = TOKEN
    expired: bool = False  # whatever is shown
    app: FakeApp = field(default_factory=FakeApp)
    _by_app: bool = False  # the request that is answered shows a token of the app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = request.raw_path.partition("?")[0]
        self.requests.append(f"{request.raw_path.lstrip('/')}")
        if self.on_answer is not None:
            self.on_answer(self.requests[-1])
        limited = self.allowance is not None and self.allowance.is_used_up()
        if self.answers or limited:
            said = self.allowance.refusal() if self.allowance is not None and limited else self.answers.pop(0)
            return web.json_response({"message": said.message}, status=said.status, headers=dict(said.headers))
        if not self._admits(request.headers.get("Authorization", ""), path):
            return web.json_response({"message": "Bad credentials"}, status=401)
        for pattern, status in self.refused.items():
            if re.search(pattern, path):
                return web.json_response({"message": "Refused"}, status=status)
        if path.endswith(WIKI):
            return await self._git(request, unquote(path).strip("/").removesuffix(WIKI))
        return await self._graphql(request) if path == "/graphql" else self._rest(request, path)

    def _rest(self, request: web.Request, path: str) -> web.Response:
        try:
            body, links = self._body([unquote(part) for part in path.strip("/").split("/")], request)
        except RefusedError as refusal:
            headers = {"Location": self.url + refusal.location} if refusal.location else {}
            return web.json_response({"message": "Not Found"}, status=refusal.status, headers=headers)
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            self.not_modified += 1
            return web.Response(status=304, headers={"ETag": etag})
        self.answered.append(self.requests[-1])
        headers = {"Date": format_datetime(self.state.now, usegmt=True), **links}
        if self.allowance is not None:
            self.allowance.used += 1
            headers = {**links, **self.allowance.headers()}
        if self.tells_etags:
            headers["ETag"] = etag
        return web.Response(body=body, headers=headers, content_type="application/json")

    async def _git(self, request: web.Request, full_name: str) -> web.StreamResponse:
        repo = self.state.named(full_name)
        if repo is None or not self._shown(repo) or not repo.has_wiki or not repo.wiki.is_written:
            return web.Response(status=404, text="Repository not found.")
        assert request.headers["Git-Protocol"] == "version=2"
        asked = await request.read()
        self.asked_of_git.append(asked)
        if self.on_read is not None and b"command=fetch" in asked and b"filter" not in asked:
            self.on_read(repo, "")
        if repo.id not in self.state.repos:
            return web.Response(status=404, text="Repository not found.")
        return web.Response(body=repo.wiki.answer(asked), content_type="application/x-git-upload-pack-result")

    async def _graphql(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if self.graph_error is not None:
            nothing = {"discussion": None, "discussions": {"pageInfo": {"hasNextPage": False}, "nodes": []}}
            data = None if self.graph_error == "NOT_FOUND" else {"repository": nothing}
            return web.json_response({"data": data, "errors": [{"type": self.graph_error, "message": "Said so"}]})
        still = self.stands_still is not None and f"query {self.stands_still}(" in asked["query"]
        after = {"after": None} if still else {}
        told = json.dumps(answered(self.state, self._shown, asked["query"], asked["variables"] | after))
        if still:
            on = json.dumps({"hasNextPage": True, "endCursor": self.cursor_of_all})
            told = re.sub(r'(?<="pageInfo": ){[^}]*}', on, told)
        return web.Response(text=told, content_type="application/json")

    def _admits(self, authorization: str, path: str) -> bool:
        if self.expired:
            return False
        if path.startswith("/app/") or path.endswith("/installation"):
            return self.app.is_signed(authorization, self.state.now)
        if path.endswith(WIKI):
            scheme, _, pair = authorization.partition(" ")
            user, _, password = base64.b64decode(pair).decode().partition(":")
            authorization = f"Bearer {password}" if (scheme, user) == ("Basic", "x-access-token") else "None"
        self._by_app = self.app.opens(authorization, self.state.now)
        return self._by_app or authorization == f"Bearer {self.token}"

    def _shown(self, repo: Repo) -> bool:
        return not self._by_app or repo.visibility == "public" or self.app.has(repo)

    def _body(self, parts: Sequence[str], request: web.Request) -> tuple[bytes, dict[str, str]]:
        if parts[:3] and parts[0] == "repos" and parts[3:5] == ["git", "blobs"]:
            return self._blob(self._repo(parts), parts[5]), {}
        still = self.stands_still is not None and re.search(self.stands_still, request.path) is not None
        found = self._found(parts, {} if still else request.query)
        if not isinstance(found, list):
            return json.dumps(found).encode(), {}
        size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
        if still:
            return json.dumps(found[:size]).encode(), {"Link": f'<{self.url}{request.path_qs}>; rel="next"'}
        begin = (page - 1) * (size - 1 if self.duplicates_items and size > 1 else size)
        shown = found[begin : begin + size]
        links = {}
        if begin + size < len(found):
            query = "&".join(f"{name}={value}" for name, value in request.query.items() if name != "page")
            links["Link"] = (
                f'<{self.url}{request.path}?{query}&page={page + 1}>; rel="next", '
                f'<{self.url}{request.path}?{query}&page={-(-len(found) // size)}>; rel="last"'
            )
        if parts == ["installation", "repositories"]:
            return json.dumps({"total_count": len(found), "repositories": shown}).encode(), links
        return json.dumps(shown).encode(), links

    def _found(self, parts: Sequence[str], query: Mapping[str, str]) -> Any:
        match parts:
            case ["orgs", login, *below] if login == ORGANISATION:
                return self._of_organisation(below, query)
            case ["repositories", repository_id] if int(repository_id) in self.state.repos:
                repo = self.state.repos[int(repository_id)]
                if self._shown(repo):
                    return repository_shape(self.state, repo)
            case ["installation" | "app", *_] | ["repos", _, _, "installation"]:
                return self._of_app(parts)
            case ["repos", _, _]:
                return repository_shape(self.state, self._repo(parts))
            case ["repos", _, _, *below]:
                return self._of_repository(self._repo(parts), below, query)
        raise RefusedError(404)

    def _of_app(self, parts: Sequence[str]) -> Any:
        match parts:
            case ["installation", "repositories"] if self._by_app:
                return [] if self.lists_nothing else self._shown_of(self.app.has)
            case ["app", "installations", number, "access_tokens"] if int(number) == self.app.installation:
                if self.app.suspended:
                    raise RefusedError(403)
                return self.app.grant(self.state.now)
            case ["repos", _, _, "installation"] if self.app.has(self._repo(parts)):
                return {"id": self.app.installation}
        raise RefusedError(404)

    def _of_organisation(self, below: Sequence[str], query: Mapping[str, str]) -> Any:
        state = self.state
        match below:
            case []:
                return {
                    "id": state.organisation_id,
                    "login": ORGANISATION,
                    "default_repository_permission": state.base_permission,
                }
            case ["repos"]:
                if self.fails_after_pages is not None and int(query.get("page", "1")) > self.fails_after_pages:
                    raise RefusedError(502)
                return [] if self.lists_nothing else self._shown_of(lambda each: each.owner == ORGANISATION)
            case ["members"]:
                wanted = query.get("role", "all")
                logins = [login for login, role in state.members.items() if wanted in {"all", role}]
                return [state.account(login) for login in sorted(logins)]
            case ["teams"]:
                return [{"id": each.id, "slug": each.slug, "name": each.slug} for each in state.teams.values()]
            case ["teams", slug, "members"]:
                for team in state.teams.values():
                    if team.slug == slug:
                        return [state.account(login) for login in sorted(state.team_members(team))]
        raise RefusedError(404)

    def _repo(self, parts: Sequence[str]) -> Repo:
        name = "/".join(parts[1:3])
        found = self.state.named(name)
        if found is not None and self._shown(found):
            return found
        if name in self.state.former_names and self.state.former_names[name] in self.state.repos:
            rest = "/".join(parts[3:])
            moved = self.state.repos[self.state.former_names[name]]
            raise RefusedError(301, f"/repos/{moved.full_name}/{rest}".rstrip("/"))
        raise RefusedError(404)

    def _of_repository(self, repo: Repo, below: Sequence[str], query: Mapping[str, str]) -> Any:
        match below:
            case ["collaborators"]:
                direct = query.get("affiliation") == "direct" or repo.owner == ORGANISATION
                logins = repo.direct if direct else repo.direct | {repo.owner}
                return [
                    {**self.state.account(each), "permissions": {"pull": each not in repo.barred}}
                    for each in sorted(logins)
                ]
            case ["teams"]:
                teams = [self.state.teams[each] for each in sorted(repo.teams) if each in self.state.teams]
                return [{"id": each.id, "slug": each.slug, "name": each.slug} for each in teams]
            case ["issues" | "pulls" as kind, *more]:
                return of_issues(self.state, repo, (kind, *more), query, url=self.url)
            case ["releases"]:
                shown = [each for each in reversed(repo.releases.values()) if each.id not in self.state.unlisted]
                return [release_shape(self.state, repo, each) for each in shown]
            case ["releases", number] if int(number) in repo.releases:
                return release_shape(self.state, repo, repo.releases[int(number)])
        return self._of_git(repo, below, query)

    def _of_git(self, repo: Repo, below: Sequence[str], query: Mapping[str, str]) -> Any:
        match below:
            case ["git", "ref", "heads", *branch]:
                if repo.head is None or "/".join(branch) != repo.branch:
                    raise RefusedError(409 if repo.head is None else 404)
                return {"ref": f"refs/heads/{repo.branch}", "object": {"sha": repo.head, "type": "commit"}}
            case ["git", "trees", sha]:
                whole = "recursive" in query
                return tree_shape(repo, sha, recursive=whole, most=self.tree_entries if whole else self.folder_entries)
            case ["compare", commits]:
                base, _, head = commits.partition("...")
                if base in repo.commits and head in repo.commits:
                    return comparison(repo, base, head, limit=self.compared_files)
        raise RefusedError(404)

    def _blob(self, repo: Repo, sha: str) -> bytes:
        if self.on_read is not None:
            self.on_read(repo, sha)
        if repo.id not in self.state.repos or sha not in repo.blobs:
            raise RefusedError(404)
        return repo.blobs[sha]

    def _shown_of(self, wanted: Callable[[Repo], bool]) -> list[dict[str, Any]]:
        return [
            repository_shape(self.state, each)
            for each in self.state.repos.values()
            if wanted(each) and self._shown(each)
        ]


@asynccontextmanager
async def github_server() -> AsyncIterator[GithubServer]:
    """Serve an organisation on a free port of loopback."""
    server = GithubServer()
    app = web.Application()
    app.router.add_route("GET", r"/{path:[\s\S]*}", server.handle)
    app.router.add_route("POST", "/app/{path:.*}", server.handle)
    app.router.add_route("POST", "/graphql", server.handle)
    app.router.add_route("POST", "/{path:.*}.wiki.git/git-upload-pack", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://github.test:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
