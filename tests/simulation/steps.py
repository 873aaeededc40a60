"""What a story is made of. A story is data: it can be printed, shortened and told again."""

import json
from dataclasses import dataclass, field
from typing import Any

DOCUMENTS = 7
SPAN_S = 40.0
USERS = ("ann", "bob", "cleo", "dan")
REPLICAS = ("east", "west")
STAGE_WORKERS = tuple(
    f"{stage}-{number}" for stage in ("prepare", "embed", "index-vectors", "index-keywords") for number in range(2)
)
ACCESS = ("everyone", "staff", "not bob", "staff and everyone", "all but partners", "nobody", "cleo", "staff not dan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happens to the installation."""

    at_s: float
    do: str
    what: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = ", ".join(f"{name}={json.dumps(value)}" for name, value in self.what.items())
        return f"{self.at_s:7.3f} s  {self.do}({details})"
