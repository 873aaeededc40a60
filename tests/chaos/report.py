"""What a run of outages came to, fault by fault, as JSON and as the table of docs/reliability.md."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

REPORT: Final = Path(".headwater/chaos.json")  # of `make chaos`
SHORT_REPORT: Final = Path(".headwater/chaos-short.json")  # of `make test`


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One fault. Whatever is counted is counted from its strike until everything had settled again."""

    fault: str
    edits: int  # made from its strike on
    hidden: int  # how often the open document was hidden before what was struck was back
    records: int  # that the log took: states, reports of the stores, dead letters
    answers: int
    unanswered: int  # questions that found no API, or one that refused to answer now
    lost: int  # documents that the log or a store did not have in the end
    stale: int  # answers
    forbidden: int  # answers
    struck_s: float  # until what was struck was back
    settled_s: float  # until all edits had arrived as well
    longest_stall_s: float  # without an answer
    slowest_edit_s: float  # from observed until both stores had it


# What the table shows of an outcome, and under which title.
COLUMNS: Final = {
    "edits": "edits",
    "hidden": "hidden",
    "records": "records",
    "answers": "answers",
    "unanswered": "refused",
    "lost": "lost",
    "stale": "stale",
    "forbidden": "forbidden",
    "struck_s": "until back, s",
    "longest_stall_s": "longest stall, s",
    "slowest_edit_s": "slowest edit, s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run."""

    seed: int
    pages: int
    outcomes: tuple[Outcome, ...] = ()
    finished: bool = False  # a run that ended before its time leaves what it had until then
    differences: tuple[str, ...] = ()  # between the history's head and the platform's final state
    findings: tuple[str, ...] = ()  # of `headwater verify`
    broken: tuple[str, ...] = ()  # questions that failed as none may

    def harm(self) -> tuple[object, ...]:
        """Return all that must not be: a run that did no harm has nothing here."""
        harmful = (each for each in self.outcomes if each.lost or each.stale or each.forbidden)
        return (*self.differences, *self.findings, *self.broken, *harmful)

    def write(self, path: Path) -> None:
        """Write it as JSON, and its table beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
        path.with_suffix(".md").write_text(f"{self.table()}\nPairs by seed {self.seed}, {self.pages} pages.\n")

    def table(self) -> str:
        """Return a row for each fault, in Markdown."""
        rows = [["fault", *COLUMNS.values()], ["---"] * (1 + len(COLUMNS))]
        rows += [[f"`{each.fault}`", *(str(getattr(each, name)) for name in COLUMNS)] for each in self.outcomes]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)
