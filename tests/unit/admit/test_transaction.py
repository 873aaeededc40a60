"""What admission's transactions do without a broker."""

import pytest

from headwater.errors import FatalError
from headwater.settings import KafkaSettings, Settings
from streams.admit.transaction import TransactionalWriter
from tests.support.waiting import reached

NOBODY = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))


async def test_no_transaction_begins_once_all_brokers_were_away() -> None:
    writer = TransactionalWriter(NOBODY)
    await reached(writer.lost_brokers, deadline_s=20.0)
    with pytest.raises(FatalError, match="start again"):
        writer.begin()
