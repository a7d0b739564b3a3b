"""Many engines at once, on real threads: deletes overtake builds, and nobody waits in a circle."""

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from onestack.core import log
from onestack.core.db import Database, Record
from onestack.core.engine import Engine
from onestack.core.flow_record import FlowLockRecord, FlowRecord
from tests.simulator.toys import FLOWS, CreateMachine, DeleteMachine, Disk, Host, Machine, Toy

MACHINES = 12
ENGINES = 3
PATIENCE_S = 60


class Hosts:
    def __init__(self) -> None:
        self.hosts = {name: Host() for name in ("north", "south", "store")}

    def ask(self, agent: str, method: str, arguments: Any, timeout_s: float) -> Any:
        return getattr(self.hosts[agent], method.rpartition(".")[2])(**arguments)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url, pool_size=10, durable=False)
    Record.metadata.create_all(found.engine)
    Toy.metadata.create_all(found.engine)
    yield found
    found.close()


def count(database: Database, kind: Any) -> int:
    with database.transaction(write=False) as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What is logged."""
    lines = io.StringIO()
    log.configure("error", lines)
    yield lines
    log.configure("info")


def test_deletes_overtake_builds(database: Database, told: io.StringIO) -> None:
    hosts = Hosts()
    over = threading.Event()

    def work() -> None:
        engine = Engine(database, hosts, FLOWS)
        while not over.is_set():
            if not engine.run_one():
                over.wait(0.002)

    threads = [threading.Thread(target=work) for _ in range(ENGINES)]
    for thread in threads:
        thread.start()
    for number in range(MACHINES):
        with database.transaction() as session:
            machine = Machine(id=f"m{number}")
            session.add(machine)
            CreateMachine.start(session, machine, disk_gb=1)
        over.wait(0.003 * (number % 4))
        with database.transaction() as session:
            DeleteMachine.start(session, session.get_one(Machine, f"m{number}"))
    for _ in range(PATIENCE_S * 100):
        if count(database, FlowRecord) == 0:
            break
        over.wait(0.01)
    over.set()
    for thread in threads:
        thread.join()
    left = [count(database, kind) for kind in (FlowRecord, FlowLockRecord, Machine, Disk)]
    assert left == [0, 0, 0, 0]
    assert all(host.things == {} for host in hosts.hosts.values())
    log.flush()
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert not [line for line in lines if "deadlock" in line.get("text", "")]
