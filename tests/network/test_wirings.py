"""Ports that are bound are wired, DHCP servers come and go, and hosts hear of every change."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from onestack.core import agents, clock
from onestack.core.agent import Agent, Post
from onestack.core.agents import AgentRecord
from onestack.core.bus import Bus
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.event import EventRecord
from onestack.core.flow_record import FlowRecord
from onestack.network.drivers.simulated import SimulatedSwitch
from onestack.network.switch import (
    Applied,
    Changes,
    GroupWiring,
    Item,
    NetworkWiring,
    PortWiring,
    Switch,
    SwitchDescription,
    Trouble,
)
from onestack.network.wirings import change
from onestack.network.wirings.record import SwitchHostRecord, WiringRecord
from onestack.network.wirings.watch import watch_networks
from tests.cloud import Local
from tests.conftest import Clouds
from tests.network import actors
from tests.servers.databases import PostgresDatabases

HOSTS = ("east", "west")


class Moody(SimulatedSwitch):
    """A switch that refuses some items, as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.asked = 0
        self.address = "127.0.0.1"

    def describe(self) -> SwitchDescription:
        return msgspec.structs.replace(super().describe(), tunnel_address=self.address)

    def apply(self, changes: Changes) -> Applied:
        self.asked += 1
        bad = [each for each in changes.ports if each.id in self.refused]
        good = [each for each in changes.ports if each.id not in self.refused]
        answer = super().apply(msgspec.structs.replace(changes, ports=good))
        troubles = [Trouble(Item("port", e.id, e.revision), "no room for a tap") for e in bad]
        return Applied(answer.done, troubles)


