"""If-Match and If-None-Match: a change applies to the revision its author saw, or not at all."""

import re
from typing import Annotated

from fastapi import Depends, Header

from query_api.problems import InvalidRequestError, RevisionMismatchError
from schemas.ids import Revision

_REVISION = re.compile(r'(?:W/)?"?(\d{1,18})"?')
ABSENT = Revision(0)  # as an expected revision: there must be none yet


async def expected_revision(
    if_match: Annotated[str | None, Header(description="The revision that the change applies to; else 412.")] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: only if there is none yet; else 412.")] = None,
) -> Revision | None:
    """Return the revision that the caller expects, 0 for none at all, None where anything goes."""
    if if_none_match is not None:
        if if_none_match.strip() != "*" or if_match is not None:
            raise InvalidRequestError(
                "If-None-Match: only `*` is taken, and not together with If-Match", field="If-None-Match"
            )
        return ABSENT
    if if_match is None:
        return None
    found = _REVISION.fullmatch(if_match.strip())
    if found is None:
        raise InvalidRequestError("If-Match: not a revision; send the number as it was returned", field="If-Match")
    return Revision(int(found[1]))


Expected = Annotated[Revision | None, Depends(expected_revision)]


def check_expected(expected: Revision | None, current: Revision) -> None:
    """Raise RevisionMismatchError unless `current` (0: does not exist) is what was expected. Admission looks again."""
    if expected is not None and expected != current:
        detail = "there is none" if current == ABSENT else f"the current revision is {current}"
        raise RevisionMismatchError(detail, field="If-None-Match" if expected == ABSENT else "If-Match")


def etag(revision: Revision) -> str:
    """Return a revision as an entity tag."""
    return f'"{revision}"'
