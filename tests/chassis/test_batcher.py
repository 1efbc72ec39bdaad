"""Requests that come together share a group, and each gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from chassis.batcher import Batcher


async def test_each_gets_its_own_answer_from_a_shared_group() -> None:
    sizes: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(0)
        return [item * 2 for item in items]

    grouped = Batcher(run, limit=40, at_once=2, pace_s=0.001)

    assert await asyncio.gather(*(grouped.submit(n) for n in range(100))) == [n * 2 for n in range(100)]
    assert sizes == [40, 40, 20]


async def test_no_more_groups_are_under_way_than_allowed() -> None:
    under_way: list[int] = []
    running = 0

    async def run(items: Sequence[int]) -> Sequence[int]:
        nonlocal running
        running += 1
        under_way.append(running)
        await asyncio.sleep(0.001)
        running -= 1
        return items

    grouped = Batcher(run, limit=5, at_once=2)

    await asyncio.gather(*(grouped.submit(n) for n in range(50)))
    assert max(under_way) == 2


async def test_what_a_group_fails_of_everybody_in_it_hears_and_the_next_one_is_tried() -> None:
    async def run(items: Sequence[int]) -> Sequence[int]:
        if 0 in items:
            raise ValueError("no zero")
        return items

    grouped = Batcher(run, limit=2)

    answers = await asyncio.gather(*(grouped.submit(n) for n in range(4)), return_exceptions=True)
    assert [isinstance(answer, ValueError) for answer in answers] == [True, True, False, False]
    assert answers[2:] == [2, 3]


async def test_whoever_stops_waiting_does_not_hold_up_the_others() -> None:
    go = asyncio.Event()

    async def run(items: Sequence[int]) -> Sequence[int]:
        await go.wait()
        return items

    grouped = Batcher(run)
    gone, stays = asyncio.create_task(grouped.submit(1)), asyncio.create_task(grouped.submit(2))
    await asyncio.sleep(0)
    gone.cancel()
    go.set()

    assert await stays == 2
    with pytest.raises(asyncio.CancelledError):
        await gone
