"""Hosts get exactly the networks that the rows say, whatever happens while they are wired."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.agents import AgentRecord
from onestack.core.bus import agent_address
from onestack.network.drivers.simulated import SimulatedSwitch
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.bind import bind
from onestack.network.ports.record import DHCP, AddressRecord, PortRecord
from onestack.network.ports.remove import remove
from onestack.network.security_groups.record import (
    PortSecurityGroupRecord,
    SecurityGroupRecord,
    SecurityGroupRuleRecord,
)
from onestack.network.subnets.record import SubnetRecord
from onestack.network.switch import NetworkWiring, Switch
from onestack.network.wirings import placed
from onestack.network.wirings.flow import WireHost
from onestack.network.wirings.record import DhcpServerRecord, SwitchHostRecord, WiringRecord
from onestack.network.wirings.watch import watch_networks
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario

NORTH, SOUTH = "north", "south"
FAR = dt.timedelta(days=1)  # an agent that was heard of then is alive through a whole scenario


class Wired(Scenario):
    """What the scenarios of wiring share: two hosts, a network with a subnet, and a port."""

    flows = (WireHost,)
    records = (
        DhcpServerRecord, WiringRecord, SwitchHostRecord, AddressRecord, PortSecurityGroupRecord,
        PortRecord, SubnetRecord, NetworkRecord, SecurityGroupRuleRecord, SecurityGroupRecord,
        AgentRecord,
    )  # fmt: skip

    def agents(self) -> Mapping[str, Any]:
        return {
            agent_address(host, "switch"): Served(SimulatedSwitch(), Switch)
            for host in (NORTH, SOUTH)
        }

    def prepare(self, session: Session) -> None:
        for host in (NORTH, SOUTH):
            session.add(agent(host, clock.now() + FAR))
        session.add(thing(NetworkRecord, "n", mtu=1450, network_type="local"))
        session.flush()
        session.add(
            thing(SubnetRecord, "s", network_id="n", ip_version=4, cidr="10.0.0.0/24",
                  allocation_pools=[{"start": "10.0.0.2", "end": "10.0.0.254"}])
        )  # fmt: skip
        session.add(thing(PortRecord, "p", network_id="n", mac_address="fa:16:3e:00:00:01",
                          device_id="server"))  # fmt: skip
        session.add(thing(SecurityGroupRecord, "g", default_of="project"))
        session.flush()
        session.add(AddressRecord(subnet_id="s", ip_address="10.0.0.9", port_id="p",
                                  network_id="n"))  # fmt: skip
        session.add(PortSecurityGroupRecord(port_id="p", security_group_id="g"))

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        for host in (NORTH, SOUTH):
            has = {
                (kind, name) for kind, name in agents[agent_address(host, "switch")].driver.wirings
            }
            assert has == placed.wanted_on(session, host), host
        left = session.scalars(select(WiringRecord).where(WiringRecord.is_pending)).all()
        assert left == []
        port = session.get(PortRecord, "p")
        if port is not None:
            assert port.status == ("ACTIVE" if port.host else "DOWN")
        for server in session.scalars(select(DhcpServerRecord)):
            wiring = network_on(agents, server.host)
            assert wiring.dhcp is not None
            assert wiring.dhcp.port_id == server.port_id
            expected = [] if port is None or not port.host else ["p"]
            assert [each.port_id for each in wiring.dhcp.leases] == expected


class Bind(Wired):
    """A port is put on a host."""

    def begin(self, session: Session) -> None:
        if session.get_one(PortRecord, "p").host != NORTH:
            bind(session, ["p"], NORTH)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        if not was_interrupted:
            assert session.get_one(PortRecord, "p").status == "ACTIVE"


class BindThenMove(Bind):
    """A port is put on one host, and then on another one."""

    can_be_interrupted = True

    def begin(self, session: Session) -> None:
        if not session.get_one(PortRecord, "p").host:
            bind(session, ["p"], NORTH)

    def interrupt(self, session: Session) -> None:
        bind(session, ["p"], SOUTH)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        if was_interrupted:
            assert session.get_one(PortRecord, "p").host == SOUTH


class BindThenRemove(Bind):
    """A port is put on a host, and deleted."""

    can_be_interrupted = True

    def begin(self, session: Session) -> None:
        port = session.get(PortRecord, "p")
        if port is not None and not port.host:
            bind(session, ["p"], NORTH)

    def interrupt(self, session: Session) -> None:
        port = session.get(PortRecord, "p")
        if port is not None:
            remove(session, [port])

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        assert (session.get(PortRecord, "p") is None) is was_interrupted


class Watch(Wired):
    """A host is dead for good: another one takes its DHCP server over, address and all."""

    flows = (WireHost, watch_networks)
    runs = 2

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        (north,) = session.scalars(select(AgentRecord).where(AgentRecord.host == NORTH))
        north.seen_at = clock.now() - FAR
        session.add(thing(PortRecord, "d", network_id="n", mac_address="fa:16:3e:00:00:02",
                          device_owner=DHCP, device_id="dhcp", host=NORTH))  # fmt: skip
        session.flush()
        session.add(AddressRecord(subnet_id="s", ip_address="10.0.0.2", port_id="d",
                                  network_id="n"))  # fmt: skip
        session.add(DhcpServerRecord(network_id="n", host=NORTH, port_id="d"))
        session.get_one(PortRecord, "p").host = SOUTH

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        (server,) = session.scalars(select(DhcpServerRecord))
        assert (server.host, server.port_id) == (SOUTH, "d")
        assert session.get_one(PortRecord, "d").status == "ACTIVE"
        super().check(session, agents, was_interrupted=was_interrupted)


def agent(host: str, seen_at: dt.datetime) -> AgentRecord:
    now = clock.now()
    return AgentRecord(
        id=host, host=host, kind="switch", driver="simulated", boot="b",
        description={"tunnel_address": f"192.0.2.{len(host)}", "is_gateway": True},
        created_at=now, started_at=now, changed_at=now, seen_at=seen_at,
    )  # fmt: skip


def thing(record: Any, name: str, **more: Any) -> Any:
    """A network, a port or the like."""
    now = clock.now()
    return record(id=name, project_id="project", name=name, created_at=now, updated_at=now, **more)


def network_on(agents: Mapping[str, Any], host: str) -> NetworkWiring:
    found = agents[agent_address(host, "switch")].driver.wirings["network", "n"]
    assert isinstance(found, NetworkWiring)
    return found


SCENARIOS = [Bind(), BindThenMove(), BindThenRemove(), Watch()]
