"""Routers find a host, and another one when theirs is not heard of any more."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.agents import AgentRecord
from onestack.core.bus import agent_address
from onestack.core.event import EventRecord
from onestack.network.drivers.simulated import SimulatedSwitch
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import ROUTER_INTERFACE, AddressRecord, PortRecord
from onestack.network.routers.placing import move_routers
from onestack.network.routers.record import RouterRecord
from onestack.network.subnets.record import SubnetRecord
from onestack.network.switch import RouterWiring, Switch
from onestack.network.wirings.flow import WireHost
from onestack.network.wirings.record import SwitchHostRecord, WiringRecord
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario

NORTH, SOUTH = "north", "south"
HOUR = dt.timedelta(hours=1)
ROUTERS = {"fine": SOUTH, "lost": NORTH, "new": "", "idle": ""}


class MoveRouters(Scenario):
    """The host in the north is silent: what it did is done in the south."""

    flows = (move_routers, WireHost)
    runs = 1
    records = (
        AddressRecord, RouterRecord, PortRecord, SubnetRecord, NetworkRecord, WiringRecord,
        SwitchHostRecord, AgentRecord,
    )  # fmt: skip

    def agents(self) -> Mapping[str, Any]:
        return {agent_address(SOUTH, "switch"): Served(SimulatedSwitch(), Switch)}

    def prepare(self, session: Session) -> None:
        now = clock.now()
        for host, seen_at in ((NORTH, now - HOUR), (SOUTH, now + HOUR)):
            session.add(
                AgentRecord(
                    id=host,
                    host=host,
                    kind="switch",
                    driver="simulated",
                    boot="1",
                    description={},
                    is_enabled=True,
                    is_forced_down=False,
                    created_at=now,
                    started_at=now,
                    changed_at=now,
                    seen_at=seen_at,
                )
            )
        common: dict[str, Any] = {"project_id": "p", "created_at": now, "updated_at": now}
        session.add(NetworkRecord(id="n", mtu=1450, network_type="local", **common))
        session.flush()
        subnet = SubnetRecord(
            id="s", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip="10.0.0.1",
            **common,
        )  # fmt: skip
        session.add(subnet)
        session.flush()
        for number, (name, host) in enumerate(ROUTERS.items()):
            session.add(RouterRecord(id=name, host=host, **common))
            if name != "idle":
                self._leg(session, name, number, common)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        hosts = session.execute(select(RouterRecord.id, RouterRecord.host))
        wanted = dict.fromkeys(ROUTERS, SOUTH) | {"idle": ""}
        assert {row.id: row.host for row in hosts} == wanted
        ports = session.execute(select(PortRecord.device_id, PortRecord.host, PortRecord.status))
        found = {row.device_id: (row.host, row.status) for row in ports}
        assert found == {name: (SOUTH, "ACTIVE") for name in ROUTERS if name != "idle"}
        (south,) = agents.values()
        wired = {
            key[1]: [leg.port_id for leg in each.interfaces]
            for key, each in south.driver.wirings.items()
            if isinstance(each, RouterWiring)
        }
        assert wired == {name: [f"port-{name}"] for name in ROUTERS if name != "idle"}
        moved = select(EventRecord.resource).where(EventRecord.name == "router.move")
        assert sorted(session.scalars(moved)) == ["lost", "new"]

    def _leg(self, session: Session, name: str, number: int, common: dict[str, Any]) -> None:
        session.add(
            PortRecord(
                id=f"port-{name}",
                network_id="n",
                mac_address=f"fa:16:3e:00:00:0{number}",
                device_owner=ROUTER_INTERFACE,
                device_id=name,
                host=ROUTERS[name],
                **common,
            )
        )
        session.flush()
        address = f"10.0.0.{number + 1}"
        session.add(
            AddressRecord(subnet_id="s", ip_address=address, port_id=f"port-{name}", network_id="n")
        )
