"""The embedded stack's workers of generations: added while it runs, and taken away."""

from dataclasses import replace

from headwater.local.applications import PER_GENERATION, name_of
from headwater.local.record import StackRecord, read_record, with_ports, write_record
from headwater.local.stack import LocalStack
from headwater.local.starting import Report, stop_all
from headwater.local.supervisor import Supervisor


async def feed(stack: LocalStack, generation: str, report: Report) -> bool:
    """Run a generation's workers, now and whenever the stack is started. False where no embedded stack runs."""
    running = _running(stack)
    if running is None:
        return False
    supervisor, record = running
    if generation not in record.fed:
        write_record(stack.places, with_ports(replace(record, fed=(*record.fed, generation))))
    stack.reconfigure(supervisor)
    await stack.up(report, names=frozenset(name_of(name, generation) for name in PER_GENERATION))
    return True


async def unfeed(stack: LocalStack, generation: str, report: Report) -> bool:
    """Stop a generation's workers for good. False where no embedded stack runs."""
    running = _running(stack)
    if running is None:
        return False
    supervisor, record = running
    if generation in record.fed:
        names = [name_of(name, generation) for name in PER_GENERATION]
        changed = replace(record, fed=tuple(each for each in record.fed if each != generation))
    elif generation == stack.settings.generation:
        names, changed = list(PER_GENERATION), replace(record, first=False)
    else:
        return True  # it was stopped before
    known = supervisor.states().keys()
    await stop_all(supervisor, [name for name in names if name in known], report)
    write_record(stack.places, changed)
    stack.reconfigure(supervisor)
    return True


def _running(stack: LocalStack) -> tuple[Supervisor, StackRecord] | None:
    supervisor, record = stack.supervisor(), read_record(stack.places)
    return None if supervisor is None or record is None else (supervisor, record)
