"""`python -m tests.simulation`: long runs, and one story again."""

import argparse
import os
import sys

from tests.simulation.many import simulate_all
from tests.simulation.run import simulate
from tests.simulation.shrinking import shrink, story_of
from tests.simulation.story import tell


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every promise was kept, 1 when one was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run many seeds")
    run.add_argument("--seeds", default="0:1000", help="FROM:TO, or a number of seeds beginning with 0")
    run.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    replay = commands.add_parser("replay", help="tell one story again")
    replay.add_argument("seed", type=int)
    replay.add_argument("--keep", help="numbers of the steps to keep, separated by commas; `none`: no step at all")
    chosen = parser.parse_args(arguments)
    if chosen.command == "replay":
        return _replay(chosen.seed, chosen.keep)
    return _run(*_range(chosen.seeds), processes=chosen.processes)


def _run(first: int, last: int, *, processes: int) -> int:
    events = answers = 0
    for outcome in simulate_all(range(first, last), processes=processes):
        events += outcome.events
        answers += outcome.answers
        if outcome.violations:
            kept, shorter = shrink(outcome.seed, outcome)
            _say(story_of(outcome.seed, kept, shorter))
            return 1
        if outcome.seed % 100 == 99:
            _say(f"up to seed {outcome.seed}: {events} events, {answers} answers, no promise broken")
    _say(f"seeds {first} to {last - 1}: {events} events, {answers} answers, no promise broken")
    return 0


def _replay(seed: int, keep: str | None) -> int:
    story = tell(seed)
    kept = range(len(story)) if keep is None else [int(each) for each in keep.split(",") if each != "none"]
    outcome = simulate(seed, [story[number] for number in kept])
    _say(story_of(seed, list(kept), outcome))
    return 1 if outcome.violations else 0


def _range(seeds: str) -> tuple[int, int]:
    first, colon, last = seeds.partition(":")
    return (int(first), int(last)) if colon else (0, int(first))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
