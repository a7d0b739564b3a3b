"""Bells: who sleeps until one rings."""

import asyncio

import pytest

from onestack.core.doorbell import Bell


def test_a_bell_wakes_who_waits_and_is_silent_again() -> None:
    async def scenario() -> None:
        bell = Bell()
        waiting = asyncio.create_task(bell.wait(None))
        await asyncio.sleep(0)
        await asyncio.to_thread(bell.ring)
        await waiting
        again = asyncio.create_task(bell.wait(None))
        await asyncio.sleep(0.05)
        assert not again.done()
        again.cancel()

    asyncio.run(scenario())


def test_a_bell_that_rang_before_wakes_the_next_who_waits() -> None:
    bell = Bell()
    bell.ring()
    asyncio.run(bell.wait(None))


def test_who_waits_sleeps_no_longer_than_it_wants() -> None:
    asyncio.run(Bell().wait(0.01))


@pytest.mark.parametrize("turns", range(6))
def test_who_is_ended_as_it_rings_is_ended(turns: int) -> None:
    """Else a server whose worker has just got work would go on for ever when it should end."""

    async def scenario() -> None:
        bell = Bell()
        waiting = asyncio.create_task(bell.wait(60))
        await asyncio.sleep(0.01)
        bell.ring()
        for _ in range(turns):  # the ring is on its way, somewhere
            await asyncio.sleep(0)
        was_over = waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() is not was_over

    asyncio.run(scenario())
