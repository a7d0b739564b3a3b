"""A fleet: a flow that one process starts is begun at once by the worker of another."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onestack.core import doorbell, worker
from onestack.core.bus import Bus
from onestack.core.bus_rabbit import Rabbit
from onestack.core.db import Database
from onestack.core.engine import BusAgents, Engine
from onestack.core.flow_record import DOORBELL
from onestack.core.worker import Worker
from tests.core.flow.stage import Walk, machine, start


@contextmanager
def process(database_url: str, broker_url: str) -> Iterator[tuple[Database, Bus]]:
    """What another process of the fleet has of its own."""
    database, bus = Database(database_url, durable=False), Bus(Rabbit(broker_url))
    try:
        with doorbell.carried(database, bus, [DOORBELL]):
            yield database, bus
    finally:
        bus.close()
        database.close()


@pytest.mark.usefixtures("database")
def test_a_flow_is_begun_by_the_worker_of_another_process(
    database_url: str, rabbit_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_S", 3600.0)  # it is told, or it never knows

    async def scenario(here: Database, there: Database, bus: Bus) -> None:
        engine = Engine(there, BusAgents(bus, []), [Walk])
        bus.answer_ring(DOORBELL, engine.ring)
        serving = asyncio.create_task(Worker(engine).serve())
        await asyncio.sleep(0.5)  # it has looked for work, and sleeps
        await asyncio.to_thread(start, here, Walk, pace=3)
        while machine(here).status != "pace 3":
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    with (
        process(database_url, rabbit_url) as (here, _),
        process(database_url, rabbit_url) as (there, bus),
    ):
        asyncio.run(asyncio.wait_for(scenario(here, there, bus), 60))


def test_a_ring_of_a_closed_bus_hurts_nobody(database: Database, rabbit_url: str) -> None:
    bus = Bus(Rabbit(rabbit_url))
    with doorbell.carried(database, bus, [DOORBELL]):
        bus.close()
        start(database, Walk, pace=3)
    assert machine(database).task_state == "starting"
