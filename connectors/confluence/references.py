"""What a body refers to: pages by title or id, attachments, accounts, addresses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from connectors.confluence.markup import Node
from connectors.confluence.rest import User

_PAGE_URL: Final = re.compile(r"/pages/(?:viewpage\.action\?pageId=)?(\d+)")
# By element: what kind of thing it names, and in which attribute.
RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "ri:page": ("page", "ri:content-title"),
    "ri:blog-post": ("page", "ri:content-title"),
    "ri:content-entity": ("page", "ri:content-id"),
    "ri:attachment": ("attachment", "ri:filename"),
    "ri:space": ("space", "ri:space-key"),
    "ri:url": ("url", "ri:value"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is referred to. `kind`: page, attachment, user, space, url."""

    kind: str
    name: str  # a title, file name, key or address, or the name of an account
    space: str = ""  # of a page; empty: the space of the page that refers to it
    content_id: str = ""  # where it is told
    by: str = ""  # of a user: which of its names

    @property
    def label(self) -> str:
        """Return what a reader is shown where nothing else is said."""
        return self.name

    def url(self, *, site_url: str, space: str) -> str:
        """Return where it is; empty for what has no address of its own."""
        if self.kind == "url":
            return self.name
        if self.content_id:
            return f"{site_url}pages/viewpage.action?pageId={self.content_id}"
        if self.kind == "page":
            return f"{site_url}display/{quote(self.space or space)}/{quote(self.name)}"
        return f"{site_url}display/{quote(self.name)}" if self.kind == "space" else ""

    def account(self) -> User:
        """Return the account that it is."""
        return User.model_validate({self.by: self.name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One edge of the graph: links_to, includes, mentions."""

    relation: str
    target: Target


def target_of(node: Node) -> Target | None:
    """Return what a resource identifier or a link of HTML names; None for what names nothing."""
    said = node.attributes
    if node.tag == "ri:user":
        return _user(node)
    if node.tag == "a":
        href = said.get("href", "")
        found = _PAGE_URL.search(href)
        known = href.startswith(("http://", "https://", "/"))
        return Target(kind="url", name=href, content_id=found[1] if found else "") if known else None
    kind, attribute = RESOURCES.get(node.tag, ("", ""))
    name = said.get(attribute, "")
    content_id = name if node.tag == "ri:content-entity" else ""
    return Target(kind=kind, name=name, space=said.get("ri:space-key", ""), content_id=content_id) if name else None


def names_user(node: Node) -> Target | None:
    """Return the account that a link of a rendered page is about."""
    account = node.attributes.get("data-account-id")
    return Target(kind="user", name=account, by="account_id") if account else None


def _user(node: Node) -> Target | None:
    for attribute, by in (("ri:account-id", "account_id"), ("ri:userkey", "user_key"), ("ri:username", "username")):
        if name := node.attributes.get(attribute):
            return Target(kind="user", name=name, by=by)
    return None
