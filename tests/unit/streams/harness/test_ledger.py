from streams.harness.ledger import Ledger


def test_the_position_is_the_lowest_unsettled_offset() -> None:
    ledger, messages = Ledger(), {offset: object() for offset in range(5, 10)}
    for offset, message in messages.items():
        ledger.deliver(offset, message)
    for offset in (5, 6, 8, 9):
        ledger.settle(offset, messages[offset])
    assert ledger.position() == 7
    ledger.settle(7, messages[7])
    assert ledger.position() == 10


def test_holes_in_the_log_do_not_hold_the_position() -> None:
    ledger = Ledger()
    for offset in (3, 70, 71, 900):
        message = object()
        ledger.deliver(offset, message)
        ledger.settle(offset, message)
    assert ledger.position() == 901


def test_word_of_an_earlier_delivery_does_not_settle_the_present_one() -> None:
    ledger, before, now = Ledger(), object(), object()
    ledger.deliver(4, before)
    ledger.deliver(4, now)
    ledger.settle(4, before)
    assert ledger.position() == 4


def test_nothing_delivered_nothing_to_commit() -> None:
    assert Ledger().position() is None
