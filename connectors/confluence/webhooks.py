"""What a delivery of Confluence asks to be looked at.

Nothing in it is believed beyond ids: they are looked at with the source's own credentials. Who sent it is the
receiver's business. Sources: Confluence Data Center, "Managing webhooks": an administrator registers them with a
secret, and they are signed with HMAC. Cloud sends them to apps alone (Atlassian Connect, "Webhook": with a JWT in
`Authorization`, which the receiver does not take); an app that passes them on signs them as Data Center does. The
names are the same.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.confluence.rest import CONTENT_ID
from connectors.work import Work
from headwater.errors import PoisonError

MAX_DELIVERY_BYTES: Final = 1024 * 1024
# What a piece belongs to is looked at as well: it may be told under another name.
_PIECES: Final = ("page", "blog", "blogpost", "comment", "attachment", "attachments", "content")
_ATTACHMENTS: Final = ("attachment", "attachments")
_ONE: Final = re.compile(
    r"(?:page|blog|blogpost|content|comment|attachment|blueprint_page)_"
    r"(?:created|updated|restored|trashed|removed|copied|archived|unarchived"
    r"|initialized|started|snapshotted|published)"  # the last four are of live documents
)
_ONE_AND_BELOW: Final = frozenset({"page_moved", "blog_moved", "content_moved", "content_permissions_updated"})
_WHO: Final = re.compile(
    r"(?:space|group|user)_(?:created|updated|removed|permissions_updated|deactivated|reactivated)"
)
_LABEL: Final = frozenset({"label_added", "label_removed", "label_deleted"})
_NOTHING: Final = Work()


class DeliveryError(PoisonError):
    """Something that is no delivery of Confluence."""


def work_of_delivery(headers: Mapping[str, str], body: bytes) -> Work:
    """Return what one delivery asks for; no work for an event that changes no document and no reader.

    Raises DeliveryError for what is not understood.
    """
    if len(body) > MAX_DELIVERY_BYTES:
        raise DeliveryError(f"delivery: {len(body)} bytes, at most {MAX_DELIVERY_BYTES}")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DeliveryError("delivery: not JSON; is it Confluence that sends here?") from error
    if not isinstance(told, dict):
        raise DeliveryError("delivery: no object; is it Confluence that sends here?")
    event = _event(headers, told)
    if _ONE.fullmatch(event):
        return Work(items=_ids(event, told))
    if event in _ONE_AND_BELOW:
        # Whoever may read what is below changes with it.
        return Work(items=_ids(event, told), permissions=True)
    if _WHO.fullmatch(event):
        return Work(permissions=True)
    if event in _LABEL:  # passes that ask for edits do not see it: a label makes no version
        labelled = frozenset(_named(told.get("labeled")))
        return Work(items=labelled) if labelled else Work(changes=True)
    return _NOTHING


def _event(headers: Mapping[str, str], told: Mapping[str, Any]) -> str:
    """Return the event's name: Data Center says it in the body, some versions in a header alone."""
    lower = {name.lower(): value for name, value in headers.items()}
    event = told.get("event") or told.get("webhookEvent") or lower.get("x-event-key")
    if not isinstance(event, str) or not event:
        raise DeliveryError("delivery: names no event; is it Confluence that sends here?")
    return event.removeprefix("confluence:")


def _ids(event: str, told: Mapping[str, Any]) -> frozenset[str]:
    found = {content_id for name in _PIECES for content_id in _named(told.get(name))}
    # The interface calls attachments by another form of the number that a delivery may tell.
    found |= {f"att{each}" for name in _ATTACHMENTS for each in _named(told.get(name)) if each.isdecimal()}
    if not found:
        raise DeliveryError(f"delivery: {event} names no content")
    return frozenset(found)


def _named(pieces: object) -> list[str]:
    """Return the ids of one piece, or of a list of them."""
    told = pieces if isinstance(pieces, list) else [pieces]
    ids = [str(each.get("id", "")) for each in told if isinstance(each, dict)]
    return [content_id for content_id in ids if CONTENT_ID.fullmatch(content_id)]
