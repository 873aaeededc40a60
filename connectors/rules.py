"""A rule read from what a source holds, and what it makes of the access above it."""

from typing import Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from headwater.access.clauses import check_access
from headwater.errors import PoisonError
from headwater.sources.rules import Rule
from schemas.events.documents import Access, Clause
from schemas.ids import Principal

MAX_RULE_BYTES: Final = 256 * 1024
R = TypeVar("R", bound=BaseModel)


class FolderRuleError(PoisonError):
    """A rule cannot be read as one. Until it is mended what lies below it is for nobody."""


def read_rule(raw: bytes, name: str) -> Rule:
    """Read a rule; raise FolderRuleError naming the place and the field."""
    return read_as(Rule, raw, name, guide="docs/connectors.md")


def read_as(form: type[R], raw: bytes, name: str, *, guide: str) -> R:
    """Read what has another form than one rule; raise FolderRuleError naming the place, the field, and the guide."""
    if len(raw) > MAX_RULE_BYTES:
        raise FolderRuleError(f"{name}: larger than {MAX_RULE_BYTES} bytes; name groups instead of users")
    try:
        return form.model_validate(yaml.safe_load(raw) or {})
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FolderRuleError(f"{name}: not YAML; see {guide} for its form") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise FolderRuleError(f"{name}: {field}: {first['msg']}; see {guide} for its form") from error


def narrowed(parent: Access, rule: Rule, name: str) -> Access:
    """Return the access below a rule; raise FolderRuleError where it is not well-formed."""
    own = ((rule.readers,) if rule.readers else ()) + rule.also
    clauses = tuple(Clause(principals=tuple(Principal(each) for each in clause)) for clause in own)
    deny = dict.fromkeys((*parent.deny, *(Principal(each) for each in rule.deny)))
    # A root's NOBODY has no clauses: the first rule on the way down is the first to open anything.
    inherited = tuple(clause for clause in parent.clauses if clause not in clauses) if rule.inherit else ()
    access = Access(clauses=inherited + clauses, deny=tuple(deny))
    try:
        check_access(access)
    except PoisonError as error:
        raise FolderRuleError(f"{name}: {error}") from error
    return access
