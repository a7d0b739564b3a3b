"""A server's guest is paused, stopped, and so on, and its server says so in the end."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.compute.consoles.tokens import ConsoleTokenRecord, forget_console_tokens
from onestack.compute.drivers.simulated import SimulatedHypervisor
from onestack.compute.hypervisor import Disk, GuestSpec, Hypervisor
from onestack.compute.servers import instance_actions
from onestack.compute.servers.extend_volume import ExtendVolume, extended
from onestack.compute.servers.instance_actions import ActionRecord
from onestack.compute.servers.pause import PauseServer, UnpauseServer
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord
from onestack.compute.servers.stop import StopServer
from onestack.core import clock, trace
from onestack.core.bus import agent_address
from onestack.core.flow import Flow
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario

HOST = "north"
GUEST = GuestSpec(id="s", name="instance-1", vcpus=1, memory_mb=64)


def server(**state: Any) -> ServerRecord:
    """A server that runs, but for what is said."""
    now = clock.now()
    known = {"vm_state": "active", "power_state": 1, "host": HOST, **state}
    return ServerRecord(
        id="s", number=1, project_id="p", user_id="u", name="one", hostname="one", flavor_id="1",
        flavor_name="m1.tiny", vcpus=1, memory_mb=512, root_gb=1, reservation_id="r-1",
        created_at=now, updated_at=now, launched_at=now, **known,
    )  # fmt: skip


class Verb(Scenario):
    """One verb of power."""

    records = (ActionRecord, ServerRecord)
    flow: ClassVar[type[Flow[Any]]]
    before = "active"
    after: ClassVar[tuple[str, str]]  # the server's state, and whether its guest runs

    def prepare(self, session: Session) -> None:
        session.add(server(vm_state=self.before))

    def agents(self) -> Mapping[str, Any]:
        driver = SimulatedHypervisor()
        driver.create(GUEST)
        return {agent_address(HOST, "hypervisor"): Served(driver, Hypervisor)}

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        with trace.recording("req-1"):
            self.flow.start(session, found)
            instance_actions.begin(session, found, "verb")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ServerRecord, "s")
        (guest,) = next(iter(agents.values())).driver.guests()
        assert ((found.vm_state, guest.power), found.task_state) == (self.after, None)
        (noted,) = session.scalars(select(ActionRecord))
        assert [each["result"] for each in noted.events] == ["Success"]


class Pause(Verb):
    flows = (PauseServer,)
    flow = PauseServer
    after = ("paused", "paused")


class Unpause(Verb):
    flows = (UnpauseServer,)
    flow = UnpauseServer
    before = "paused"
    after = ("active", "running")


class Stop(Verb):
    flows = (StopServer,)
    flow = StopServer
    after = ("stopped", "shutdown")


class ExtendVolumeOfServer(Verb):
    """A volume of the server has grown, and its guest is told."""

    flows = (ExtendVolume,)
    records = (ActionRecord, BlockDeviceRecord, ServerRecord)
    after = ("active", "running")

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        session.flush()
        session.add(
            BlockDeviceRecord(
                id="d", server_id="s", position=1, source_type="volume", volume_id="v",
                destination_type="volume", is_attached=True,
            )
        )  # fmt: skip

    def agents(self) -> Mapping[str, Any]:
        agents = super().agents()
        next(iter(agents.values())).driver.attach_disk("s", Disk(id="v", device="vdb"))
        return agents

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is None:
            with trace.recording("req-1"):
                extended(session, "v", 3)


class ForgetConsoleTokens(Scenario):
    """Tokens of consoles go when their time is over, not before."""

    flows = (forget_console_tokens,)
    runs = 2
    records = (ConsoleTokenRecord, ServerRecord)

    def prepare(self, session: Session) -> None:
        session.add(server())
        session.flush()
        for name, left_s in {"old": -60.0, "new": 24 * 3600.0}.items():
            moment = clock.now() + dt.timedelta(seconds=left_s)
            session.add(
                ConsoleTokenRecord(
                    digest=name, server_id="s", host=HOST, kind="vnc", expires_at=moment
                )
            )

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(ConsoleTokenRecord.digest))) == ["new"]
