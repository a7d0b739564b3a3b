"""Machines of the toy cloud are built and deleted, at times both at once."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from tests.simulator.scenario import Scenario
from tests.simulator.toys import (
    FLOWS,
    CreateMachine,
    DeleteDisk,
    DeleteMachine,
    Disk,
    Host,
    Machine,
)  # fmt: skip


class Build(Scenario):
    """A machine with a disk, which a child flow makes."""

    flows = FLOWS

    def agents(self) -> Mapping[str, Host]:
        return {name: Host() for name in ("north", "south", "store")}

    def begin(self, session: Session) -> None:
        if session.get(Machine, "m") is None:
            machine = Machine(id="m")
            session.add(machine)
            CreateMachine.start(session, machine, disk_gb=7)

    def check(self, session: Session, agents: Mapping[str, Host], *, was_interrupted: bool) -> None:
        machine = session.get_one(Machine, "m")
        disk = session.get_one(Disk, "m-disk")
        assert (machine.status, machine.host, machine.boots) == ("ACTIVE", "north", 1)
        assert (disk.status, disk.size_gb) == ("available", 7)
        assert (machine.task_state, disk.task_state) == (None, None)
        assert things(agents) == {"north": {"m": 1}, "south": {}, "store": {"m-disk": 7}}


class BuildElsewhere(Build):
    """The first host refuses."""

    def agents(self) -> Mapping[str, Host]:
        agents = super().agents()
        agents["north"].refuses = True
        return agents

    def begin(self, session: Session) -> None:
        if session.get(Machine, "m") is None:
            machine = Machine(id="m")
            session.add(machine)
            CreateMachine.start(session, machine)

    def check(self, session: Session, agents: Mapping[str, Host], *, was_interrupted: bool) -> None:
        machine = session.get_one(Machine, "m")
        assert (machine.status, machine.host, machine.task_state) == ("ACTIVE", "south", None)
        assert things(agents) == {"north": {}, "south": {"m": 1}, "store": {}}


class Delete(Build):
    """A machine that is there, with its disk, goes away."""

    def agents(self) -> Mapping[str, Host]:
        agents = super().agents()
        agents["north"].things["m"] = 1
        agents["store"].things["m-disk"] = 7
        return agents

    def begin(self, session: Session) -> None:
        if session.get(Machine, "m") is not None:
            return
        disk = Disk(id="m-disk", status="available", size_gb=7)
        machine = Machine(id="m", status="ACTIVE", host="north", disk_id="m-disk", boots=1)
        session.add_all([disk, machine])
        DeleteMachine.start(session, machine)

    def check(self, session: Session, agents: Mapping[str, Host], *, was_interrupted: bool) -> None:
        assert session.get(Machine, "m") is None
        assert session.get(Disk, "m-disk") is None
        assert things(agents) == {"north": {}, "south": {}, "store": {}}


class BuildThenDelete(Build):
    """The delete comes while the build is under way, or when it is over."""

    can_be_interrupted = True

    def interrupt(self, session: Session) -> None:
        machine = session.get(Machine, "m")
        if machine is not None and machine.task_state != "deleting":
            DeleteMachine.start(session, machine)

    def check(self, session: Session, agents: Mapping[str, Host], *, was_interrupted: bool) -> None:
        if not was_interrupted:
            super().check(session, agents, was_interrupted=False)
            return
        assert session.get(Machine, "m") is None
        assert session.get(Disk, "m-disk") is None
        assert things(agents) == {"north": {}, "south": {}, "store": {}}


class DeleteDiskOfBuild(Build):
    """The disk that a build waits for is deleted: the build hears of it and fails."""

    can_be_interrupted = True

    def interrupt(self, session: Session) -> None:
        disk = session.get(Disk, "m-disk")
        if disk is not None and disk.task_state != "deleting":
            DeleteDisk.start(session, disk)

    def check(self, session: Session, agents: Mapping[str, Host], *, was_interrupted: bool) -> None:
        machine = session.get_one(Machine, "m")
        disk = session.get(Disk, "m-disk")
        guests = {"m": 1} if machine.status == "ACTIVE" else {}
        assert machine.status in (("ACTIVE", "ERROR") if was_interrupted else ("ACTIVE",))
        assert machine.status == "ACTIVE" or disk is None
        assert machine.task_state is None
        disks = {} if disk is None else {"m-disk": 7}
        assert things(agents) == {"north": guests, "south": {}, "store": disks}


def things(agents: Mapping[str, Host]) -> dict[str, dict[str, int]]:
    """What each agent keeps."""
    return {name: agent.things for name, agent in agents.items()}