class Place:
    """A cloud of two hosts, each with a switch of its own."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.switches = {host: Moody() for host in HOSTS}
        bus = local.cloud.get(Bus)
        bus.serve(agents.ROSTER_ADDRESS, local.cloud.get(agents.Registry), agents.Roster)
        self.start()
        self.admin = actors.admin(local)
        self.owner = actors.newcomer(local, "wiring-owner")
        self.network = self.owner.make("network")
        given = {"network_id": self.network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
        self.subnet = self.owner.make("subnet", **given)

    def start(self) -> None:
        """Every agent starts, and says that it is there."""
        for host, switch in self.switches.items():
            agent = Agent(self.local.cloud.get(Bus), [Post("switch", switch, Switch, [host])])
            agent.serve()
            agent.report()

    def settle(self) -> None:
        self.local.cloud.get(Engine).run_until_idle()

    def bound(self, host: str, **more: Any) -> Any:
        """A new port on a host, wired."""
        port = self.owner.make("port", network_id=self.network["id"], **more)
        self.bind(port, host)
        return self.owner.show("port", port)

    def bind(self, port: Any, host: str) -> None:
        self.admin.change("port", port, **{"binding:host_id": host})
        self.settle()

    def wiring(self, host: str, kind: Any, thing: Any) -> Any:
        return self.switches[host].wirings.get((kind, thing["id"]))

    def dhcp(self) -> Any:
        query = f"device_owner=network:dhcp&network_id={self.network['id']}"
        (found,) = self.admin.get(f"/ports?{query}")["ports"]
        return found


@pytest.fixture
def place(another: Clouds) -> Place:
    return Place(another())


def test_a_bound_port_is_wired_and_becomes_active(place: Place) -> None:
    port = place.bound("east")
    assert port["status"] == "ACTIVE"
    wiring = place.wiring("east", "port", port)
    assert isinstance(wiring, PortWiring)
    assert wiring.device == f"tap{port['id'][:11]}"
    assert (wiring.mac, wiring.addresses) == (
        port["mac_address"], [port["fixed_ips"][0]["ip_address"]])  # fmt: skip
    assert wiring.groups == port["security_groups"]
    network = place.wiring("east", "network", place.network)
    assert isinstance(network, NetworkWiring)
    assert (network.mtu, network.segment.kind) == (1450, "vxlan")
    (group_id,) = port["security_groups"]
    group = place.switches["east"].wirings["group", group_id]
    assert isinstance(group, GroupWiring)
    assert group.members == wiring.addresses
    assert place.switches["west"].wirings == {}


def test_the_first_bound_port_brings_a_dhcp_server_there(place: Place) -> None:
    port = place.bound("west", dns_name="named", extra_dhcp_opts=[
        {"opt_name": "tftp-server", "opt_value": "1.2.3.4"}])  # fmt: skip
    server = place.dhcp()
    assert (server["binding:host_id"], server["status"]) == ("west", "ACTIVE")
    dhcp = place.wiring("west", "network", place.network).dhcp
    assert dhcp.addresses == [f"{server['fixed_ips'][0]['ip_address']}/24"]
    (lease,) = dhcp.leases
    assert (lease.port_id, lease.hostname, lease.mac) == (
        port["id"], "named", port["mac_address"])  # fmt: skip
    assert [(each.name, each.value) for each in lease.options] == [("tftp-server", "1.2.3.4")]
    place.bound("east")
    assert len(place.wiring("west", "network", place.network).dhcp.leases) == 2
    assert place.wiring("east", "network", place.network).dhcp is None


def test_hosts_of_a_network_know_each_other(another: Clouds) -> None:
    place = Place(another())
    place.switches["west"].address = "192.0.2.2"
    place.start()
    east = place.bound("east")
    assert place.wiring("east", "network", place.network).peers == []
    west = place.bound("west")
    assert place.wiring("east", "network", place.network).peers == ["192.0.2.2"]
    assert place.wiring("west", "network", place.network).peers == ["127.0.0.1"]
    place.switches["west"].address = "192.0.2.3"
    place.start()
    place.settle()
    assert place.wiring("east", "network", place.network).peers == ["192.0.2.3"]
    place.bind(west, "")
    assert place.wiring("east", "network", place.network).peers == []
    assert place.wiring("west", "network", place.network) is None
    assert place.wiring("east", "port", east) is not None


def test_what_changes_is_told_to_the_hosts_that_have_it(place: Place) -> None:
    port = place.bound("east")
    other = place.bound("west")
    group = place.owner.make("security_group", name="g")
    changed = {"fixed_ips": [{"ip_address": "10.0.0.200"}], "security_groups": [group["id"]],
               "allowed_address_pairs": [{"ip_address": "10.9.0.0/24"}]}  # fmt: skip
    place.owner.change("port", port, **changed)
    place.settle()
    wiring = place.wiring("east", "port", port)
    assert (wiring.addresses, wiring.groups) == (["10.0.0.200"], [group["id"]])
    assert [each.address for each in wiring.pairs] == ["10.9.0.0/24"]
    lease = {e.port_id: e.addresses for e in
             place.wiring("east", "network", place.network).dhcp.leases}  # fmt: skip
    assert lease[port["id"]] == ["10.0.0.200"]
    default = place.switches["west"].wirings["group", other["security_groups"][0]]
    assert isinstance(default, GroupWiring)
    assert default.members == [other["fixed_ips"][0]["ip_address"]]
    place.owner.change("subnet", place.subnet, dns_nameservers=["9.9.9.9"])
    place.settle()
    subnet = place.wiring("east", "network", place.network).subnets[0]
    assert subnet.nameservers == ["9.9.9.9"]
    place.owner.change("port", port, admin_state_up=False)
    place.settle()
    assert place.wiring("east", "port", port).is_up is False
    assert place.owner.show("port", port)["status"] == "DOWN"
    place.owner.change("network", place.network, admin_state_up=False)
    place.settle()
    assert place.wiring("west", "port", other).is_up is False


def test_a_deleted_port_is_gone_from_its_host_with_all_that_only_it_needed(place: Place) -> None:
    port = place.bound("east")
    place.owner.drop("port", port)
    place.settle()
    left = set(place.switches["east"].wirings)
    assert left == {("network", place.network["id"])}  # for its DHCP server
    place.owner.drop("network", place.network)
    place.settle()
    assert place.switches["east"].wirings == {}
    with place.local.cloud.get(Database).transaction(write=False) as session:
        assert session.scalars(select(WiringRecord)).all() == []


def test_subnets_that_come_and_go_change_the_dhcp_server(place: Place) -> None:
    place.bound("east")
    given = {"network_id": place.network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    second = place.owner.make("subnet", **given)
    place.settle()
    assert len(place.dhcp()["fixed_ips"]) == 2
    assert len(place.wiring("east", "network", place.network).dhcp.addresses) == 2
    place.owner.drop("subnet", second)
    place.settle()
    assert len(place.dhcp()["fixed_ips"]) == 1
    place.owner.change("subnet", place.subnet, enable_dhcp=False)
    place.settle()
    assert place.admin.ids("port", "device_owner=network:dhcp") == []
    assert place.wiring("east", "network", place.network).dhcp is None
    place.owner.change("subnet", place.subnet, enable_dhcp=True)
    place.settle()
    assert place.wiring("east", "network", place.network).dhcp is not None


def test_a_switch_that_starts_again_is_told_everything(place: Place) -> None:
    port = place.bound("east")
    before = dict(place.switches["east"].wirings)
    place.switches["east"].wirings.clear()
    place.start()
    place.settle()
    assert place.switches["east"].wirings.keys() == before.keys()
    assert place.owner.show("port", port)["status"] == "ACTIVE"
    asked = place.switches["east"].asked
    place.settle()
    assert place.switches["east"].asked == asked


def test_what_could_not_be_wired_is_reported_and_tried_again(place: Place) -> None:
    port = place.owner.make("port", network_id=place.network["id"])
    place.switches["east"].refused = {port["id"]}
    place.bind(port, "east")
    assert place.owner.show("port", port)["status"] == "DOWN"
    other = place.bound("east")
    assert other["status"] == "ACTIVE"
    with place.local.cloud.get(Database).transaction(write=False) as session:
        found = select(WiringRecord.trouble).where(WiringRecord.item_id == port["id"])
        assert session.scalar(found) == "no room for a tap"
    watch(place)
    with place.local.cloud.get(Database).transaction(write=False) as session:
        heard = select(EventRecord).where(EventRecord.name == "network.wiring.trouble")
        assert len(session.scalars(heard).all()) == 1  # the same trouble is no news
    place.switches["east"].refused = set()
    watch(place)
    assert place.owner.show("port", port)["status"] == "ACTIVE"


def test_another_host_takes_over_when_one_is_dead_for_good(place: Place) -> None:
    place.bound("west")
    before = place.bound("east")
    server = place.dhcp()
    assert server["binding:host_id"] == "west"
    with place.local.cloud.get(Database).transaction() as session:
        silent = clock.now().replace(year=2000)
        session.execute(
            update(AgentRecord).where(AgentRecord.host == "west").values(seen_at=silent)
        )
    watch(place)
    after = place.dhcp()
    assert after["binding:host_id"] == "east"
    assert after["fixed_ips"] == server["fixed_ips"]
    assert after["status"] == "ACTIVE"
    dhcp = place.wiring("east", "network", place.network).dhcp
    assert before["id"] in {each.port_id for each in dhcp.leases}


def test_agents_are_shown_and_hand_dhcp_over(place: Place) -> None:
    place.bound("east")
    at = {each["host"]: each for each in place.admin.get("/agents")["agents"]}
    assert set(at) == set(HOSTS)
    assert at["east"]["alive"] is True
    assert place.admin.get("/agents?host=east")["agents"] == [at["east"]]
    assert place.admin.get("/agents?alive=false")["agents"] == []
    path = f"/networks/{place.network['id']}/dhcp-agents"
    assert [each["host"] for each in place.admin.get(path)["agents"]] == ["east"]
    listed = f"/agents/{at['east']['id']}/dhcp-networks"
    assert [e["id"] for e in place.admin.get(listed)["networks"]] == [place.network["id"]]
    body = {"network_id": place.network["id"]}
    place.admin.post(f"/agents/{at['west']['id']}/dhcp-networks", body)
    place.admin.post(f"/agents/{at['west']['id']}/dhcp-networks", body, status=409)
    place.settle()
    assert place.wiring("west", "network", place.network).dhcp is not None
    assert place.wiring("east", "network", place.network).dhcp is None
    place.admin.delete(f"/agents/{at['east']['id']}/dhcp-networks/{body['network_id']}", 409)
    place.admin.delete(f"/agents/{at['west']['id']}/dhcp-networks/{body['network_id']}")
    assert place.admin.get(path)["agents"] == []
    changed = place.admin.change("agent", at["east"], admin_state_up=False, description="d")
    assert (changed["admin_state_up"], changed["description"]) == (False, "d")
    assert place.admin.show("agent", at["east"])["admin_state_up"] is False
    assert place.owner.get("/agents")["agents"] == []
    place.owner.get(path, status=403)
    place.admin.drop("agent", at["west"])
    place.admin.show("agent", at["west"], status=404)


def test_how_many_addresses_are_taken(place: Place) -> None:
    place.bound("east")
    path = f"/network-ip-availabilities/{place.network['id']}"
    found = place.admin.get(path)["network_ip_availability"]
    assert (found["total_ips"], found["used_ips"]) == (253, 2)  # the port's and the DHCP server's
    (subnet,) = found["subnet_ip_availability"]
    assert (subnet["subnet_id"], subnet["used_ips"]) == (place.subnet["id"], 2)
    query = f"network_id={place.network['id']}"
    listed = place.admin.get(f"/network-ip-availabilities?{query}")
    assert listed["network_ip_availabilities"] == [found]
    place.owner.get(path, status=403)
    place.admin.get("/network-ip-availabilities?colour=red", status=400)


def test_zones_are_there_while_a_switch_is(place: Place) -> None:
    found = place.owner.get("/availability_zones")["availability_zones"]
    assert [(each["name"], each["resource"], each["state"]) for each in found] == [
        ("nova", "network", "available"), ("nova", "router", "available")]  # fmt: skip
    listed = place.owner.get("/availability_zones?resource=router")["availability_zones"]
    assert [each["resource"] for each in listed] == ["router"]


def watch(place: Place) -> None:
    """Let what is done now and then be done now."""
    flow = watch_networks()
    with place.local.cloud.get(Database).transaction() as session:
        flow.session = session
        flow.take("run", None)
    place.settle()


def test_who_rings_hosts_in_another_order_is_not_waited_for(
    postgres_databases: PostgresDatabases,
) -> None:
    with postgres_databases.fresh() as url:
        database = Database(url)
        with database.transaction() as session:
            change.ring(session, HOSTS)
        both = threading.Barrier(2, timeout=30)

        def ring(hosts: tuple[str, ...]) -> None:
            with database.transaction() as session:
                change.ring(session, hosts[:1])
                both.wait()
                change.ring(session, hosts[1:])

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(ring, (HOSTS, HOSTS[::-1])))
        database.close()


def test_a_host_that_is_being_wired_is_rung_when_that_is_over(
    postgres_databases: PostgresDatabases,
) -> None:
    """What its flow may wait for is committed first, or both would wait for ever."""
    with postgres_databases.fresh() as url:
        database = Database(url)
        with database.transaction() as session:
            change.ring(session, ["east"])
        with ThreadPoolExecutor(1) as threads, database.transaction() as working:
            flow = working.scalars(select(FlowRecord).with_for_update()).one()
            before = flow.due_at

            def ring() -> None:
                with database.transaction() as session:
                    session.add(SwitchHostRecord(host="new"))
                    change.ring(session, ["east"])

            ringing = threads.submit(ring)
            deadline = time.monotonic() + 30
            while not _is_there(database, "new"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert not ringing.done()
            working.commit()
            ringing.result(60)
        with database.transaction(write=False) as session:
            assert session.scalars(select(FlowRecord.due_at)).one() > before
        database.close()


def _is_there(database: Database, host: str) -> bool:
    with database.transaction(write=False) as session:
        return session.get(SwitchHostRecord, host) is not None
