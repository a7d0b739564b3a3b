"""What servers need of the network service: ports, on the right host, and what is known of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from onestack import network
from onestack.compute import rules
from onestack.compute.servers.record import InterfaceRecord, ServerRecord, interfaces_of
from onestack.compute.servers.wanted import WantedNic
from onestack.core import flow_record
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.listed import among
from onestack.network import Requested

AUTO, NONE = "auto", "none"


class NoNetwork(BadRequest):
    message = "Unable to automatically allocate a network for project {project_id}"


class NicOfServer(msgspec.Struct, frozen=True, kw_only=True):
    """A port of a server, as far as servers are concerned."""

    port_id: str
    device: str
    mac: str
    mtu: int
    network_id: str
    network_name: str
    addresses: list[Any]  # as the network service has them
    security_groups: list[str]
    host: str
    status: str
    is_wired: bool
    tag: str | None

    @property
    def fixed_ips(self) -> list[str]:
        return [each.address for each in self.addresses]

    @property
    def floating_ips(self) -> list[str]:
        return [floating for each in self.addresses for floating in each.floating]


Nics = Mapping[str, Sequence[NicOfServer]]

_CARDS_OF = (
    select(InterfaceRecord.server_id, InterfaceRecord.port_id, InterfaceRecord.tag)
    .where(among(InterfaceRecord.server_id, "servers"))
    .order_by(InterfaceRecord.server_id, InterfaceRecord.position)
)


def planned(ctx: Context, asked: list[WantedNic] | str | None, count: int) -> list[Requested]:
    """The ports that each of so many servers shall have, refused if they cannot."""
    if asked == NONE:
        return []
    wanted = None
    if isinstance(asked, list) and asked:
        wanted = [
            Requested(network_id=each.uuid, port_id=each.port, address=each.fixed_ip, tag=each.tag)
            for each in asked
        ]
        _check(wanted, count)
    project_id = str(ctx.caller.project_id)
    try:
        found = network.plan(
            ctx.session, project_id, wanted, is_admin=rules.is_admin(ctx),
            goes_outside=rules.is_allowed_own(ctx, rules.ATTACH_EXTERNAL), makes=asked == AUTO,
        )  # fmt: skip
    except NotFound as error:
        raise BadRequest(error.text) from None
    if asked == AUTO and not found:
        raise NoNetwork(project_id=project_id)
    return found


def claim(
    session: Session, server: ServerRecord, wanted: Sequence[Requested],
    groups: Sequence[str] | None,
) -> list[str]:  # fmt: skip
    """Make ports a server's, behind those that it has; their ids."""
    present = {row.port_id: row for row in interfaces_of(session, server.id)}
    # What is there is claimed again, so that another port on the same network is another one.
    kept = _made_for(session, server) if present else []
    ids = network.claim(
        session, server.id, server.project_id, [*kept, *wanted], groups=groups or None,
        hostname=server.hostname,
    )[len(kept) :]  # fmt: skip
    position = max((row.position for row in present.values()), default=-1)
    for port_id, each in zip(ids, wanted, strict=True):
        if port_id not in present:
            position += 1
            session.add(
                InterfaceRecord(
                    port_id=port_id, server_id=server.id, position=position, tag=each.tag
                )
            )
    session.flush()
    return ids


def bind(session: Session, server: ServerRecord) -> bool:
    """Put a server's ports on the host that it is on; whether there are any."""
    ids = _ports_of(session, server)
    if ids:
        network.bind(session, ids, server.host or "")
    return bool(ids)


def unbind(session: Session, server: ServerRecord) -> None:
    """Take a server's ports off their host."""
    ids = _ports_of(session, server)
    if ids:
        network.bind(session, ids, "")


def are_wired(session: Session, server: ServerRecord) -> bool:
    """Whether all of a server's ports are wired on its host."""
    nics = nics_of(session, [server.id]).get(server.id, ())
    return all(each.is_wired and each.host == server.host for each in nics)


def bind_ahead(session: Session, server: ServerRecord, host: str) -> bool:
    """Wire a server's ports on the host that it is about to move to, too; whether there are any."""
    ids = _ports_of(session, server)
    if ids:
        network.bind(session, ids, host, ahead=True)
    return bool(ids)


def are_wired_ahead(session: Session, server: ServerRecord) -> bool:
    """Whether all of a server's ports are wired on the host that it is about to move to."""
    nics = network.nics(session, [server.id]).get(server.id, [])
    return all(each.is_wired_ahead for each in nics)


def release(session: Session, server: ServerRecord, port_ids: Sequence[str] | None = None) -> None:
    """Let go of a server's ports, or of some; those that were made for it are gone then."""
    present = _ports_of(session, server)
    wanted = present if port_ids is None else [each for each in present if each in port_ids]
    if not wanted:
        return
    network.release(session, server.id, wanted)
    session.execute(delete(InterfaceRecord).where(InterfaceRecord.port_id.in_(wanted)))


def nics_of(session: Session, server_ids: Iterable[str]) -> Nics:
    """Servers' network cards in the servers' own order, by the servers' ids."""
    rows = session.execute(_CARDS_OF, {"servers": list(server_ids)}).all()
    if not rows:
        return {}
    known = network.nics(session, {row.server_id for row in rows})
    by_port = {nic.id: nic for several in known.values() for nic in several}
    found: dict[str, list[NicOfServer]] = {}
    for row in rows:
        nic = by_port.get(row.port_id)
        if nic is not None:
            found.setdefault(row.server_id, []).append(_nic(nic, row.tag))
    return found


def wired(session: Session, device_ids: Iterable[str]) -> None:
    """Ports of these servers have just been wired: whoever waits for that looks again."""
    ids = list(device_ids)
    for server in session.scalars(select(ServerRecord).where(ServerRecord.id.in_(ids))):
        flow_record.wake(session, server)
    waiting = select(InterfaceRecord).where(InterfaceRecord.server_id.in_(ids))
    for interface in session.scalars(waiting):
        flow_record.wake(session, interface)


def _check(wanted: Sequence[Requested], count: int) -> None:
    for each in wanted:
        if each.network_id is None and each.port_id is None:
            raise BadRequest("Bad network format: missing 'uuid'")
        if each.port_id is not None and each.address is not None:
            raise BadRequest(
                f"Specified Fixed IP '{each.address}' cannot be used with port "
                f"'{each.port_id}': the two cannot be specified together."
            )
        if count > 1 and (each.port_id is not None or each.address is not None):
            raise BadRequest(
                "Unable to launch multiple instances with a single configured port ID or fixed "
                "address. Please launch your instance one by one with different ports."
            )


def _made_for(session: Session, server: ServerRecord) -> list[Requested]:
    """The ports that were made for a server, as they were wanted."""
    nics = network.nics(session, [server.id]).get(server.id, [])
    return [Requested(network_id=each.network_id) for each in nics if each.is_made_for_device]


def _nic(nic: network.Nic, tag: str | None) -> NicOfServer:
    return NicOfServer(
        port_id=nic.id, device=nic.device, mac=nic.mac, mtu=nic.mtu, network_id=nic.network_id,
        network_name=nic.network_name, addresses=nic.addresses,
        security_groups=nic.security_groups, host=nic.host, status=nic.status,
        is_wired=nic.is_wired, tag=tag,
    )  # fmt: skip


def _ports_of(session: Session, server: ServerRecord) -> list[str]:
    return [row.port_id for row in interfaces_of(session, server.id)]
