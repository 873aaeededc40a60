"""What the REST API answers, as far as it is used. Version 1, of Cloud and Data Center, unless a class says 2.

Shapes: Confluence Data Center REST API 9.2 and Confluence Cloud REST API, versions 1 and 2. Fields that are not asked
for by expansion are None: not told, which is not the same as empty.
"""

import re
from datetime import datetime
from typing import Final, Self
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field

PAGE: Final = "page"
BLOG_POST: Final = "blogpost"
COMMENT: Final = "comment"
ATTACHMENT: Final = "attachment"
CURRENT: Final = "current"
CONTENT_ID: Final = re.compile(r"(?:att)?\d{1,20}")
_UNNAMED_SAFE: Final = "~@.-_+"
_GROUP: Final = "group:"


class Part(BaseModel):
    """A part of an answer: what is not named here is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True, populate_by_name=True)


class Links(Part):
    """Where to go on. `next` is relative to the site or to its host, the others to the site."""

    next: str | None = None
    webui: str | None = None
    download: str | None = None


class Rows(Part):
    """A page of a listing; its items are read one by one, so that one which cannot be understood hides no other."""

    results: tuple[dict[str, object], ...]
    limit: int = 1  # how many rows it stands for: fewer are shown where some may not be viewed
    links: Links = Field(default=Links(), alias="_links")


class User(Part):
    """An account: by `account_id` in Cloud, by `username` and `user_key` in Data Center."""

    account_id: str | None = Field(default=None, alias="accountId")
    username: str | None = None
    user_key: str | None = Field(default=None, alias="userKey")
    email: str | None = None
    display_name: str | None = Field(default=None, alias="displayName")

    @property
    def names(self) -> tuple[str, ...]:
        """Return what the account is called, the name that lasts longest first."""
        return tuple(name for name in (self.account_id, self.user_key, self.username) if name)


class GroupRef(Part):
    """A group: by `id` in Cloud, where names may be used twice, by name in Data Center."""

    name: str = ""
    id: str | None = None

    @property
    def key(self) -> str:
        """Return what recognises the group at its site."""
        return self.id or self.name

    @property
    def group_id(self) -> str:
        """Return the mirrored group's id, without characters that principals may not have."""
        return f"{_GROUP}{quote(self.key, safe=_UNNAMED_SAFE)}"

    @classmethod
    def of(cls, group_id: str) -> Self:
        """Return the group that a mirrored id is of, whether its site knows it by id or by name."""
        key = unquote(group_id.removeprefix(_GROUP))
        return cls(name=key, id=key)


class Users(Part):
    """Some users."""

    results: tuple[User, ...] = ()


class Groups(Part):
    """Some groups."""

    results: tuple[GroupRef, ...] = ()


class Subjects(Part):
    """Whom a restriction or a permission names: one of them is enough."""

    user: Users = Users()
    group: Groups = Groups()

    @property
    def is_empty(self) -> bool:
        """Say whether nobody is named. A restriction that names nobody is none."""
        return not self.user.results and not self.group.results


class OperationRestriction(Part):
    """The restriction of one operation of one content."""

    restrictions: Subjects = Subjects()


class Restrictions(Part):
    """Restrictions of one content."""

    read: OperationRestriction | None = None


class Version(Part):
    """A state of a content. Numbers grow by one with each edit, and shrink where older versions are removed."""

    number: int
    when: datetime
    by: User | None = None

    @property
    def made_ms(self) -> int:
        """Return when it was made, in milliseconds."""
        return round(self.when.timestamp() * 1000)


class Stated(Part):
    """Which state a content is in."""

    id: str
    version: Version


class Existing(Part):
    """Version 2: whether a content is there."""

    status: str


class Parent(Part):
    """What a content lies in, by version 2: a page, folder, whiteboard, database or embed."""

    id: str
    type: str


class Lying(Part):
    """Version 2: where a content lies. Nowhere: at the top of its space."""

    id: str
    parent_id: str | None = Field(default=None, alias="parentId")
    parent_type: str | None = Field(default=None, alias="parentType")

    @property
    def parent(self) -> Parent | None:
        """Return what it lies in."""
        return Parent(id=self.parent_id, type=self.parent_type or "") if self.parent_id else None


class Label(Part):
    """One label."""

    name: str


class Labels(Part):
    """Some labels."""

    results: tuple[Label, ...] = ()


class Metadata(Part):
    """What is expanded of a content's metadata."""

    labels: Labels | None = None
    media_type: str | None = Field(default=None, alias="mediaType")  # of an attachment


class SpaceRef(Part):
    """A space. `id` in Cloud."""

    key: str
    name: str = ""
    id: str | None = None
    status: str = CURRENT

    @property
    def is_current(self) -> bool:
        """Say whether it is not archived."""
        return self.status.lower() == CURRENT


class Ancestor(Part):
    """A page above a page."""

    id: str
    title: str = ""


class History(Part):
    """Who made a content."""

    created_by: User | None = Field(default=None, alias="createdBy")


class Representation(Part):
    """A body in one representation."""

    value: str = ""


class Body(Part):
    """The body of a content, if it was expanded."""

    storage: Representation | None = None


class Container(Part):
    """What a comment or an attachment belongs to."""

    id: str
    type: str = PAGE
    title: str = ""


class Extensions(Part):
    """What else is told of an attachment."""

    media_type: str | None = Field(default=None, alias="mediaType")
    file_size: int | None = Field(default=None, alias="fileSize")


class Content(Part):
    """A page, a blog post, a comment or an attachment."""

    id: str
    type: str
    status: str = CURRENT
    title: str = ""
    space: SpaceRef
    version: Version
    ancestors: tuple[Ancestor, ...] = ()  # from the top down
    restrictions: Restrictions | None = None
    metadata: Metadata | None = None
    history: History | None = None
    body: Body | None = None
    container: Container | None = None
    extensions: Extensions | None = None
    links: Links = Field(default=Links(), alias="_links")

    @property
    def read_restriction(self) -> Subjects | None:
        """Return whom the read restriction names; None where the site did not tell."""
        if self.restrictions is None or self.restrictions.read is None:
            return None
        return self.restrictions.read.restrictions

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels' names in one order."""
        told = self.metadata.labels if self.metadata is not None else None
        return tuple(sorted({label.name for label in told.results})) if told is not None else ()


class Operation(Part):
    """What a permission is for: version 1 says `operation`, Data Center `operationKey`."""

    target_type: str = Field(default="", alias="targetType")
    operation: str = ""
    operation_key: str = Field(default="", alias="operationKey")
    key: str = ""

    @property
    def opens_space(self) -> bool:
        """Say whether it is the right to view a space."""
        named = self.operation or self.operation_key or self.key
        return self.target_type == "space" and named == "read"


class Subject(Part):
    """Data Center: who holds a permission."""

    type: str = ""
    name: str | None = None
    user_key: str | None = Field(default=None, alias="userKey")


class Principal2(Part):
    """Version 2: who holds a permission."""

    type: str = ""
    id: str = ""


class SpacePermission(Part):
    """One permission of a space, as Data Center (`subject`) or version 2 (`principal`) says it."""

    operation: Operation
    subject: Subject | None = None
    principal: Principal2 | None = None
