"""The auditor's process keeps out of the way while others start."""

import asyncio
import subprocess
import sys

from headwater.settings import AuditSettings, Settings
from headwater.telemetry.management import Health
from streams.audit.agent import audit
from tests.support.waiting import reached


async def test_it_is_ready_before_its_first_pass_and_beats_while_it_waits() -> None:
    health = Health()
    health._beat -= 3_600
    assert not health.is_live()
    auditing = asyncio.create_task(audit(Settings(audit=AuditSettings(delay_s=3_600)), health))
    await reached(lambda: health.readiness() == {"pass": None} and health.is_live(), deadline_s=10, every_s=0.001)
    auditing.cancel()
    await asyncio.gather(auditing, return_exceptions=True)
    assert auditing.cancelled()


def test_starting_it_imports_no_client_of_a_store() -> None:
    asked = "import sys, streams.audit.agent; print([n for n in ('pymilvus', 'elasticsearch') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.strip() == "[]"
