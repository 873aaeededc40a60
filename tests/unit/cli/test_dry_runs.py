"""`--dry-run` shows what would be done to stores and topics, and does none of it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from headwater.cli import migrate, topics
from headwater.cli.main import app
from headwater.clients.kafka.topics import DesiredTopic, TopicPlan
from headwater.migrations import PlannedMigration
from headwater.migrations.model import MigrationState

FIRST = PlannedMigration(
    number=1, name="chunks", generation=None, state=MigrationState.PENDING, warning="destroys rows"
)


@dataclass
class Stores:
    """What would be migrated; `done` is what was."""

    done: list[str] = field(default_factory=list)

    async def pending(self) -> Sequence[tuple[PlannedMigration, None]]:
        return [(FIRST, None)]

    async def reverting(self, *, to: int) -> Sequence[tuple[PlannedMigration, None]]:
        return [(FIRST, None)]

    async def apply(self, *, force: bool) -> Sequence[PlannedMigration]:
        self.done.append(f"applied, force={force}")
        return [FIRST]

    async def rollback(self, *, to: int, force: bool) -> Sequence[PlannedMigration]:
        self.done.append(f"reverted to {to}, force={force}")
        return [FIRST]


@pytest.mark.parametrize(
    ("arguments", "done"),
    [
        (["apply", "--dry-run"], []),
        (["rollback", "--to", "0", "--dry-run"], []),
        (["apply"], ["applied, force=False"]),
        (["rollback", "--to", "0", "--force"], ["reverted to 0, force=True"]),
    ],
)
def test_a_migration_is_shown_and_not_run(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], done: list[str]
) -> None:
    stores = Stores()

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[Stores]:
        yield stores

    monkeypatch.setattr(migrate, "open_migrator", opened)
    result = CliRunner().invoke(app, ["migrate", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    [shown] = json.loads(result.stdout)
    assert (shown["number"], shown["warning"]) == (1, "destroys rows")
    assert stores.done == done


@pytest.mark.parametrize(
    ("arguments", "refusals", "made", "status"),
    [
        (["plan"], (), [], 0),
        (["apply", "--dry-run"], (), [], 0),
        (["apply"], (), ["rag.new"], 0),
        (["apply"], ("rag.old: partitions never grow in place",), [], 1),
    ],
)
def test_topics_are_shown_and_not_made(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], refusals: tuple[str, ...], made: list[str], status: int
) -> None:
    new = DesiredTopic(name="rag.new", partitions=4, replication_factor=1, config={})
    planned = TopicPlan(create=(new,), change=(), refusals=refusals)
    created: list[str] = []

    async def plan(*_: Any, **__: Any) -> TopicPlan:
        return planned

    async def apply(_: object, wanted: TopicPlan) -> None:
        created.extend(topic.name for topic in wanted.create)

    monkeypatch.setattr(topics, "plan_topics", plan)
    monkeypatch.setattr(topics, "apply_plan", apply)
    result = CliRunner().invoke(app, ["topics", *arguments, "--json"])
    assert (result.exit_code, created) == (status, made)
    assert [topic["name"] for topic in json.loads(result.stdout)["create"]] == ["rag.new"]
