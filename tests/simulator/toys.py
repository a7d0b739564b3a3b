"""A toy cloud: machines with disks, and hosts that keep both; enough for all that can go wrong."""

from typing import ClassVar

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from onestack.core.errors import Conflict
from onestack.core.fence import Fence, Gate, current
from onestack.core.flow import Ask, Child, Failure, Flow, Next, Sleep, step


class Toy(DeclarativeBase):
    """Tables of the tests' own, apart from those of the package."""

    topic: ClassVar[str | None] = None


class Disk(Toy):
    __tablename__ = "toy_disks"
    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="creating")
    size_gb: Mapped[int] = mapped_column(default=0)
    task_state: Mapped[str | None]


class Machine(Toy):
    __tablename__ = "toy_machines"
    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="BUILD")
    host: Mapped[str | None]
    disk_id: Mapped[str | None]
    boots: Mapped[int] = mapped_column(default=0)
    task_state: Mapped[str | None]


class Host:
    """An agent: it keeps things by name, and doing something twice is doing it once."""

    def __init__(self) -> None:
        self.things: dict[str, int] = {}
        self.refuses = False
        self.calls: list[str] = []
        self._gate = Gate()

    def create(self, name: str, size: int) -> dict[str, int]:
        with self._gate.enter(self._fence()):
            self.calls.append(f"create {name}")
            if self.refuses:
                raise Conflict("no space left")
            self.things[name] = size
            return {"size": size}

    def destroy(self, name: str) -> None:
        with self._gate.enter(self._fence()):
            self.calls.append(f"destroy {name}")
            self.things.pop(name, None)

    def _fence(self) -> Fence:
        fence = current.get()
        assert fence is not None, "a call without a fence"
        return fence


class CreateDisk(Flow[Disk]):
    event = "toy.disk.create"
    size_gb: int

    @step(shows="allocating")
    def allocate(self) -> Next:
        self.subject.size_gb = self.size_gb
        return Ask("store", Host.create, {"name": self.subject.id, "size": self.size_gb},
                   then=self.finish)  # fmt: skip

    @step(shows="finishing")
    def finish(self, made: dict[str, int]) -> Next:
        self.subject.status = "available" if made["size"] == self.size_gb else "odd"
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.status = "error"


class CreateMachine(Flow[Machine]):
    event = "toy.machine.create"
    deadline_s = 7200.0
    disk_gb: int = 0
    tried: list[str] = []

    @step(shows="scheduling")
    def schedule(self) -> Next:
        left = [name for name in ("north", "south") if name not in self.tried]
        if not left:
            raise Failure("NoHost", "No host is left.")
        self.subject.host = left[0]
        self.tried = [*self.tried, left[0]]
        return self.prepare_disk if self.disk_gb else self.spawn

    @step(shows="block_device_mapping")
    def prepare_disk(self) -> Next:
        disk = self.session.get(Disk, f"{self.subject.id}-disk")
        if disk is None:
            disk = Disk(id=f"{self.subject.id}-disk")
            self.session.add(disk)
        self.subject.disk_id = disk.id
        return Child(CreateDisk, disk, then=self.spawn, state={"size_gb": self.disk_gb})

    @step(shows="spawning")
    def spawn(self) -> Next:
        arguments = {"name": self.subject.id, "size": 1}
        return Ask(self.subject.host or "", Host.create, arguments,
                   then=self.settle, otherwise=self.elsewhere)  # fmt: skip

    @step(shows="scheduling")
    def elsewhere(self, failure: Failure) -> Next:
        return Ask(self.subject.host or "", Host.destroy, {"name": self.subject.id},
                   then=self.schedule)  # fmt: skip

    @step(shows="powering-on")
    def settle(self) -> Next:
        if self.subject.boots == 0:
            self.subject.boots = 1
            return Sleep(5)
        self.subject.status = "ACTIVE"
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.status = "ERROR"


class DeleteMachine(Flow[Machine]):
    event = "toy.machine.delete"
    preempts = True

    @step(shows="deleting")
    def remove_guest(self) -> Next:
        if self.subject.host is None:
            return self.remove_disk
        return Ask(self.subject.host, Host.destroy, {"name": self.subject.id},
                   then=self.remove_elsewhere)  # fmt: skip

    @step(shows="deleting")
    def remove_elsewhere(self) -> Next:
        """A build that was pre-empted may have begun on another host before."""
        tried = [host for each in self.preempted for host in each.state.get("tried", [])]
        other = next((host for host in tried if host != self.subject.host), None)
        if other is None:
            return self.remove_disk
        return Ask(other, Host.destroy, {"name": self.subject.id}, then=self.remove_disk)

    @step(shows="deleting")
    def remove_disk(self) -> Next:
        disk = self.session.get(Disk, self.subject.disk_id or "")
        if disk is None:
            return self.forget
        return Child(DeleteDisk, disk, then=self.forget)

    @step(shows="deleting")
    def forget(self) -> Next:
        self.session.delete(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.status = "ERROR"


class DeleteDisk(Flow[Disk]):
    event = "toy.disk.delete"
    preempts = True

    @step(shows="deleting")
    def remove(self) -> Next:
        return Ask("store", Host.destroy, {"name": self.subject.id}, then=self.forget)

    @step(shows="deleting")
    def forget(self) -> Next:
        self.session.delete(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.status = "error"


FLOWS = (CreateMachine, DeleteMachine, CreateDisk, DeleteDisk)
