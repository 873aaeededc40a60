"""The canary on the running product: every partition goes round, and a stopped stage breaks its own promise alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from headwater.demo.stage import wait_until
from tests.support.platform import Platform

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

MEANING_STEPS = {"found_by_meaning", "edit_found_by_meaning"}


@pytest.fixture
def canary(platform: Platform) -> Iterator[None]:
    """A canary in a hurry."""
    pace = {"HEADWATER_CANARY__INTERVAL_S": "1", "HEADWATER_CANARY__DEADLINE_S": "5"}
    with platform.child("-m", "headwater.canary", log="canary", **pace):
        yield


def report(platform: Platform) -> dict[str, Any]:
    """Read the last minute."""
    found: dict[str, Any] = platform.admin.call("GET", "/freshness", params={"window_s": 60})
    return found


def failures(seen: dict[str, Any]) -> dict[str, int]:
    return {step["name"]: step["failed"] for step in seen["canary"]["steps"] if step["failed"]}


def test_rounds_on_every_partition_and_a_stopped_stage(platform: Platform, canary: None) -> None:
    partitions = list(range(platform.settings.kafka.partitions))

    def all_round() -> dict[str, Any] | None:
        seen = report(platform)
        whole = [step["count"] >= len(partitions) for step in seen["canary"]["steps"]]
        return (
            seen if [each["partition"] for each in seen["canary"]["partitions"]] == partitions and all(whole) else None
        )

    seen, _ = wait_until("a round of the canary on every partition", all_round, patience_s=120)
    assert {step["name"]: step["failed"] for step in seen["canary"]["steps"] if step["name"].endswith("_hidden")} == {
        "revoked_hidden": 0,
        "deleted_hidden": 0,
    }
    before = failures(seen)

    platform.supervisor.stop("index-vectors")
    try:

        def meaning_fails() -> dict[str, Any] | None:
            now = report(platform)
            return now if failures(now).get("found_by_meaning", 0) > before.get("found_by_meaning", 0) else None

        broken, _ = wait_until("the canary to miss what is not indexed", meaning_fails, patience_s=60)
    finally:
        platform.supervisor.start("index-vectors")
    promises = {each["name"]: each for each in broken["objectives"]}
    assert promises["meaning"]["met"] is False
    words = next(view for view in promises["words"]["views"] if view["view"] == "canary")
    assert words["total"] > 0
    failed_since = {step for step, count in failures(broken).items() if count > before.get(step, 0)}
    assert failed_since <= MEANING_STEPS, "what does not need vectors goes on"
