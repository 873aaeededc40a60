"""Deliberate defects: each takes one promise out of production code, and an oracle must notice.

A mutant that no seed finds says that the simulation is blind there, not that the code is safe.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.simulation import defects, defects_of_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defect, the oracles that may find it, and a seed of the standard run that does."""

    name: str
    defect: str
    found_by: str  # letters of the oracles
    seed: int
    apply: Callable[[contextlib.ExitStack], None]


MUTANTS: Sequence[Mutant] = (
    Mutant(
        name="acknowledge-first",
        defect="an event is acknowledged before its effect",
        found_by="acef",
        seed=9,
        apply=defects.acknowledge_first,
    ),
    Mutant(
        name="overwrite-rows",
        defect="row ids without the revision: a write replaces an older one",
        found_by="abeh",
        seed=3,
        apply=defects.overwrite_rows,
    ),
    Mutant(name="skip-gate", defect="what a store returns is shown", found_by="b", seed=0, apply=defects.skip_the_gate),
    Mutant(
        name="drop-fence",
        defect="admission commits without its group's metadata and under a new transactional id each start",
        found_by="cdf",
        seed=12,
        apply=defects.drop_the_fence,
    ),
    Mutant(
        name="read-uncommitted",
        defect="consumers see what was never committed",
        found_by="abcdefgh",
        seed=2,
        apply=defects.read_uncommitted,
    ),
    Mutant(
        name="default-partitioner",
        defect="stages produce with librdkafka's own partitioner",
        found_by="ace",
        seed=0,
        apply=defects.default_partitioner,
    ),
    Mutant(
        name="sweep-at-once", defect="older rows go without a grace", found_by="h", seed=6, apply=defects.sweep_at_once
    ),
    Mutant(
        name="sweep-by-wall-clock",
        defect="the grace counts from the record's time on the sweeper's wall clock (as before ADR 0070)",
        found_by="ach",
        seed=171,
        apply=defects.sweep_by_the_wall_clock,
    ),
    Mutant(
        name="complete-uncounted",
        defect="a revision is reported complete without counting its rows",
        found_by="h",
        seed=1,
        apply=defects.complete_uncounted,
    ),
    Mutant(
        name="remember-early",
        defect="heads are written before the transaction is committed",
        found_by="cdf",
        seed=11,
        apply=defects.remember_before_the_commit,
    ),
    Mutant(
        name="ignore-source-version",
        defect="an older state of the source is admitted",
        found_by="f",
        seed=0,
        apply=defects.ignore_source_version,
    ),
    Mutant(name="drop-deny", defect="the gate forgets `deny`", found_by="b", seed=0, apply=defects.drop_deny),
    Mutant(
        name="any-clause",
        defect="one matching clause is enough",
        found_by="b",
        seed=15,
        apply=defects.any_clause_will_do,
    ),
    Mutant(
        name="forget-groups",
        defect="who asks is in no group",
        found_by="be",
        seed=0,
        apply=defects.look_up_no_groups,
    ),
    Mutant(
        name="show-incomplete",
        defect="the gate asks for no complete revision",
        found_by="b",
        seed=1,
        apply=defects.show_incomplete_revisions,
    ),
    Mutant(
        name="however-stale",
        defect="the staleness budget fails open",
        found_by="b",
        seed=34,
        apply=defects.answer_however_stale,
    ),
    Mutant(
        name="age-by-wall-clock",
        defect="a replica's age is measured by the wall clock (as it was before ADR 0071)",
        found_by="b",
        seed=150,
        apply=defects.age_by_the_wall_clock,
    ),
    Mutant(
        name="age-once",
        defect="a replica's age is looked at before the question only (as it was before ADR 0074)",
        found_by="g",
        seed=16,
        apply=defects.look_at_the_age_once,
    ),
    Mutant(
        name="no-token", defect="`after=` does not wait", found_by="g", seed=0, apply=defects.do_not_wait_for_tokens
    ),
    Mutant(
        name="commit-past-gap",
        defect="commits pass what is delivered and unsettled",
        found_by="ace",
        seed=0,
        apply=defects.commit_past_a_gap,
    ),
    Mutant(
        name="number-by-clock",
        defect="revisions are the wall clock alone",
        found_by="d",
        seed=24,
        apply=defects.number_by_the_clock,
    ),
    Mutant(
        name="patches-replace",
        defect="a patch drops the attributes that it does not name",
        found_by="f",
        seed=2,
        apply=defects.patches_replace,
    ),
    Mutant(
        name="park-silently",
        defect="`embed` parks a part and tells nobody",
        found_by="ec",
        seed=8,
        apply=defects.tell_nobody_of_what_is_parked,
    ),
    Mutant(
        name="sweep-failed",
        defect="a failed revision lets the older rows go",
        found_by="ah",
        seed=1,
        apply=defects.sweep_what_failed,
    ),
    Mutant(
        name="commit-past-turn",
        defect="admission commits past backfill that waits for its turn",
        found_by="cef",
        seed=0,
        apply=defects.commit_past_a_turn,
    ),
    Mutant(
        name="forget-note",
        defect="a successor forgets which backfill was settled out of turn",
        found_by="c",
        seed=190,
        apply=defects.forget_the_note,
    ),
    Mutant(
        name="forget-waiting",
        defect="a successor forgets which deletions wait",
        found_by="f",
        seed=27,
        apply=defects.forget_what_waits,
    ),
    Mutant(
        name="switch-early",
        defect="a generation is switched to before it has caught up",
        found_by="be",
        seed=9,
        apply=defects.switch_before_it_has_caught_up,
    ),
    Mutant(
        name="switch-blindly",
        defect="a slow switch undoes a rollback that was made since it began (as before ADR 0153)",
        found_by="e",
        seed=69,
        apply=defects.switch_whatever_came_in_between,
    ),
    Mutant(
        name="serve-building",
        defect="the newest generation serves, built or not",
        found_by="be",
        seed=9,
        apply=defects.serve_what_is_built,
    ),
    Mutant(
        name="any-generation",
        defect="the gate takes what is complete in any generation for complete in this one",
        found_by="bh",
        seed=19,
        apply=defects.complete_in_any_generation,
    ),
    Mutant(
        name="cut-alike",
        defect="prepared texts are kept without the policy that cut them",
        found_by="ah",
        seed=9,
        apply=defects.cut_all_alike,
    ),
    Mutant(
        name="ignore-gap",
        defect="a stage goes on behind what retention took from it",
        found_by="ace",
        seed=33,
        apply=defects.ignore_gaps,
    ),
    Mutant(
        name="pass-over-expired",
        defect="admission goes on behind what retention took from it without a word",
        found_by="c",
        seed=25,
        apply=defects.pass_over_what_expired,
    ),
    Mutant(
        name="older-readers",
        defect="rows name the readers of the revision before",
        found_by="ae",
        seed=0,
        apply=defects_of_rows.readers_of_the_revision_before,
    ),
    Mutant(
        name="older-attributes",
        defect="rows carry the attributes of the revision before",
        found_by="a",
        seed=1,
        apply=defects_of_rows.attributes_of_the_revision_before,
    ),
    Mutant(
        name="vectors-astray",
        defect="the vectors of a batch are written in another order",
        found_by="a",
        seed=0,
        apply=defects_of_rows.vectors_in_another_order,
    ),
    Mutant(
        name="ranges-alike",
        defect="page ranges are kept under a name that does not say which",
        found_by="abh",
        seed=18,
        apply=defects_of_rows.page_ranges_alike,
    ),
)


@contextlib.contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Run with the defect in place."""
    with contextlib.ExitStack() as stack:
        mutant.apply(stack)
        yield


BY_NAME: Mapping[str, Mutant] = {mutant.name: mutant for mutant in MUTANTS}
