"""Documents of which nobody knows what was submitted last, in the cursor. Pure."""

from collections import defaultdict

from connectors.github.cursor import DISCUSSIONS, FILES, GROUP, ISSUES, RELEASES, WIKIS
from connectors.github.ids import Named, discussion_key, issue_key, named, release_key
from connectors.leaves import unknown
from connectors.parts import below
from connectors.protocol import Cursor, Unnoted


def parts_of_unknown(unnoted: Unnoted, since: Cursor) -> dict[str, bytes | None]:
    """See Connector.unknown."""
    parts: dict[str, bytes | None] = {GROUP + group_id: b"" for group_id in unnoted.groups}
    keys = defaultdict[str, list[str]](list)
    for wanted in map(named, unnoted.external_ids):
        if wanted is not None and not wanted.is_all:
            kind, key = _held_under(wanted)
            keys[f"{kind}{wanted.repository_id}:"].append(key)
    for shelf, found in keys.items():
        leaves = unknown(dict(below(since, shelf)), found)
        parts |= {shelf + name: state for name, state in leaves.items()}
    return parts


def _held_under(wanted: Named) -> tuple[str, str]:
    """Return the kind and the key of a document."""
    match wanted:
        case Named(path=str(path)):
            return FILES, path
        case Named(number=int(number)):
            return ISSUES, issue_key(number)
        case Named(release=int(release)):
            return RELEASES, release_key(release)
        case Named(discussion=int(number)):
            return DISCUSSIONS, discussion_key(number)
        case _:
            return WIKIS, wanted.wiki or ""
