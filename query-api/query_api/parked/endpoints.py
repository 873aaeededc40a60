"""Dead letters: why they are there, running them again, leaving them."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query

from query_api.dependencies import OriginDep, RuntimeDep
from query_api.parked.schemas import (
    DiscardBody,
    DiscardReport,
    ListQuery,
    ParkedLetter,
    ParkedList,
    ReplayBody,
    ReplayReport,
)
from query_api.parked.service import LetterService
from query_api.problems import NotFoundError, problems
from schemas.events import Position

router = APIRouter(prefix="/parked", tags=["parked"])


async def letter_service(runtime: RuntimeDep, origin: OriginDep) -> LetterService:
    """Bind dead letters to this request's caller."""
    return LetterService.of(runtime, origin)


Letters = Annotated[LetterService, Depends(letter_service)]


@router.get("", summary="List dead letters")
async def list_parked(asked: Annotated[ListQuery, Query()], letters: Letters) -> ParkedList:
    """List what could not be processed, by cause and one by one, newest first. For administrators."""
    return await letters.page(asked)


@router.get("/{topic}/{partition}/{offset}", summary="Read a dead letter", responses=problems(NotFoundError))
async def get_parked(
    topic: Annotated[str, Path(max_length=249)],
    partition: Annotated[int, Path(ge=0)],
    offset: Annotated[int, Path(ge=0)],
    letters: Letters,
    *,
    all_tenants: Annotated[bool, Query()] = False,
) -> ParkedLetter:
    """Read why an event was set aside, and what was done about it."""
    return await letters.get(Position(topic=topic, partition=partition, offset=offset), all_tenants=all_tenants)


@router.post("/replay", summary="Run dead letters again", responses=problems(NotFoundError))
async def replay_parked(asked: Annotated[ReplayBody, Body()], letters: Letters) -> ReplayReport:
    """Run what was parked again: named letters, or those that match, newest first, at most `limit`.

    A document's letter runs again from the document's newest state, as a new revision; where that is newer than the
    letter, it ends as superseded. `stop` waits for each and stops at the first that fails again, `park` goes on.
    """
    return await letters.replay(asked)


@router.post("/discard", summary="Leave dead letters as they are", responses=problems(NotFoundError))
async def discard_parked(asked: Annotated[DiscardBody, Body()], letters: Letters) -> DiscardReport:
    """Take letters off the list of what is parked, for a reason. Nothing runs again; a document stays as it is."""
    return await letters.discard(asked)
