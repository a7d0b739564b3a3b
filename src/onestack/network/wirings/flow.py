"""The flow that gives a host what it must have of networks."""

from collections.abc import Callable, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.bus import agent_address
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.network.floating_ips.status import note_wired
from onestack.network.ports.record import (
    DHCP,
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    PortRecord,
)
from onestack.network.switch import Applied, Item, Switch, Trouble
from onestack.network.wirings import compose, placed
from onestack.network.wirings.record import DhcpServerRecord, SwitchHostRecord

ITEMS_AT_ONCE = 200

Listener = Callable[[Session, set[str]], None]
_listeners: list[Listener] = []


def on_wired(listener: Listener) -> Listener:
    """Have a function called with the devices some port of which has just been wired.

    It runs in the transaction that says so; each function is registered once.
    """
    if listener not in _listeners:
        _listeners.append(listener)
    return listener


class WireHost(Flow[SwitchHostRecord]):
    """Bring a host to what the rows say; it ends when there is nothing left to do."""

    deadline_s = None

    sent: list[Item] = []

    @step()
    def compare(self) -> Next:
        """Write down what the host must have, and send what it has not."""
        host = self.subject.host
        placed.settle(self.session, host)
        rows = placed.pending(self.session, host, ITEMS_AT_ONCE)
        if not rows:
            return None
        changes = compose.changes(self.session, host, rows)
        self.sent = compose.items(changes)
        return Ask(
            agent_address(host, "switch"), Switch.apply, {"changes": changes},
            then=self.note, otherwise=self.leave,
        )  # fmt: skip

    @step()
    def note(self, answer: Applied) -> Next:
        """Write down what the host has by now, and look again."""
        troubles = {(each.item.kind, each.item.id): each.text for each in answer.troubles}
        done = {(each.kind, each.id) for each in answer.done}
        for item in self.sent:
            if (item.kind, item.id) not in done:
                troubles.setdefault((item.kind, item.id), "The switch said nothing of it.")
        applied = [each for each in self.sent if (each.kind, each.id) not in troubles]
        placed.note_applied(self.session, self.subject.host, applied)
        _activate(self.session, self.subject.host, applied)
        failed = [Trouble(each, troubles[each.kind, each.id]) for each in self.sent
                  if (each.kind, each.id) in troubles]  # fmt: skip
        placed.note_troubles(self.session, self.subject.host, failed)
        _deactivate(self.session, failed)
        return self.compare

    @step()
    def leave(self, failure: Failure) -> Next:
        """The host does not answer: it is rung again when it is heard of."""
        return None


def _activate(session: Session, host: str, applied: Iterable[Item]) -> None:
    """Let ports be ACTIVE that are wired, where they are bound, and up."""
    ids: dict[str, list[str]] = {"port": [], "network": [], "router": [], "group": []}
    for each in applied:
        if each.revision:
            ids[each.kind].append(each.id)
    note_wired(session, ids["router"])
    served = select(DhcpServerRecord.port_id).where(
        DhcpServerRecord.host == host, DhcpServerRecord.network_id.in_(ids["network"])
    )
    conditions = [
        PortRecord.id.in_(ids["port"])
        & ((PortRecord.host == host) | (PortRecord.next_host == host)),
        PortRecord.id.in_(served) & (PortRecord.device_owner == DHCP),
        PortRecord.device_id.in_(ids["router"])
        & PortRecord.device_owner.in_((ROUTER_INTERFACE, ROUTER_GATEWAY)),
    ]
    wanted = [
        condition
        for condition, given in zip(conditions, (ids["port"], ids["network"], ids["router"]),
                                    strict=True) if given]  # fmt: skip
    devices: set[str] = set()
    for condition in wanted:
        rows = session.scalars(
            select(PortRecord).where(condition).with_for_update(skip_locked=True)
        ).all()
        for port in rows:
            if port.device_id:
                devices.add(port.device_id)
            if host not in (port.next_host, ""):  # it is here, and not only about to come
                _show(session, port, "ACTIVE" if port.admin_state_up else "DOWN")
    if devices:
        for listener in _listeners:
            listener(session, devices)


def _deactivate(session: Session, failed: Iterable[Trouble]) -> None:
    ids = [each.item.id for each in failed if each.item.kind == "port" and each.item.revision]
    if not ids:
        return
    rows = select(PortRecord).where(PortRecord.id.in_(ids)).with_for_update(skip_locked=True)
    for port in session.scalars(rows).all():
        _show(session, port, "DOWN")


def _show(session: Session, port: PortRecord, status: str) -> None:
    if port.status == status:
        return
    port.status, port.updated_at = status, clock.now()
    port.revision_number += 1
    payload = {"id": port.id, "status": status, "device_id": port.device_id, "host": port.host}
    event.emit(session, "network.port.status", payload, port.project_id, port.id)
