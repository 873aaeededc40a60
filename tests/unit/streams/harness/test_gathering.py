import asyncio
from collections.abc import Sequence
from itertools import pairwise

from headwater.errors import PoisonError, RetryableError
from streams.harness.gathering import Coalescer


class Store:
    """Remembers each call; refuses items called `bad`."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, items: Sequence[str]) -> None:
        await self.open.wait()
        self.calls.append(list(items))
        if "bad" in items:
            raise PoisonError("refused")
        if "away" in items:
            raise RetryableError("away")


async def test_a_lone_item_is_written_at_once_and_a_crowd_together() -> None:
    store = Store()
    writer: Coalescer[str, None] = Coalescer(store.write, max_weight=10)
    await writer.add("first", weight=1)
    store.open.clear()
    adding = [asyncio.create_task(writer.add(f"item{n}", weight=4)) for n in range(4)]
    await asyncio.sleep(0)
    store.open.set()
    await asyncio.gather(*adding)
    assert [item for call in store.calls for item in call] == ["first", "item0", "item1", "item2", "item3"]
    assert store.calls[0] == ["first"]
    assert len(store.calls) < 5
    assert all(len(call) <= 2 for call in store.calls), "two items of weight 4 fit into 10, three do not"


async def test_the_first_patient_one_waits_for_nobody() -> None:
    store = Store()
    writer: Coalescer[str, None] = Coalescer(store.write, max_weight=10, patience_s=60)
    await writer.add("first", weight=1, patient=True)
    assert store.calls == [["first"]]


async def after_one_call(store: Store, *, max_weight: int = 10, patience_s: float = 60) -> Coalescer[str, None]:
    """Return a writer whose last call began just now."""
    writer: Coalescer[str, None] = Coalescer(store.write, max_weight=max_weight, patience_s=patience_s)
    await writer.add("first", weight=1, patient=True)
    store.calls.clear()
    return writer


async def test_the_patient_wait_for_company_until_a_call_is_full() -> None:
    store = Store()
    writer = await after_one_call(store, max_weight=3)
    adding = [asyncio.create_task(writer.add(f"item{n}", weight=1, patient=True)) for n in range(2)]
    await asyncio.sleep(0)
    assert store.calls == []
    await writer.add("item2", weight=1, patient=True)
    await asyncio.gather(*adding)
    assert store.calls == [["item0", "item1", "item2"]]


async def test_one_in_a_hurry_takes_the_patient_along() -> None:
    store = Store()
    writer = await after_one_call(store)
    patient = asyncio.create_task(writer.add("patient", weight=1, patient=True))
    await asyncio.sleep(0)
    await writer.add("hurried", weight=1)
    await patient
    assert store.calls == [["patient", "hurried"]]


async def test_patience_ends() -> None:
    store = Store()
    writer = await after_one_call(store, patience_s=0.05)
    await writer.add("alone", weight=1, patient=True)
    assert store.calls == [["alone"]]


async def test_calls_of_the_patient_begin_a_patience_apart() -> None:
    store, began_s = Store(), list[float]()
    loop = asyncio.get_running_loop()

    async def write(items: Sequence[str]) -> None:
        began_s.append(loop.time())
        await store.write(items)

    writer: Coalescer[str, None] = Coalescer(write, max_weight=10, patience_s=0.05)
    for item in ("a", "b", "c"):
        await writer.add(item, weight=1, patient=True)
    assert [later - earlier >= 0.05 for earlier, later in pairwise(began_s)] == [True, True]


async def test_everybody_gets_the_own_result() -> None:
    async def double(items: Sequence[int]) -> list[int]:
        return [2 * item for item in items]

    doubler: Coalescer[int, int] = Coalescer(double, max_weight=10)
    assert await asyncio.gather(*(doubler.add(n, weight=1) for n in range(4))) == [0, 2, 4, 6]


async def test_only_the_refused_item_suffers() -> None:
    store = Store()
    writer: Coalescer[str, None] = Coalescer(store.write, max_weight=10)
    results = await asyncio.gather(*(writer.add(each, weight=1) for each in ("a", "bad", "b")), return_exceptions=True)
    assert [type(each) for each in results] == [type(None), PoisonError, type(None)]


async def test_an_outage_is_everybodys() -> None:
    store = Store()
    writer: Coalescer[str, None] = Coalescer(store.write, max_weight=10)
    results = await asyncio.gather(*(writer.add(each, weight=1) for each in ("a", "away")), return_exceptions=True)
    assert isinstance(results[1], RetryableError)
    await writer.add("later", weight=1)
    assert store.calls[-1] == ["later"]


async def test_a_waiter_that_is_cancelled_holds_nobody_up() -> None:
    store = Store()
    store.open.clear()
    writer: Coalescer[str, None] = Coalescer(store.write, max_weight=10)
    first, second = (asyncio.create_task(writer.add(each, weight=1)) for each in ("a", "b"))
    await asyncio.sleep(0)
    first.cancel()
    store.open.set()
    await second
    assert any("b" in call for call in store.calls)
