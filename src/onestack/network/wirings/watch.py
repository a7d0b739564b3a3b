"""The watch over hosts: what was missed is found, and what was on a dead host moves."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from onestack.core import agents
from onestack.core.agents import AgentRecord
from onestack.core.flow import periodic
from onestack.network import dhcp
from onestack.network.ports.record import PortRecord
from onestack.network.subnets.record import SubnetRecord
from onestack.network.wirings import change
from onestack.network.wirings.record import DhcpServerRecord, SwitchHostRecord, WiringRecord

EVERY_S = 15.0
NETWORKS_AT_ONCE = 100


@periodic(every_s=EVERY_S)
def watch_networks(session: Session) -> None:
    """Ring hosts that have not all that they must, try again what failed, and move DHCP servers
    off hosts that are dead for good."""
    hosts = {each.host: each for each in agents.of_kind(session, "switch")}
    living = {host for host, each in hosts.items() if each.is_alive}
    again = (
        update(WiringRecord)
        .where(WiringRecord.trouble.is_not(None), WiringRecord.host.in_(living))
        .values(is_pending=True)
    )
    session.execute(again)
    behind = select(WiringRecord.host).distinct().where(WiringRecord.is_pending)
    change.ring(session, set(session.scalars(behind)) & living)
    dead = select(DhcpServerRecord).where(DhcpServerRecord.host.in_(hosts.keys() - living))
    for server in session.scalars(dead).all():
        dhcp.move(session, server)
    for network_id, host in _unserved(session):
        dhcp.ensure(session, network_id, host)


def begin_anew(session: Session, agent: AgentRecord) -> None:
    """A host's switch was restarted, or is new: it is told everything again; and the other hosts
    of its networks, where its tunnels end now."""
    address = str(agent.description.get("tunnel_address") or "")
    known = session.get(SwitchHostRecord, agent.host)
    if known is None:
        session.add(SwitchHostRecord(host=agent.host, tunnel_address=address))
    elif known.tunnel_address != address:
        known.tunnel_address = address
        own = select(WiringRecord.item_id).where(
            WiringRecord.host == agent.host, WiringRecord.kind == "network"
        )
        change.touch(session, "network", session.scalars(own).all(), but=agent.host)
    session.flush()
    session.execute(
        update(WiringRecord)
        .where(WiringRecord.host == agent.host)
        .values(applied=0, is_pending=True, trouble=None)
    )
    change.ring(session, [agent.host])


def _unserved(session: Session) -> list[tuple[str, str]]:
    """Networks that are in use and have no DHCP server, each with a host that has a port of it."""
    served = select(DhcpServerRecord.network_id)
    wanting = select(SubnetRecord.network_id).where(SubnetRecord.enable_dhcp)
    found = (
        select(PortRecord.network_id, PortRecord.host)
        .distinct()
        .where(
            PortRecord.host != "", PortRecord.device_owner.not_like("network:%"),
            PortRecord.network_id.not_in(served), PortRecord.network_id.in_(wanting),
        )
        .limit(NETWORKS_AT_ONCE)
    )  # fmt: skip
    return [(row.network_id, row.host) for row in session.execute(found).all()]
