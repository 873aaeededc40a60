"""Who may read a repository: a group of the directory for it, its teams, and its organisation's members (ADR 0125)."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from connectors.github.client import GithubClient, Listing
from connectors.github.cursor import GROUP, GroupState
from connectors.github.documents import readers_group
from connectors.github.models import Account, Organisation, Repository, Team
from connectors.identities import Identities
from connectors.protocol import Cursor, GroupMirrored, ItemFailed
from headwater.errors import PoisonError
from headwater.sources.github import GithubSettings
from schemas.events.directory import Group
from schemas.ids import EVERYONE, Principal, SourceId

_CLOSED: Final = "!"  # as a group's inputs: its members could not be read, and it has none
_MEMBERS: Final = "give the token read access to the organisation's members"
_COLLABORATORS: Final = "give the token the right to list collaborators (administration, read), or leave it out"


class ReadersUnknownError(PoisonError):
    """A group that cannot be read. Nobody is in it until it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """A group whose members follow from listings, and from what is known without them (`also`)."""

    group_id: str
    name: str
    paths: Sequence[tuple[str, Mapping[str, str]]]
    members: Callable[[Sequence[Listing]], Sequence[Principal]]
    also: Sequence[Principal] = ()
    right: str = ""  # what a token needs to read it


@dataclass(slots=True, kw_only=True)
class AccessMirror:
    """Mirrors who may read. One for a pass: what an organisation allows is asked for once."""

    client: GithubClient
    settings: GithubSettings
    source: SourceId
    identities: Identities = field(init=False)
    _organisations: dict[str, Organisation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        users = {account.casefold(): user for account, user in self.settings.users.items()}
        self.identities = Identities(users=users, by_email=False)

    async def groups(
        self, repositories: Sequence[Repository], gone: Sequence[int], since: Cursor
    ) -> AsyncIterator[GroupMirrored | ItemFailed]:
        """Yield each group that is not as it was mirrored last: of the organisations first, then the repositories'.

        A group that cannot be read is mirrored without members.
        """
        current: set[str] = set()
        owners = {each.owner.login: each.owner for each in repositories if each.owner.type == "Organization"}
        for _, owner in sorted(owners.items()):
            wanted = self._of_members(owner)
            try:
                wanted += await self._of_teams(owner)
            except PoisonError as error:  # teams that were mirrored are closed below, for they are not current
                text = f"teams of {owner.login}: {error}; {_MEMBERS}. Until then they have no members"
                yield ItemFailed(external_id=f"teams:{owner.id}", error=ReadersUnknownError(text))
            for readers in wanted:
                current.add(readers.group_id)
                async for change in self._mirrored(readers, since):
                    yield change
        for repository in repositories:
            current.add(readers_group(repository.id))
            async for change in self.of_repository(repository, since):
                yield change
        held = {name.removeprefix(GROUP) for name in since if name.startswith(GROUP)}
        for group_id in sorted((held - current) | {readers_group(each) for each in gone} & held):
            yield GroupMirrored(group_id=group_id, group=None, cursor={GROUP + group_id: None})

    async def of_repository(self, repository: Repository, since: Cursor) -> AsyncIterator[GroupMirrored | ItemFailed]:
        """Yield the group of a repository's readers if it is not as it was mirrored last."""
        async for change in self._mirrored(await self._readers(repository), since):
            yield change

    def _of_members(self, owner: Account) -> list[Readers]:
        path = f"orgs/{quote(owner.login)}"
        return [
            Readers(
                group_id=group_id,
                name=f"{name} of {owner.login}",
                paths=((f"{path}/members", query),),
                members=self._accounts,
                right=_MEMBERS,
            )
            for group_id, name, query in (
                (f"members:{owner.id}", "members", {}),
                (f"owners:{owner.id}", "owners", {"role": "admin"}),
            )
        ]

    async def _of_teams(self, owner: Account) -> list[Readers]:
        path = f"orgs/{quote(owner.login)}"
        teams = (await self.client.listing(f"{path}/teams")).items(Team)
        return [
            Readers(
                group_id=f"team:{team.id}",
                name=f"team {team.name} of {owner.login}",
                paths=((f"{path}/teams/{quote(team.slug)}/members", {}),),  # those of its child teams are among them
                members=self._accounts,
                right=_MEMBERS,
            )
            for team in teams
        ]

    async def _readers(self, repository: Repository) -> Readers:
        group_id, name = readers_group(repository.id), f"readers of {repository.full_name}"
        if repository.seen_by == "public" and self.settings.public == "everyone":
            return Readers(group_id=group_id, name=name, paths=(), members=lambda _: (), also=(EVERYONE,))
        path = self.client.below(repository, "collaborators")
        if repository.owner.type != "Organization":
            return Readers(
                group_id=group_id,
                name=name,
                paths=((path, {"affiliation": "all"}),),
                members=self._accounts,
                right=_COLLABORATORS,
            )
        owner = repository.owner
        also = [self._group(f"owners:{owner.id}")]
        if repository.seen_by != "private" or await self._members_read(owner.login):
            also.append(self._group(f"members:{owner.id}"))
        return Readers(
            group_id=group_id,
            name=name,
            paths=((path, {"affiliation": "direct"}), (self.client.below(repository, "teams"), {})),
            members=lambda listings: (*self._accounts(listings[:1]), *self._teams(listings[1:])),
            also=also,
            right=_COLLABORATORS,
        )

    async def _members_read(self, login: str) -> bool:
        """Say whether all members may read all repositories of an organisation. What is not told is a no."""
        known = self._organisations.get(login)
        if known is None:
            try:
                known = self._organisations[login] = await self.client.organisation(login)
            except PoisonError:
                return False
        return known.default_repository_permission in {"read", "write", "admin"}

    async def _mirrored(self, readers: Readers, since: Cursor) -> AsyncIterator[GroupMirrored | ItemFailed]:
        known = GroupState.of(since, readers.group_id)
        inputs = self._inputs(readers)
        if known is not None and known.inputs == inputs and (not readers.paths or await self._still(known)):
            return
        try:
            listings = [await self.client.listing(path, query) for path, query in readers.paths]
        except PoisonError as error:
            text = f"{readers.name}: {error}; {readers.right}. Until then it has no members"
            yield ItemFailed(external_id=readers.group_id, error=ReadersUnknownError(text))
            if known is None or known.inputs != _CLOSED:
                yield self._group_mirrored(readers, (), GroupState(inputs=_CLOSED, seen=()))
            return
        seen = tuple(page for listing in listings for page in listing.seen)
        members = tuple(sorted({*readers.also, *readers.members(listings)}))
        yield self._group_mirrored(readers, members, GroupState(inputs=inputs, seen=seen))

    async def _still(self, known: GroupState) -> bool:
        try:
            return await self.client.unchanged(known.seen)
        except PoisonError:
            return False  # read anew, which says what is wrong

    def _group_mirrored(self, readers: Readers, members: tuple[Principal, ...], state: GroupState) -> GroupMirrored:
        return GroupMirrored(
            group_id=readers.group_id,
            group=Group(name=readers.name, members=members),
            cursor={GROUP + readers.group_id: state.encoded()},
        )

    def _inputs(self, readers: Readers) -> str:
        said = json.dumps([readers.name, readers.paths, sorted(readers.also), sorted(self.settings.users.items())])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def _accounts(self, listings: Sequence[Listing]) -> Sequence[Principal]:
        accounts = [each for listing in listings for each in listing.items(Account)]
        found = (self._user(each) for each in accounts if each.permissions is None or each.permissions.pull)
        return [each for each in found if each is not None]

    def _user(self, account: Account) -> Principal | None:
        by_id = self.identities.user_of(str(account.id), email=None)
        return by_id or self.identities.user_of(account.login.casefold(), email=None)

    def _teams(self, listings: Sequence[Listing]) -> Sequence[Principal]:
        return [self._group(f"team:{team.id}") for listing in listings for team in listing.items(Team)]

    def _group(self, group_id: str) -> Principal:
        return Principal(f"group:{self.source}:{group_id}")
