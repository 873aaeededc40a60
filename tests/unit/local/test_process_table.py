from graphlib import TopologicalSorter
from pathlib import Path

from headwater.local import applications
from headwater.local.components import milvus
from headwater.local.lag import INPUTS
from headwater.local.ports import MANAGED
from headwater.local.process import Tier
from headwater.local.stack import COMPONENTS, process_table
from tests.unit.local.site import paper_site


def test_everything_starts_after_what_it_needs(tmp_path: Path) -> None:
    table = process_table(paper_site(tmp_path))
    steps = {process.name: process.needs for process in table}
    steps |= {task.name: task.needs for task in applications.tasks()}
    order = list(TopologicalSorter(steps).static_order())  # raises on a cycle
    assert set(order) == set(steps), "something needs what is not in the table"
    for name in COMPONENTS:
        assert not steps[name]
    for process in table:
        if process.tier is Tier.APPLICATION:
            assert order.index(process.name) > order.index("topics")
    for stage in ("index-vectors", "index-keywords", "status", "feedback", "analytics", "sweep", "query-api"):
        assert order.index(stage) > order.index("migrations")
    assert order.index("embed") > order.index("triton")
    assert order.index("query-api") > order.index("heads")


def test_every_process_has_a_management_port_of_its_own(tmp_path: Path) -> None:
    processes = applications.processes(paper_site(tmp_path).ports)
    assert tuple(process.name for process in processes) == MANAGED
    ports = [process.environment["HEADWATER_MANAGEMENT__PORT"] for process in processes]
    assert len(set(ports)) == len(ports)
    assert [str(process.port) for process in processes] == ports


def test_every_stage_with_a_lag_is_a_process() -> None:
    assert INPUTS.keys() <= applications.TABLE.keys()


def test_the_milvus_file_name_is_short_enough() -> None:
    assert len(milvus.DATABASE) <= 36
