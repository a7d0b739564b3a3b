"""What a host has is compared with what it should have: after its agent came back, and at times.

Guests that should run are started again; what a tenant shut down from within is SHUTOFF; guests of
this cloud that no server knows any more are destroyed.
"""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.nodes import ComputeNodeRecord
from onestack.compute.servers import faults, moving
from onestack.compute.servers.record import ServerRecord, touch
from onestack.compute.servers.states import POWER_STATES, show_power
from onestack.core import agents, event
from onestack.core.bus import agent_address
from onestack.core.flow import Ask, Child, Failure, Flow, FlowBusy, Next, periodic, step

EVERY_S = 300.0
DESTROY_S = 120.0
SYNCED = ("active", "stopped", "paused", "suspended")
DOWN = ("shutdown", "crashed", "none")


class Reconcile(Flow[ComputeNodeRecord]):
    """Bring a host and the rows together, one guest after the other."""

    deadline_s = 3600.0
    tries_max = 4

    is_back: bool = False  # the host may have crashed: guests that should run are started
    strangers: list[str] = []

    @step()
    def ask(self) -> Next:
        return Ask(self._agent(), Hypervisor.guests, {}, then=self.compare, otherwise=self.leave)

    @step()
    def compare(self, guests: list[Guest]) -> Next:
        here = {guest.id: guest for guest in guests}
        for server in _servers_on(self.session, self.subject.host):
            if server.task_state is None:
                self._settle(server, here.get(server.id))
        self.strangers = _strangers(self.session, self.subject.host, list(here))
        return self.clear

    @step()
    def clear(self) -> Next:
        """One stranger after the other goes, if it still is one."""
        self.strangers = _strangers(self.session, self.subject.host, self.strangers)
        if not self.strangers:
            return None
        return Ask(
            self._agent(), Hypervisor.destroy, {"guest_id": self.strangers[0]},
            then=self.cleared, otherwise=self.cleared, timeout_s=DESTROY_S,
        )  # fmt: skip

    @step()
    def cleared(self) -> Next:
        self.strangers = self.strangers[1:]
        return self.clear if self.strangers else None

    @step()
    def leave(self, failure: Failure) -> Next:
        """A host that does not answer is looked at when it is back."""
        return None

    def _agent(self) -> str:
        return agent_address(self.subject.host, "hypervisor")

    def _settle(self, server: ServerRecord, guest: Guest | None) -> None:
        """Let one server and its guest agree."""
        power = guest.power if guest is not None else "none"
        if server.vm_state == "active" and power in DOWN:
            if self.is_back or guest is None:
                with suppress(FlowBusy):  # somebody is at it already
                    Revive.start(self.session, server)
                return
            server.vm_state = "stopped"
            _tell(self.session, server, "compute.instance.power_off.end")
        is_other = guest is not None and server.power_state != POWER_STATES[power]
        if is_other and server.vm_state in SYNCED:
            show_power(server, power)
            touch(server)


class Revive(Flow[ServerRecord]):
    """A server whose host was down runs again, with its ports and volumes."""

    event = "compute.instance.revive"
    deadline_s = 3600.0

    @step(shows="powering-on")
    def arrive(self) -> Next:
        return Child(moving.Arrive, self.subject, state={"how": "start"}, then=self.finish)

    @step(shows="powering-on")
    def finish(self) -> Next:
        touch(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        faults.fail(self.subject, failure)


@periodic(every_s=EVERY_S)
def compare_hosts(session: Session) -> None:
    """Look at every host that has servers, and answers."""
    with_servers = set(session.scalars(select(ServerRecord.host).distinct()))
    for agent in agents.of_kind(session, "hypervisor"):
        if agent.host in with_servers and agent.is_alive:
            begin(session, agent.host)


def begin(session: Session, host: str, *, is_back: bool = False) -> None:
    """Start to compare a host with the rows, unless somebody does."""
    node = session.scalar(select(ComputeNodeRecord).where(ComputeNodeRecord.host == host))
    if node is not None:
        with suppress(FlowBusy):
            Reconcile.start(session, node, is_back=is_back)


def _servers_on(session: Session, host: str) -> Sequence[ServerRecord]:
    return session.scalars(
        select(ServerRecord).where(ServerRecord.host == host).order_by(ServerRecord.id)
    ).all()


def _strangers(session: Session, host: str, guests: list[str]) -> list[str]:
    """The guests of this cloud that are of no server here, nor of one that is on its way."""
    known = {
        server.id: server
        for server in session.scalars(select(ServerRecord).where(ServerRecord.id.in_(guests)))
    }
    return [each for each in guests if not _belongs(session, known.get(each), host)]


def _belongs(session: Session, server: ServerRecord | None, host: str) -> bool:
    if server is None:
        return False
    is_moving = server.task_state is not None or server.vm_state == "resized"
    return server.host == host or is_moving or host in moving.hosts_of(session, server)


def _tell(session: Session, server: ServerRecord, name: str) -> None:
    payload = {"instance_id": server.id, "host": server.host, "state": server.vm_state}
    event.emit(session, name, payload, server.project_id, f"servers/{server.id}")
