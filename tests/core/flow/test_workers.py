"""Who runs flows: one of many engines, again and again, and a worker that sleeps in between."""

import asyncio
import itertools
import threading
from typing import Any

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.errors import Conflict
from onestack.core.flow import periodic
from onestack.core.worker import Worker
from tests.core.flow.stage import Agents, Answering, Walk, machine, rows, start


def test_a_periodic_task_runs_once_in_the_cluster(
    database: Database, time: clock.Simulated
) -> None:
    runs: list[float] = []

    @periodic(300)
    def sweep(session: Any) -> None:
        """Sweep."""
        runs.append(time.monotonic())
        if len(runs) == 2:
            raise Conflict("not now")

    engines = [Engine(database, Agents(), [sweep]) for _ in range(2)]
    for engine in engines:
        engine.prepare()
    time.advance(60)
    for _ in range(10):
        for engine in engines:
            engine.run_until_idle()
        time.advance(100)
    assert [round(after - before) for before, after in itertools.pairwise(runs)] == (
        [300] * (len(runs) - 1)
    )
    assert len(runs) == 4


def test_each_due_step_is_run_by_one_of_many_engines(database: Database) -> None:
    for number in range(20):
        start(database, Walk, f"m{number}", pace=number)
    engines = [Engine(database, Agents(), [Walk]) for _ in range(4)]
    steps: list[int] = []
    threads = [
        threading.Thread(target=lambda engine=each: steps.append(engine.run_until_idle()))
        for each in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(steps) == 40
    assert [machine(database, f"m{n}").status for n in range(20)] == [
        f"pace {n}" for n in range(20)
    ]


def test_a_worker_sleeps_until_a_flow_is_started(database: Database) -> None:
    release = threading.Event()

    def answer(left: int, right: int) -> int:
        release.wait(10)
        return left + right

    async def scenario() -> None:
        worker = Worker(Engine(database, Agents(answer), [Walk, Answering]))
        serving = asyncio.create_task(worker.serve())
        await asyncio.sleep(0.05)
        start(database, Answering)
        while machine(database).task_state is None:
            await asyncio.sleep(0.01)
        start(database, Walk, "other", pace=8)  # goes on while an agent is being waited for
        while machine(database, "other").status != "pace 8":
            await asyncio.sleep(0.01)
        release.set()
        while machine(database).status != "10":
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 20))
    assert rows(database) == []


def test_a_stopped_worker_gives_its_leases_back(database: Database) -> None:
    release = threading.Event()

    def answer(**_: int) -> int:
        release.wait(10)
        return 5

    async def scenario() -> None:
        worker = Worker(Engine(database, Agents(answer), [Answering]))
        start(database, Answering)
        serving = asyncio.create_task(worker.serve())
        while not rows(database)[0].errand:
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 20))
    release.set()
    Engine(database, Agents(lambda **_: 5), [Answering]).run_until_idle()
    assert machine(database).status == "10"
