"""Subnets through the API."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.network import actors


@pytest.fixture
def owner(local: Local, request: pytest.FixtureRequest) -> actors.Actor:
    return actors.newcomer(local, f"subnets-{abs(hash(request.node.name)) % 10**9}")


def test_a_subnet_is_made_shown_changed_and_deleted(owner: actors.Actor) -> None:
    network = owner.make("network")
    subnet = owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    assert subnet["gateway_ip"] == "10.1.0.1"
    assert subnet["enable_dhcp"] is True
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    assert owner.show("network", network)["subnets"] == [subnet["id"]]
    changed = owner.change(
        "subnet", subnet, name="s", dns_nameservers=["8.8.8.8", "1.1.1.1"],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.1.0.9"}],
        allocation_pools=[{"start": "10.1.0.100", "end": "10.1.0.200"}], gateway_ip="10.1.0.3",
        enable_dhcp=False,
    )  # fmt: skip
    assert changed["dns_nameservers"] == ["8.8.8.8", "1.1.1.1"]
    assert changed["gateway_ip"] == "10.1.0.3"
    assert changed["allocation_pools"] == [{"start": "10.1.0.100", "end": "10.1.0.200"}]
    assert owner.show("subnet", subnet) == changed
    assert owner.ids("subnet", f"network_id={network['id']}&ip_version=4") == [subnet["id"]]
    assert owner.change("subnet", subnet, gateway_ip=None)["gateway_ip"] is None
    owner.drop("subnet", subnet)
    owner.show("subnet", subnet, status=404)


def test_a_subnet_with_users_stays(owner: actors.Actor) -> None:
    network = owner.make("network")
    subnet = owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    port = owner.make("port", network_id=network["id"])
    assert owner.drop("subnet", subnet, status=409)["NeutronError"]["type"] == "SubnetInUse"
    owner.drop("port", port)
    owner.drop("subnet", subnet)


def test_subnets_of_a_network_do_not_overlap(owner: actors.Actor) -> None:
    network, other = owner.make("network"), owner.make("network")
    owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    refused = owner.make(
        "subnet", 400, network_id=network["id"], cidr="10.1.0.128/25", ip_version=4
    )
    assert "overlaps with another subnet" in refused["NeutronError"]["message"]
    owner.make("subnet", network_id=other["id"], cidr="10.1.0.0/24", ip_version=4)


IPV6 = {"ip_version": 6, "cidr": "2001:db8:1::/64"}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"cidr": "10.0.0.5/24"}, 400),
        ({"cidr": "10.0.0.0"}, 400),
        ({"cidr": "nonsense"}, 400),
        ({"cidr": "0.0.0.0/0"}, 400),
        ({"cidr": "10.0.0.0/33"}, 400),
        ({"cidr": None}, 400),
        ({"ip_version": 6}, 400),
        ({"ip_version": 5}, 400),
        ({"gateway_ip": "10.0.0.0"}, 400),
        ({"gateway_ip": "10.0.0.255"}, 400),
        ({"gateway_ip": "fe80::1"}, 400),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, 400),
        ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.1.2"}]}, 400),
        ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9"},
                               {"start": "10.0.0.5", "end": "10.0.0.12"}]}, 400),
        ({"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}, 409),
        ({"dns_nameservers": ["8.8.8.8", "8.8.8.8"]}, 400),
        ({"dns_nameservers": ["dns.example"]}, 400),
        ({"dns_nameservers": [f"8.8.8.{n}" for n in range(6)]}, 400),
        ({"host_routes": [{"destination": "x", "nexthop": "10.0.0.2"}]}, 400),
        ({"host_routes": [{"destination": "10.2.0.0/24", "nexthop": "fe80::1"}]}, 400),
        ({"ipv6_ra_mode": "slaac"}, 400),
        ({**IPV6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}, 400),
        ({**IPV6, "ipv6_ra_mode": "slaac", "enable_dhcp": False}, 400),
        ({**IPV6, "ipv6_address_mode": "sometimes"}, 400),
        ({**IPV6, "cidr": "2001:db8:1::/65", "ipv6_address_mode": "slaac"}, 400),
        ({"unheard": "of"}, 400),
        ({"network_id": "00000000-0000-0000-0000-000000000000"}, 404),
        ({"use_default_subnetpool": True, "cidr": None, "ip_version": 6}, 400),
        ({"subnetpool_id": "none", "cidr": None}, 404),
    ],
)  # fmt: skip
def test_a_bad_subnet_is_refused(local: Local, given: dict[str, Any], status: int) -> None:
    admin = actors.admin(local)
    network = admin.make("network")
    body = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4, **given}
    answer = admin.make("subnet", status, **body)
    assert answer["NeutronError"]["message"]


def test_ports_make_themselves_addresses_of_automatic_prefixes(owner: actors.Actor) -> None:
    network = owner.make("network")
    before = owner.make("port", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    owner.make("subnet", network_id=network["id"], ipv6_ra_mode="slaac",
               ipv6_address_mode="slaac", **IPV6)  # fmt: skip
    expected = "2001:db8:1:0:f816:3eff:fe00:1"
    assert [each["ip_address"] for each in owner.show("port", before)["fixed_ips"]] == [expected]
    after = owner.make("port", network_id=network["id"], mac_address="fa:16:3e:00:00:02")
    assert [each["ip_address"] for each in after["fixed_ips"]] == ["2001:db8:1:0:f816:3eff:fe00:2"]
    subnet_id = after["fixed_ips"][0]["subnet_id"]
    chosen = [{"subnet_id": subnet_id, "ip_address": "2001:db8:1::9"}]
    refused = owner.make("port", 400, network_id=network["id"], fixed_ips=chosen)
    assert refused["NeutronError"]["type"] == "AllocationOnAutoAddressSubnet"


def test_a_network_of_both_kinds_gives_an_address_of_each(owner: actors.Actor) -> None:
    network = owner.make("network")
    owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    owner.make("subnet", network_id=network["id"], **IPV6, ipv6_ra_mode="dhcpv6-stateful",
               ipv6_address_mode="dhcpv6-stateful")  # fmt: skip
    port = owner.make("port", network_id=network["id"])
    versions = ["6" if ":" in each["ip_address"] else "4" for each in port["fixed_ips"]]
    assert versions == ["4", "6"]


def test_subnets_on_a_shared_network_are_its_owners(local: Local, owner: actors.Actor) -> None:
    admin = actors.admin(local)
    network = admin.make("network", shared=True)
    owner.make("subnet", 403, network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    subnet = admin.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    assert owner.show("subnet", subnet)["id"] == subnet["id"]
    owner.change("subnet", subnet, status=403, name="mine")
    owner.drop("subnet", subnet, status=403)
    private = admin.make("network")
    hidden = admin.make("subnet", network_id=private["id"], cidr="10.1.0.0/24", ip_version=4)
    owner.show("subnet", hidden, status=404)
    assert hidden["id"] not in owner.ids("subnet")


def test_prefixes_come_from_pools(owner: actors.Actor) -> None:
    pool = owner.make("subnetpool", name="p", prefixes=["10.8.0.0/16"], default_prefixlen=26,
                      default_quota=192)  # fmt: skip
    assert pool["min_prefixlen"] == "8"
    made = []
    for _ in range(2):
        network = owner.make("network")
        made.append(owner.make("subnet", network_id=network["id"], ip_version=4,
                               subnetpool_id=pool["id"]))  # fmt: skip
    assert [each["cidr"] for each in made] == ["10.8.0.0/26", "10.8.0.64/26"]
    assert made[0]["subnetpool_id"] == pool["id"]
    network = owner.make("network")
    given = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool["id"]}
    owner.make("subnet", 400, **given, cidr="10.8.0.32/27")
    owner.make("subnet", 400, **given, cidr="10.9.0.0/27")
    owner.make("subnet", 400, **given, prefixlen=33)
    owner.make("subnet", 400, **given, prefixlen=7)
    third = owner.make("subnet", **given, cidr="10.8.9.0/27")
    assert third["cidr"] == "10.8.9.0/27"
    refused = owner.make("subnet", 409, **given, prefixlen=26)
    assert refused["NeutronError"]["type"] == "SubnetPoolQuotaExceeded"
    assert "allocations" in owner.drop("subnetpool", pool, 400)["NeutronError"]["message"]
    for each in (*made, third):
        owner.drop("subnet", each)
    owner.drop("subnetpool", pool)


def test_pools_are_checked_changed_and_of_scopes(local: Local, owner: actors.Actor) -> None:
    scope = owner.make("address_scope", name="s", ip_version=4)
    pool = owner.make("subnetpool", prefixes=["10.0.0.0/9", "10.128.0.0/9"],
                      address_scope_id=scope["id"])  # fmt: skip
    assert pool["prefixes"] == ["10.0.0.0/8"]
    twin = owner.make("subnetpool", 409, prefixes=["10.5.0.0/16"], address_scope_id=scope["id"])
    assert twin["NeutronError"]["type"] == "AddressScopePrefixConflict"
    network = owner.make("network")
    owner.make("subnet", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"],
               prefixlen=24)  # fmt: skip
    assert owner.show("network", network)["ipv4_address_scope"] == scope["id"]
    assert owner.drop("address_scope", scope, 409)["NeutronError"]["type"] == "AddressScopeInUse"
    owner.change("subnetpool", pool, 400, prefixes=["10.0.0.0/16"])
    owner.change("subnetpool", pool, 400, min_prefixlen=30, default_prefixlen=20)
    more = owner.put(f"/subnetpools/{pool['id']}/add_prefixes", {"prefixes": ["11.0.0.0/8"]})
    assert more == {"prefixes": ["10.0.0.0/7"]}
    changed = owner.change("subnetpool", pool, name="q", default_prefixlen=25, description="d")
    assert (changed["name"], changed["default_prefixlen"]) == ("q", "25")
    wider = owner.put(f"/subnetpools/{pool['id']}/add_prefixes", {"prefixes": ["172.16.0.0/12"]})
    assert wider == {"prefixes": ["10.0.0.0/7", "172.16.0.0/12"]}
    path = f"/subnetpools/{pool['id']}/remove_prefixes"
    assert owner.put(path, {"prefixes": ["172.16.0.0/12"]}) == more
    owner.put(path, {"prefixes": ["10.0.0.0/7"]}, status=400)
    for bad in ([], ["10.0.0.0/8", "fd00::/48"], ["x"]):
        owner.make("subnetpool", 400, prefixes=bad)
    owner.make("subnetpool", 403, prefixes=["10.0.0.0/8"], shared=True)
    other = actors.newcomer(local, f"other-{owner.project[:8]}")
    other.show("subnetpool", pool, status=404)
    other.show("address_scope", scope, status=404)
    assert owner.change("address_scope", scope, name="t")["name"] == "t"
    assert scope["id"] in owner.ids("address_scope")
    assert pool["id"] in owner.ids("subnetpool")
    shared = actors.admin(local).make("subnetpool", prefixes=["10.0.0.0/8"], shared=True)
    assert other.show("subnetpool", shared)["shared"] is True
    other.change("subnetpool", shared, status=403, name="x")
