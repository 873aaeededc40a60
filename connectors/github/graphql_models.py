"""What GitHub's GraphQL API answers, as far as it is used. Source: docs.github.com/graphql."""

from typing import Any

from pydantic import AwareDatetime
from pydantic.alias_generators import to_camel

from connectors.github.models import Answer


class Refusal(Answer, frozen=True):
    """An error of GraphQL, whose answer has the status 200."""

    type: str | None = None


class Told(Answer, frozen=True):
    """An answer of GraphQL: what was found, and what was not."""

    data: dict[str, Any] | None = None
    errors: tuple[Refusal, ...] = ()


class GraphAnswer(Answer, frozen=True, alias_generator=to_camel):
    """One object of a GraphQL answer, whose names are in camel case."""


class PageInfo(GraphAnswer, frozen=True):
    """Where a listing goes on."""

    has_next_page: bool
    end_cursor: str | None = None


class Author(GraphAnswer, frozen=True):
    """Who said something."""

    login: str


class Category(GraphAnswer, frozen=True):
    """What a repository sorts discussions by."""

    name: str


class Count(GraphAnswer, frozen=True):
    """How many there are."""

    total_count: int


class Discussion(GraphAnswer, frozen=True):
    """A discussion, without what was said in it. Its number is of one row with those of issues."""

    number: int
    title: str
    url: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    is_answered: bool | None = None  # none: its category asks for no answers
    author: Author | None = None  # none: the account was deleted
    category: Category
    comments: Count

    @property
    def state_token(self) -> str:
        """Return what tells that something of it changed."""
        return f"{self.updated_at.isoformat()}/{self.comments.total_count}/{self.is_answered}"


class DiscussionPage(GraphAnswer, frozen=True):
    """A page of discussions."""

    page_info: PageInfo
    nodes: tuple[Discussion, ...]


class Reply(GraphAnswer, frozen=True):
    """A reply to a comment."""

    created_at: AwareDatetime
    body: str
    author: Author | None = None


class Replies(GraphAnswer, frozen=True):
    """A page of replies."""

    page_info: PageInfo
    nodes: list[Reply]


class DiscussionComment(Reply, frozen=True):
    """A comment of a discussion."""

    id: str
    replies: Replies


class DiscussionComments(GraphAnswer, frozen=True):
    """A page of comments."""

    page_info: PageInfo
    nodes: tuple[DiscussionComment, ...]


class DiscussionPart(GraphAnswer, frozen=True):
    """A discussion's own text, and a page of its comments."""

    body: str
    comments: DiscussionComments


class AnsweredPage(GraphAnswer, frozen=True):
    """A repository, asked for its discussions."""

    discussions: DiscussionPage


class AnsweredOne(GraphAnswer, frozen=True):
    """A repository, asked for one discussion; none: it is not there."""

    discussion: Discussion | None


class AnsweredPart(GraphAnswer, frozen=True):
    """A repository, asked for what was said in a discussion; none: it is not there."""

    discussion: DiscussionPart | None


class AnsweredReplies(GraphAnswer, frozen=True):
    """A comment, asked for its replies."""

    replies: Replies
