"""What a document is: of a file, an issue with its comments, a release, a discussion, a page of a wiki. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote

from connectors.github.graphql_models import Author, Discussion, DiscussionPart, Reply
from connectors.github.models import (
    Account,
    Comment,
    Issue,
    Release,
    Repository,
)
from schemas.events.documents import Access, AttributeValue, Clause, DocumentPatch, DocumentState
from schemas.ids import KnowledgeBaseId, Principal, SourceId

# Left out by name: nothing in them can be read as text.
UNREADABLE: Final = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),  # images
        *(".avi", ".flac", ".mov", ".mp3", ".mp4", ".ogg", ".wav", ".webm"),  # sound and film
        *(".eot", ".otf", ".ttf", ".woff", ".woff2"),  # fonts
        *(".7z", ".bz2", ".gz", ".jar", ".rar", ".tar", ".tgz", ".whl", ".xz", ".zip", ".zst"),  # archives
        *(".a", ".class", ".dll", ".dylib", ".exe", ".lib", ".o", ".obj", ".pyc", ".so", ".wasm"),  # programs
        *(".bin", ".parquet", ".pkl"),  # data
    }
)
# What GitHub shows as pages of a wiki. Source: github.com/gollum/gollum-lib, and github/markup.
_MARKDOWN: Final = frozenset({".markdown", ".md", ".mdown", ".mkd", ".mkdn"})
_PAGES: Final = _MARKDOWN | frozenset(
    {
        ".asc",
        ".asciidoc",
        ".adoc",
        ".creole",
        ".mediawiki",
        ".org",
        ".pod",
        ".rdoc",
        ".rest",
        ".rst",
        ".textile",
        ".wiki",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What all documents of a repository say alike."""

    repository: Repository
    source: SourceId
    knowledge_base: KnowledgeBaseId

    @property
    def readers(self) -> Principal:
        """Return the directory's group of those who may read the repository."""
        return Principal(f"group:{self.source}:{readers_group(self.repository.id)}")

    @property
    def access(self) -> Access:
        """Return the one clause that every document of the repository has."""
        return Access(clauses=(Clause(principals=(self.readers,)),))

    @property
    def token(self) -> str:
        """Return what changes when the documents must say something else."""
        said = (self.repository.full_name, self.repository.html_url, self.repository.default_branch or "", self.readers)
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]

    def listing_of(self, what: str) -> str:
        """Name one of the repository's listings, for operators."""
        return f"{what} of {self.repository.full_name}"

    def file(self, path: str) -> DocumentState:
        """Describe a file; the content decides about its type."""
        name = PurePosixPath(path)
        return DocumentState(
            knowledge_base=self.knowledge_base,
            title=name.name,
            url=self._file_url(path),
            access=self.access,
            attributes={**self._shared(), "path": path, "extension": name.suffix.lower()},
        )

    def moved_file(self, path: str) -> DocumentPatch:
        """Say what a file's document says anew after the repository changed."""
        return self.moved(self._file_url(path))

    def renamed_file(self, path: str) -> DocumentPatch:
        """Say what a file's document says anew at another path: all that the path tells."""
        state = self.file(path)
        return DocumentPatch(title=state.title, url=state.url, access=state.access, attributes=state.attributes)

    def issue(self, issue: Issue) -> DocumentState:
        """Describe an issue or a pull request."""
        return DocumentState(
            knowledge_base=self.knowledge_base,
            title=issue.title,
            url=issue.html_url,
            media_type="text/markdown",
            access=self.access,
            attributes={
                **self._shared(),
                "kind": "issue" if issue.pull_request is None else "pull_request",
                "number": issue.number,
                "state": issue.state,
                "author": login_of(issue.user),
                "labels": tuple(label.name for label in issue.labels),
                "created_at": issue.created_at,
                "updated_at": issue.updated_at,
            },
        )

    def release(self, release: Release) -> DocumentState:
        """Describe a release."""
        attributes: dict[str, AttributeValue] = {
            **self._shared(),
            "kind": "release",
            "tag": release.tag_name,
            "author": login_of(release.author),
            "prerelease": release.prerelease,
        }
        if release.published_at is not None:
            attributes["created_at"] = release.published_at
        return DocumentState(
            knowledge_base=self.knowledge_base,
            title=release.title,
            url=release.html_url,
            media_type="text/markdown",
            access=self.access,
            attributes=attributes,
        )

    def discussion(self, discussion: Discussion) -> DocumentState:
        """Describe a discussion."""
        return DocumentState(
            knowledge_base=self.knowledge_base,
            title=discussion.title,
            url=discussion.url,
            media_type="text/markdown",
            access=self.access,
            attributes={
                **self._shared(),
                "kind": "discussion",
                "number": discussion.number,
                "category": discussion.category.name,
                "answered": bool(discussion.is_answered),
                "author": login_of(discussion.author),
                "created_at": discussion.created_at,
                "updated_at": discussion.updated_at,
            },
        )

    def page(self, path: str) -> DocumentState:
        """Describe a page of the wiki, or another file of it. Its times and authors are not known: see ADR 0145."""
        name = PurePosixPath(path)
        suffix = name.suffix.lower()
        return DocumentState(
            knowledge_base=self.knowledge_base,
            title=name.stem.replace("-", " ") if suffix in _PAGES else name.name,
            url=self._page_url(path),
            media_type="text/markdown" if suffix in _MARKDOWN else None,
            access=self.access,
            attributes={**self._shared(), "kind": "wiki", "page": path},
        )

    def moved_page(self, path: str) -> DocumentPatch:
        """Say what a page's document says anew after the repository changed."""
        return self.moved(self._page_url(path))

    def moved(self, url: str) -> DocumentPatch:
        """Say what the document at this address says anew after the repository changed."""
        return DocumentPatch(access=self.access, url=url, attributes=self._shared())

    def _shared(self) -> dict[str, AttributeValue]:
        return {"repository": self.repository.full_name}

    def _page_url(self, path: str) -> str:
        name = PurePosixPath(path)
        # Pages have one address, whatever folder they lie in.
        shown = name.stem if name.suffix.lower() in _PAGES else path
        return f"{self.repository.html_url}/wiki/{quote(shown)}"

    def _file_url(self, path: str) -> str:
        branch = quote(self.repository.default_branch or "HEAD", safe="/")
        return f"{self.repository.html_url}/blob/{branch}/{quote(path)}"


