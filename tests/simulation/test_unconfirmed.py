"""Records that a client reports as delivered, and no broker has stored, are written after all (ADR 0205).

These stories are not of the standard run: a fault more would change each of them, and the seeds that find defects.
"""

import pytest
from confluent_kafka import KafkaError, Message

from headwater.clients.kafka.transactions import TransactionalProducer
from tests.simulation.run import simulate
from tests.simulation.steps import Step
from tests.simulation.story import tell

SEEDS = range(6)
CHANCE = 0.05  # of a request


def violations(seed: int) -> tuple[str, ...]:
    """Tell a seed's story with such reports all the way; they take the place of its other small mishaps."""
    steps = [step for step in tell(seed) if step.do != "mishaps"]
    return simulate(seed, [Step(at_s=0.0, do="guess_what_is_stored", what={"chance": CHANCE}), *steps]).violations


@pytest.mark.parametrize("seed", SEEDS)
def test_what_nobody_confirmed_is_not_lost(seed: int) -> None:
    assert violations(seed) == ()


def test_it_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that are committed on such a report lose what was admitted."""
    told = TransactionalProducer._on_delivery

    def trusting(producer: TransactionalProducer, error: KafkaError | None, message: Message) -> None:
        if message.offset() is not None:
            told(producer, error, message)

    monkeypatch.setattr(TransactionalProducer, "_on_delivery", trusting)
    assert violations(SEEDS[0])
