"""What an object's tags say of its readers: the last of the rules that narrow, after prefixes and its sidecar."""

from collections.abc import Mapping
from typing import Final

from headwater.sources.rules import Rule

READERS_TAG: Final = "headwater-readers"
DENY_TAG: Final = "headwater-deny"


def tag_rule(tags: Mapping[str, str]) -> Rule:
    """Read the rule that an object's tags say: principals parted by spaces."""
    readers, deny = tags.get(READERS_TAG, "").split(), tags.get(DENY_TAG, "").split()
    return Rule(readers=tuple(readers) or None, deny=tuple(deny))