def readers_group(repository_id: int) -> str:
    """Name the group of a repository's readers, at the source."""
    return f"repo:{repository_id}"


def login_of(account: Account | Author | None) -> str:
    """Return an account's name; GitHub calls deleted ones `ghost`."""
    return account.login if account is not None else "ghost"


def issue_text(issue: Issue, comments: Iterable[Comment]) -> str:
    """Write an issue and its comments as Markdown, in the order of their making."""
    kind = "Issue" if issue.pull_request is None else "Pull request"
    parts = [f"# {issue.title}", f"{kind} #{issue.number}, {issue.state}, by {login_of(issue.user)}"]
    if issue.labels:
        parts.append(f"Labels: {', '.join(label.name for label in issue.labels)}")
    parts.append(_plain(issue.body))
    for each in sorted(comments, key=lambda comment: (comment.created_at, comment.id)):
        place = f" on {each.path}" if each.path else ""
        parts += [f"## {login_of(each.user)}, {each.created_at:%Y-%m-%d}{place}", _plain(each.body)]
    return "\n\n".join(part for part in parts if part) + "\n"


def release_text(release: Release) -> str:
    """Write a release as Markdown."""
    kind = "Pre-release" if release.prerelease else "Release"
    day = f", {release.published_at:%Y-%m-%d}" if release.published_at is not None else ""
    parts = [
        f"# {release.title}",
        f"{kind} {release.tag_name}, by {login_of(release.author)}{day}",
        _plain(release.body),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def discussion_text(discussion: Discussion, parts: Sequence[DiscussionPart]) -> str:
    """Write a discussion, its comments and their replies as Markdown, in the order of the discussion."""
    answered = ", answered" if discussion.is_answered else ""
    said = f"Discussion #{discussion.number} in {discussion.category.name}{answered}, by {login_of(discussion.author)}"
    texts = [f"# {discussion.title}", said, _plain(parts[0].body)]
    for comment in (each for part in parts for each in part.comments.nodes):
        texts += _said("##", comment)
        for reply in comment.replies.nodes:
            texts += _said("###", reply)
    return "\n\n".join(text for text in texts if text) + "\n"


def _said(mark: str, reply: Reply) -> list[str]:
    return [f"{mark} {login_of(reply.author)}, {reply.created_at:%Y-%m-%d}", _plain(reply.body)]


def _plain(body: str | None) -> str:
    return (body or "").replace("\r\n", "\n").strip()
