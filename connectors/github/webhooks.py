"""What a delivery of GitHub asks to look at. Source: docs.github.com, "Webhook events and payloads". Pure.

Nothing in it is believed but that a repository, an issue or the members may be worth a look. Whether it comes from
GitHub is for the caller to verify, on the same bytes.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.github.ids import discussion_id, issue_id, release_id, wiki_id
from connectors.work import Work
from headwater.errors import PoisonError

NOTHING: Final = Work()


class DeliveryError(PoisonError):
    """Something that is no delivery of GitHub."""


def _repository(payload: Mapping[str, Any]) -> Work:
    return Work(items=frozenset({f"repo:{_number(payload['repository']['id'])}"}))


def _issue(payload: Mapping[str, Any]) -> Work:
    named = payload["issue"] if "issue" in payload else payload["pull_request"]
    return Work(items=frozenset({issue_id(_number(payload["repository"]["id"]), _number(named["number"]))}))


def _release(payload: Mapping[str, Any]) -> Work:
    return Work(items=frozenset({release_id(_number(payload["repository"]["id"]), _number(payload["release"]["id"]))}))


def _discussion(payload: Mapping[str, Any]) -> Work:
    number = _number(payload["discussion"]["number"])
    return Work(items=frozenset({discussion_id(_number(payload["repository"]["id"]), number)}))


def _wiki(payload: Mapping[str, Any]) -> Work:
    return Work(items=frozenset({wiki_id(_number(payload["repository"]["id"]), "")}))


def _people(_: Mapping[str, Any]) -> Work:
    return Work(permissions=True)


def _changes(_: Mapping[str, Any]) -> Work:
    return Work(changes=True)


_BY_EVENT: Final[Mapping[str, Callable[[Mapping[str, Any]], Work]]] = {
    "push": _repository,
    "create": _repository,
    "delete": _repository,
    "repository": _repository,  # archived, deleted, renamed, transferred, publicized, privatized, ...
    "public": _repository,
    "member": _repository,  # collaborators
    "team_add": _repository,
    "release": _release,
    "discussion": _discussion,
    "discussion_comment": _discussion,
    "gollum": _wiki,
    "issues": _issue,
    "issue_comment": _issue,
    "pull_request": _issue,
    "pull_request_review": _issue,
    "pull_request_review_comment": _issue,
    "membership": _people,
    "organization": _people,
    "team": _people,
    "installation": _changes,
    "installation_repositories": _changes,
}


def work_of_delivery(headers: Mapping[str, str], body: bytes) -> Work:
    """Return what to look at; nothing (`Work()`) for an event that is about no document, such as `ping` or `star`.

    Raises DeliveryError for what is no delivery.
    """
    event = next((value for name, value in headers.items() if name.lower() == "x-github-event"), None)
    if event is None:
        raise DeliveryError("no X-GitHub-Event: not a delivery of GitHub; is the address the right one?")
    wanted = _BY_EVENT.get(event)
    try:
        payload = dict(json.loads(body).items())
        return NOTHING if wanted is None else wanted(payload)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DeliveryError(f"{event[:40]}: not GitHub's JSON; set the content type application/json there") from error


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**18:
        raise TypeError("not an id")
    return value
