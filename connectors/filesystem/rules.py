"""Who may read what is in a folder: `.headwater.yaml` files, one a folder, each narrowing what is above it.

    readers: [everyone]                  # one clause: the caller holds at least one of these
    also: [[group:hr:leads], [user:ann]] # more clauses: every one must match
    deny: [user:bob]
    inherit: false                       # leave out the clauses of the folders above; `deny` above still holds

A folder without a file is as its parent. A root without a file is for nobody.
"""

from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, Field, ValidationError

from headwater.access.clauses import check_access
from headwater.errors import PoisonError
from schemas.events.documents import Access, Clause
from schemas.ids import Principal

RULE_FILE: Final = ".headwater.yaml"
MAX_RULE_BYTES: Final = 256 * 1024


class FolderRuleError(PoisonError):
    """A rule file cannot be read as one. Until it is mended its folder is for nobody."""


class _Rule(BaseModel, frozen=True, extra="forbid"):
    readers: tuple[str, ...] | None = Field(default=None, min_length=1)
    also: tuple[tuple[str, ...], ...] = ()
    deny: tuple[str, ...] = ()
    inherit: bool = True


def folder_access(parent: Access, rule_file: Path) -> Access:
    """Return the access of a folder's documents; raise FolderRuleError naming the file and the field."""
    try:
        with rule_file.open("rb") as opened:
            raw = opened.read(MAX_RULE_BYTES + 1)
    except FileNotFoundError:
        return parent
    except OSError as error:
        raise FolderRuleError(f"{rule_file}: cannot be read ({error.strerror}); grant the connector access") from error
    if len(raw) > MAX_RULE_BYTES:
        raise FolderRuleError(f"{rule_file}: larger than {MAX_RULE_BYTES} bytes; name groups instead of users")
    return _combine(parent, _parse(raw, rule_file), rule_file)


def _parse(raw: bytes, rule_file: Path) -> _Rule:
    try:
        return _Rule.model_validate(yaml.safe_load(raw) or {})
    except yaml.YAMLError as error:
        raise FolderRuleError(f"{rule_file}: not YAML; see docs/connectors.md for its form") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise FolderRuleError(f"{rule_file}: {field}: {first['msg']}; see docs/connectors.md for its form") from error


def _combine(parent: Access, rule: _Rule, rule_file: Path) -> Access:
    own = ((rule.readers,) if rule.readers else ()) + rule.also
    clauses = tuple(Clause(principals=tuple(Principal(each) for each in clause)) for clause in own)
    deny = dict.fromkeys((*parent.deny, *(Principal(each) for each in rule.deny)))
    # A root's NOBODY has no clauses: the first rule on the way down is the first to open anything.
    inherited = tuple(clause for clause in parent.clauses if clause not in clauses) if rule.inherit else ()
    access = Access(clauses=inherited + clauses, deny=tuple(deny))
    try:
        check_access(access)
    except PoisonError as error:
        raise FolderRuleError(f"{rule_file}: {error}") from error
    return access
