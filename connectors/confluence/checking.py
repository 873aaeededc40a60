"""Whether a site can be read: all that is missing is named at once."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from connectors.confluence.client import AnswerError
from connectors.confluence.rest import SpaceRef
from connectors.confluence.site import Site
from headwater.clients.egress.errors import ForbiddenError, MissingError
from headwater.errors import HeadwaterError, SourceGoneError, UnauthorisedError

ASKED_SPACES: Final = 20  # of more who may view them is not asked: a test has a minute
# A token with scopes is refused with 401 for one that it lacks; by then it has shown that it is good for another.
_REFUSALS: Final = (ForbiddenError, MissingError, UnauthorisedError)


@dataclass(frozen=True, slots=True)
class Lacking:
    """A right that is missing: what cannot be done without it, what gives it, and what the site said."""

    what: str
    remedy: str
    why: HeadwaterError


@dataclass(frozen=True, slots=True)
class Checking:
    """Asks as a sync does."""

    site: Site

    async def ready(self) -> None:
        """Raise SourceGoneError where a space is not there, UnauthorisedError where none can be viewed, or none tells.

        A single one that does not tell who may view it is for nobody, and the sync says so.
        """
        spaces, gone = await self._spaces()
        if gone:
            raise SourceGoneError(gone)
        lacking: list[Lacking] = []
        for space in spaces:
            lacking = await self._of_readers(space)
            if not lacking:
                return
        _raise_for(lacking, gone)

    async def check(self) -> None:
        """Ask for all that the settings turn on. Raises as `ready`, and for each of the first spaces."""
        spaces, gone = await self._spaces()
        asked = spaces[:ASKED_SPACES]
        lacking = [each for space in asked for each in await self._of_readers(space)]
        lacking += await self._of_contents(asked)
        let = "let the account of secrets.token see groups, or set nested_groups to false"
        lacking += await _refused("list the site's groups", let, self.site.any_group)
        _raise_for(lacking, gone)

    async def _spaces(self) -> tuple[Sequence[SpaceRef], str]:
        """Return the spaces that are connected, and what to say of those that are not there."""
        try:
            await self.site.whoami()
            spaces = await self.site.spaces()
        except (AnswerError, MissingError) as error:
            raise SourceGoneError(
                f"settings.url: no Confluence answers there ({error}); Cloud's address ends in /wiki/, and Data "
                "Center's in its context path if it has one"
            ) from error
        except ForbiddenError as error:
            raise UnauthorisedError(
                f"{error}; let the account of secrets.token use Confluence, and the token read it"
            ) from error
        missing = sorted(set(self.site.settings.spaces) - {space.key for space in spaces})
        gone = (
            f"settings.spaces: {', '.join(missing)}: not there, archived, or not to be viewed by the account of "
            "secrets.token; correct the keys (they have upper and lower case) or let the account view them"
        )
        if not spaces and not missing:
            raise UnauthorisedError("the account of secrets.token may view no space; let it view those to connect")
        return spaces, gone if missing else ""

    async def _of_readers(self, space: SpaceRef) -> list[Lacking]:
        """Ask who may view a space, and who is in the first group that may: without that it is for nobody."""

        async def ask() -> None:
            for group in (await self.site.space_groups(space))[:1]:
                with suppress(MissingError):  # 404: it is gone
                    await self.site.any_member(group)

        remedy = (
            "make the account of secrets.token an administrator of the spaces (Data Center 9.1 or later), and let it "
            "see groups"
        )
        return await _refused(f"read who may view {space.key}, which would be for nobody", remedy, ask)

    async def _of_contents(self, spaces: Sequence[SpaceRef]) -> list[Lacking]:
        """Ask for the search, a page from where pages are listed, and its restriction; each once."""
        search = "let the account of secrets.token view pages; a token with scopes needs search:confluence"
        restrictions = "let the account of secrets.token view pages; a token with scopes needs the rights of the guide"
        lacking = await _refused("search", search, partial(self.site.any_found, spaces[0])) if spaces else []
        for space in spaces:
            try:
                page = await self.site.any_page(space)
                if page is None:
                    continue
                await self.site.restriction(page)
            except _REFUSALS as error:
                return [*lacking, Lacking(f"read pages of {space.key} and their restrictions", restrictions, error)]
            break
        return lacking


async def _refused(what: str, remedy: str, ask: Callable[[], Awaitable[object]]) -> list[Lacking]:
    try:
        await ask()
    except _REFUSALS as error:
        return [Lacking(what, remedy, error)]
    return []


def _raise_for(lacking: Sequence[Lacking], gone: str) -> None:
    by_remedy: dict[str, list[str]] = {}
    for each in lacking:
        by_remedy.setdefault(each.remedy, []).append(each.what)
    said = [f"cannot {'; '.join(what)}: {remedy}" for remedy, what in by_remedy.items()]
    if said:
        text = f"secrets.token {'. It '.join(said)} ({lacking[0].why})"
        raise UnauthorisedError(f"{text}. {gone}" if gone else text) from lacking[0].why
    if gone:
        raise SourceGoneError(gone)
