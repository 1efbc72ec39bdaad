"""Concurrent requests share a batch, and each gets its own result."""

import asyncio
from collections.abc import Sequence

import pytest

from chassis.batcher import Batcher


async def test_each_request_gets_its_own_result_from_a_shared_batch() -> None:
    sizes: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(0)
        return [item * 2 for item in items]

    batcher = Batcher(run, limit=40, at_once=2, pace_s=0.001)

    assert await asyncio.gather(*(batcher.submit(n) for n in range(100))) == [n * 2 for n in range(100)]
    assert sizes == [40, 40, 20]


async def test_at_most_the_allowed_number_of_batches_run_at_once() -> None:
    running_at_once: list[int] = []
    running = 0

    async def run(items: Sequence[int]) -> Sequence[int]:
        nonlocal running
        running += 1
        running_at_once.append(running)
        await asyncio.sleep(0.001)
        running -= 1
        return items

    batcher = Batcher(run, limit=5, at_once=2)

    await asyncio.gather(*(batcher.submit(n) for n in range(50)))
    assert max(running_at_once) == 2


async def test_an_error_of_a_batch_is_raised_to_each_of_its_callers_and_to_no_other() -> None:
    async def run(items: Sequence[int]) -> Sequence[int]:
        if 0 in items:
            raise ValueError("no zero")
        return items

    batcher = Batcher(run, limit=2)

    results = await asyncio.gather(*(batcher.submit(n) for n in range(4)), return_exceptions=True)
    assert [isinstance(result, ValueError) for result in results] == [True, True, False, False]
    assert results[2:] == [2, 3]


async def test_a_cancelled_request_does_not_affect_other_requests_of_its_batch() -> None:
    go = asyncio.Event()

    async def run(items: Sequence[int]) -> Sequence[int]:
        await go.wait()
        return items

    batcher = Batcher(run)
    cancelled, kept = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    go.set()

    assert await kept == 2
    with pytest.raises(asyncio.CancelledError):
        await cancelled
