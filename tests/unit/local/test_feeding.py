"""Workers of added generations in the embedded stack's table and record."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from headwater.local import applications
from headwater.local.feeding import feed, unfeed
from headwater.local.places import Places
from headwater.local.record import StackRecord, read_record, with_ports, write_record
from headwater.local.stack import LocalStack, process_table
from headwater.settings import Settings
from tests.unit.local.site import paper_site


def test_an_added_generation_has_workers_with_its_setting_and_ports_of_their_own(tmp_path: Path) -> None:
    site = paper_site(tmp_path)
    record = with_ports(StackRecord(stack_id="x", ports=site.ports, fed=("g2",)))
    table = process_table(replace(site, ports=record.ports, fed=record.fed))
    added = {each.name: each for each in table if each.name.endswith("-g2")}
    assert added.keys() == {f"{name}-g2" for name in applications.PER_GENERATION}
    assert {"sweep-g2", "audit-g2"} < added.keys(), "nobody else looks after its rows"
    assert {each.environment["HEADWATER_GENERATION"] for each in added.values()} == {"g2"}
    assert Counter(each.port for each in table).most_common(1)[0][1] == 1
    assert not any("HEADWATER_GENERATION" in each.environment for each in table if each.name not in added)
    assert with_ports(record) == record, "the next start keeps them"


def test_the_first_generation_can_be_dropped_and_nothing_else_goes_with_it(tmp_path: Path) -> None:
    site = paper_site(tmp_path)
    names = {each.name for each in applications.processes(site.ports)}
    left = {each.name for each in applications.processes(site.ports, first=False)}
    assert names - left == set(applications.PER_GENERATION)
    commands = [task.command[-2:] for task in applications.tasks(generation="g2")]
    assert commands == [("--generation", "g2")] * 2, "what was dropped is not made again by the next start"


def test_a_record_of_an_earlier_version_is_read_and_its_later_processes_get_ports(tmp_path: Path) -> None:
    places = Places(state=tmp_path, cache=tmp_path, components=tmp_path)
    site = paper_site(tmp_path)
    earlier = {name: port for name, port in site.ports.items() if name != "audit-management"}
    (tmp_path / "stack.json").write_text(json.dumps({"stack_id": "x", "ports": earlier}))
    record = read_record(places)
    assert record is not None
    assert (record.stack_id, record.first, record.fed) == ("x", True, ())
    assert {name: record.ports[name] for name in earlier} == earlier
    assert Counter(each.port for each in process_table(replace(site, ports=record.ports))).most_common(1)[0][1] == 1

    later = with_ports(replace(record, first=False, fed=("g2",)))
    write_record(places, later)
    assert read_record(places) == later


async def test_where_no_embedded_stack_runs_somebody_else_starts_workers(tmp_path: Path) -> None:
    stack = LocalStack.of(Settings.model_validate({"local": {"state_folder": tmp_path}}))

    def never(name: str, what: str) -> None:
        raise AssertionError(f"{name}: {what}")

    assert not await feed(stack, "g2", never)
    assert not await unfeed(stack, "g2", never)
    assert read_record(stack.places) is None
