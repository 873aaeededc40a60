"""GitHub's GraphQL API, for what REST does not tell: discussions (ADR 0137). Source: docs.github.com/graphql."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, TypeVar

from connectors.github.graphql_models import (
    AnsweredOne,
    AnsweredPage,
    AnsweredPart,
    AnsweredReplies,
    Discussion,
    DiscussionPart,
    Replies,
    Reply,
    Told,
)
from connectors.github.models import Repository, read_as
from connectors.paging import Pages
from headwater.clients.egress.errors import ForbiddenError, MissingError, SourceAwayError
from headwater.clients.egress.requests import EgressRequest, NotModified
from headwater.clients.egress.source import EgressSource
from headwater.errors import PoisonError

M = TypeVar("M")
_PAGE: Final = "pageInfo { hasNextPage endCursor }"
_HEAD: Final = (
    "number title url createdAt updatedAt isAnswered author { login } category { name } comments { totalCount }"
)
_SAID: Final = "createdAt body author { login }"
_LIST: Final = f"""
query Discussions($owner: String!, $name: String!, $first: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    discussions(first: $first, after: $after, orderBy: {{field: UPDATED_AT, direction: DESC}}) {{
      {_PAGE} nodes {{ {_HEAD} }} }} }} }}"""
_ONE: Final = f"""
query Discussion($owner: String!, $name: String!, $number: Int!) {{
  repository(owner: $owner, name: $name) {{ discussion(number: $number) {{ {_HEAD} }} }} }}"""
_COMMENTS: Final = f"""
query Comments($owner: String!, $name: String!, $number: Int!, $first: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{ discussion(number: $number) {{
    body comments(first: $first, after: $after) {{
      {_PAGE} nodes {{ id {_SAID} replies(first: $first) {{ {_PAGE} nodes {{ {_SAID} }} }} }} }} }} }} }}"""
_REPLIES: Final = f"""
query Replies($id: ID!, $first: Int!, $after: String) {{
  node(id: $id) {{ ... on DiscussionComment {{
    replies(first: $first, after: $after) {{ {_PAGE} nodes {{ {_SAID} }} }} }} }} }}"""
_NOT_FOUND: Final = "NOT_FOUND"
_FORBIDDEN: Final = frozenset({"FORBIDDEN", "INSUFFICIENT_SCOPES"})


class QueryRefusedError(PoisonError):
    """A query that GitHub did not answer as it was asked."""


class GithubGraphQL:
    """Queries of one source."""

    def __init__(self, source: EgressSource, *, url: str, page_items: int) -> None:
        self._source, self._url, self._page_items = source, url, page_items

    async def discussions(self, repository: Repository) -> AsyncIterator[Discussion]:
        """Yield the discussions of a repository, the one that was updated last first."""
        after, pages = None, Pages(name=f"discussions of {repository.full_name}")
        while True:
            asked = {"first": self._page_items, "after": after}
            page = (await self._of_repository(AnsweredPage, repository, _LIST, asked)).discussions
            for each in page.nodes:
                yield each
            if not page.page_info.has_next_page:
                return
            after = pages.after(page.page_info.end_cursor or "")

    async def answers(self, repository: Repository) -> None:
        """Raise what a repository's discussions are refused with."""
        await self._of_repository(AnsweredPage, repository, _LIST, {"first": 1, "after": None})

    async def discussion(self, repository: Repository, number: int) -> Discussion | None:
        """Return a discussion; None where it is gone."""
        return (await self._of_repository(AnsweredOne, repository, _ONE, {"number": number})).discussion

    async def said(self, repository: Repository, number: int) -> AsyncIterator[DiscussionPart]:
        """Yield a discussion's own text and its comments, with all replies, page by page.

        Raises MissingError where it is gone.
        """
        after, pages = None, Pages(name=f"comments on discussion {number} of {repository.full_name}")
        while True:
            asked = {"number": number, "first": self._page_items, "after": after}
            part = (await self._of_repository(AnsweredPart, repository, _COMMENTS, asked)).discussion
            if part is None:
                raise MissingError(f"discussion {number} is not there any more")
            for comment in part.comments.nodes:
                comment.replies.nodes.extend([each async for each in self._later_replies(comment.id, comment.replies)])
            yield part
            if not part.comments.page_info.has_next_page:
                return
            after = pages.after(part.comments.page_info.end_cursor or "")

    async def _later_replies(self, comment_id: str, first: Replies) -> AsyncIterator[Reply]:
        page, pages = first, Pages(name="replies to a comment on a discussion")
        while page.page_info.has_next_page:
            after = pages.after(page.page_info.end_cursor or "")
            told = await self._told(_REPLIES, {"id": comment_id, "first": self._page_items, "after": after})
            node = (told.data or {}).get("node")
            if node is None:
                raise MissingError("a comment is not there any more")
            page = read_as(AnsweredReplies, json.dumps(node).encode()).replies
            for each in page.nodes:
                yield each

    async def _of_repository(self, form: type[M], repository: Repository, query: str, asked: Mapping[str, Any]) -> M:
        owner, _, name = repository.full_name.partition("/")
        told = await self._told(query, {"owner": owner, "name": name, **asked})
        found = (told.data or {}).get("repository")
        if found is None:
            raise MissingError(f"{repository.full_name}: it is not there for GraphQL, or its token may not know of it")
        return read_as(form, json.dumps(found).encode())

    async def _told(self, query: str, variables: Mapping[str, Any]) -> Told:
        """Return what a query is answered. What is not there is null in it; any other error is raised.

        GraphQL answers 200 to everything, so what REST says by a status is read here.
        """
        content = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        # A query changes nothing, so it may be repeated.
        request = EgressRequest(url=self._url, method="POST", headers=headers, content=content, repeatable=True)
        answer = await self._source.fetch(request)
        if isinstance(answer, NotModified):
            raise SourceAwayError("answered with 304 without a condition; try again later")
        told = read_as(Told, answer.content)
        kinds = {each.type for each in told.errors} - {_NOT_FOUND}
        if "RATE_LIMITED" in kinds:
            raise SourceAwayError("GraphQL's rate limit is used up; the next sync goes on")
        if kinds & _FORBIDDEN:
            raise ForbiddenError("the credentials may not read discussions; grant the right (discussions, read)")
        if kinds:
            named = ", ".join(sorted(each or "no type" for each in kinds))
            raise QueryRefusedError(f"GraphQL refused a query ({named}); is settings.url GitHub's API?")
        return told
