"""Rules as people write them: who may read what lies below a place of the source, narrowing what holds above it.

readers: [everyone]                  # one clause: the caller holds at least one of these
also: [[group:hr:leads], [user:ann]] # more clauses: every one must match
deny: [user:bob]
inherit: false                       # leave out the clauses from above; `deny` from above still holds
"""

from collections.abc import Mapping

from pydantic import BaseModel, Field


class Rule(BaseModel, frozen=True, extra="forbid"):
    """What one place adds."""

    readers: tuple[str, ...] | None = Field(default=None, min_length=1)
    also: tuple[tuple[str, ...], ...] = ()
    deny: tuple[str, ...] = ()
    inherit: bool = True


class PrefixRules(Rule, frozen=True, extra="forbid"):
    """Who may read: a rule for everything below the prefix, and narrower ones by prefix of the key."""

    prefixes: Mapping[str, Rule] = Field(default_factory=dict)
