"""Who may read, by prefix of the key: a rule for all of a source, and narrower ones below prefixes.

Nothing said is for nobody. What is said and cannot be read closes what it is about.
"""

from dataclasses import dataclass, field
from typing import Final

from connectors.rules import FolderRuleError, narrowed
from headwater.sources.rules import PrefixRules
from schemas.events.documents import NOBODY, Access

_BY_PLACES_KEPT: Final = 4096


@dataclass(slots=True, kw_only=True)
class PrefixAccess:
    """Access by prefix of the key. `rules`: None where nothing is said."""

    rules: PrefixRules | None
    name: str
    broken: dict[str, FolderRuleError] = field(default_factory=dict)  # by prefix: closed, and to be reported
    _lengths: tuple[int, ...] = ()
    _known: dict[tuple[str, ...], Access] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rules is not None:
            self._lengths = tuple(sorted({len(prefix) for prefix in self.rules.prefixes}))

    def access(self, key: str) -> Access:
        """Return the access of a key below the connected prefix."""
        if self.rules is None:
            return NOBODY
        places = tuple(key[:length] for length in self._lengths if key[:length] in self.rules.prefixes)
        known = self._known.get(places)
        if known is None:
            if len(self._known) >= _BY_PLACES_KEPT:
                self._known.clear()
            known = self._known[places] = self._narrowed(self.rules, places)
        return known

    def _narrowed(self, rules: PrefixRules, places: tuple[str, ...]) -> Access:
        place = ""
        try:
            access = narrowed(NOBODY, rules, self.name)
            for place in places:
                access = narrowed(access, rules.prefixes[place], f"{self.name}: prefixes.{place}")
        except FolderRuleError as error:
            self.broken[place] = error
            return NOBODY
        return access
