"""Ports through the API."""

from typing import Any

import pytest

from onestack.core.db import counted
from tests.cloud import Local
from tests.network import actors


@pytest.fixture
def owner(local: Local, request: pytest.FixtureRequest) -> actors.Actor:
    return actors.newcomer(local, f"ports-{abs(hash(request.node.name)) % 10**9}")


@pytest.fixture
def network(owner: actors.Actor) -> Any:
    """A network of the owner's, with a subnet."""
    network = owner.make("network")
    owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    return network


def addresses(port: Any) -> list[str]:
    return [each["ip_address"] for each in port["fixed_ips"]]


def test_a_port_is_made_shown_changed_and_deleted(owner: actors.Actor, network: Any) -> None:
    port = owner.make("port", network_id=network["id"], name="p")
    assert port["mac_address"].startswith("fa:16:3e:")
    assert port["status"] == "DOWN"
    assert len(addresses(port)) == 1
    assert "binding:host_id" not in port
    default = owner.get("/security-groups?name=default")["security_groups"][0]
    assert port["security_groups"] == [default["id"]]
    changed = owner.change("port", port, name="q", admin_state_up=False, device_id="d",
                           device_owner="compute:x", description="words")  # fmt: skip
    assert (changed["name"], changed["device_id"]) == ("q", "d")
    assert owner.show("port", port) == changed
    assert owner.ids("port", "device_id=d&name=q") == [port["id"]]
    owner.drop("port", port)
    assert owner.show("port", port, status=404)["NeutronError"]["type"] == "PortNotFound"


def test_addresses_are_chosen_given_and_never_given_twice(
    owner: actors.Actor, network: Any
) -> None:
    at = network["id"]
    first = owner.make("port", network_id=at, fixed_ips=[{"ip_address": "10.1.0.9"}])
    assert addresses(first) == ["10.1.0.9"]
    twin = owner.make("port", 409, network_id=at, fixed_ips=[{"ip_address": "10.1.0.9"}])
    assert twin["NeutronError"]["type"] == "IpAddressInUse"
    subnet_id = first["fixed_ips"][0]["subnet_id"]
    second = owner.make("port", network_id=at, fixed_ips=[{"subnet_id": subnet_id}] * 2)
    assert len(set(addresses(second))) == 2
    assert addresses(owner.make("port", network_id=at, fixed_ips=[])) == []
    bad = owner.make("port", 400, network_id=at, fixed_ips=[{"ip_address": "10.2.0.9"}])
    assert bad["NeutronError"]["type"] == "InvalidIpForNetwork"
    for fixed in ({"subnet_id": subnet_id, "ip_address": "10.1.0.255"}, {"subnet_id": at},
                  {"ip_address": "x"}):  # fmt: skip
        owner.make("port", 400, network_id=at, fixed_ips=[fixed])
    owner.make("port", 400, network_id=at, fixed_ips=[{"subnet_id": subnet_id}] * 6)


def test_addresses_change_and_what_stays_stays(owner: actors.Actor, network: Any) -> None:
    port = owner.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.1.0.9"}])
    subnet_id = port["fixed_ips"][0]["subnet_id"]
    more = [{"subnet_id": subnet_id, "ip_address": "10.1.0.9"}, {"ip_address": "10.1.0.10"}]
    assert addresses(owner.change("port", port, fixed_ips=more)) == ["10.1.0.9", "10.1.0.10"]
    left = owner.change("port", port, fixed_ips=[{"ip_address": "10.1.0.10"}])
    assert addresses(left) == ["10.1.0.10"]
    other = owner.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.1.0.9"}])
    assert addresses(other) == ["10.1.0.9"]
    owner.change("port", port, status=409, fixed_ips=[{"ip_address": "10.1.0.9"}])
    assert addresses(owner.show("port", port)) == ["10.1.0.10"]


def test_another_address_is_none_that_the_port_has(owner: actors.Actor) -> None:
    network = owner.make("network")
    pool = [{"start": "10.1.0.2", "end": "10.1.0.4"}]
    owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", ip_version=4,
               allocation_pools=pool)  # fmt: skip
    port = owner.make("port", network_id=network["id"])
    for _ in range(2):
        more = [*port["fixed_ips"], {"subnet_id": port["fixed_ips"][0]["subnet_id"]}]
        port = owner.change("port", port, fixed_ips=more)
    assert set(addresses(port)) == {"10.1.0.2", "10.1.0.3", "10.1.0.4"}


def test_a_full_subnet_says_so(owner: actors.Actor) -> None:
    network = owner.make("network")
    owner.make("subnet", network_id=network["id"], cidr="10.1.0.0/29", ip_version=4)
    made = owner.post("/ports", {"ports": [{"network_id": network["id"]}] * 5})["ports"]
    assert len({addresses(each)[0] for each in made}) == 5
    refused = owner.make("port", 409, network_id=network["id"])["NeutronError"]
    assert refused["type"] == "IpAddressGenerationFailure"
    assert refused["message"] == f"No more IP addresses available on network {network['id']}."
    owner.drop("port", made[0])
    assert addresses(owner.make("port", network_id=network["id"])) == addresses(made[0])


def test_mac_addresses_are_unique_on_a_network(owner: actors.Actor, network: Any) -> None:
    given = {"network_id": network["id"], "mac_address": "FA-16-3E-00-00-07"}
    assert owner.make("port", **given)["mac_address"] == "fa:16:3e:00:00:07"
    assert owner.make("port", 409, **given)["NeutronError"]["type"] == "MacAddressInUse"
    owner.make("port", 400, network_id=network["id"], mac_address="nonsense")
    ports = [{**given, "mac_address": "fa:16:3e:00:00:08"}] * 2
    owner.post("/ports", {"ports": ports}, status=409)


def test_ports_are_found_by_their_addresses(owner: actors.Actor, network: Any) -> None:
    port = owner.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.1.0.77"}])
    owner.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.1.0.12"}])
    subnet_id = port["fixed_ips"][0]["subnet_id"]
    for query in ("fixed_ips=ip_address=10.1.0.77", "fixed_ips=ip_address_substr=.0.77",
                  f"fixed_ips=ip_address=10.1.0.77&fixed_ips=subnet_id={subnet_id}",
                  f"mac_address={port['mac_address']}"):  # fmt: skip
        assert owner.ids("port", query) == [port["id"]], query
    assert len(owner.ids("port", f"fixed_ips=subnet_id={subnet_id}")) == 2
    group = port["security_groups"][0]
    assert len(owner.ids("port", f"security_groups={group}&network_id={network['id']}")) == 2
    owner.get("/ports?fixed_ips=nonsense", status=400)


def test_what_may_pass_a_port(owner: actors.Actor, network: Any) -> None:
    group = owner.make("security_group", name="g")
    pairs = [{"ip_address": "10.1.0.0/28"}, {"ip_address": "10.1.0.99", "mac_address":
                                             "fa:16:3e:aa:bb:cc"}]  # fmt: skip
    port = owner.make("port", network_id=network["id"], security_groups=[group["id"]],
                      allowed_address_pairs=pairs)  # fmt: skip
    assert port["security_groups"] == [group["id"]]
    shown = [(each["ip_address"], each["mac_address"]) for each in port["allowed_address_pairs"]]
    assert shown == [("10.1.0.0/28", port["mac_address"]), ("10.1.0.99", "fa:16:3e:aa:bb:cc")]
    owner.change("port", port, 409, port_security_enabled=False)
    owner.change("port", port, 409, port_security_enabled=False, security_groups=[])
    bare = owner.change("port", port, port_security_enabled=False, security_groups=[],
                        allowed_address_pairs=[])  # fmt: skip
    assert (bare["port_security_enabled"], bare["security_groups"]) == (False, [])
    owner.change("port", port, 400, security_groups=[group["id"]])
    owner.change("port", port, 404, port_security_enabled=True, security_groups=["none"])
    many = [{"ip_address": f"10.0.0.{n}"} for n in range(11)]
    for bad in ([{"ip_address": "x"}], [many[0]] * 2, many, [{"mac_address": "x"}]):
        owner.make("port", 400, network_id=network["id"], allowed_address_pairs=bad)
    naked = owner.make("port", network_id=network["id"], port_security_enabled=False)
    assert naked["security_groups"] == []


def test_address_pairs_come_and_go_some_at_a_time(
    local: Local, owner: actors.Actor, network: Any
) -> None:
    port = owner.make("port", network_id=network["id"])
    one, two = {"ip_address": "10.1.0.5"}, {"ip_address": "10.1.0.6"}

    def ask(verb: str, *pairs: Any, status: int = 200, who: Any = owner) -> Any:
        body = {"port": {"allowed_address_pairs": list(pairs)}}
        answer = who.put(f"/ports/{port['id']}/{verb}_allowed_address_pairs", body, status)
        found = answer["port"]["allowed_address_pairs"] if status == 200 else []
        return [each["ip_address"] for each in found]

    assert ask("add", one) == ["10.1.0.5"]
    assert ask("add", two, one) == ["10.1.0.5", "10.1.0.6"]
    assert ask("remove", one) == ["10.1.0.6"]
    ask("remove", one, status=400)
    ask("add", {"ip_address": "x"}, status=400)
    ask("add", *({"ip_address": f"10.1.0.{n}"} for n in range(10, 20)), status=400)
    reader = actors.newcomer(local, f"pairs-{owner.project[:8]}", "reader", owner.project)
    ask("add", one, status=403, who=reader)
    stranger = actors.newcomer(local, f"pairs2-{owner.project[:8]}")
    ask("add", one, status=404, who=stranger)


def test_dhcp_options_are_kept_changed_and_taken_back(owner: actors.Actor, network: Any) -> None:
    options = [{"opt_name": "tftp-server", "opt_value": "1.2.3.4"},
               {"opt_name": "bootfile-name", "opt_value": "pxe.0", "ip_version": 4}]  # fmt: skip
    port = owner.make("port", network_id=network["id"], extra_dhcp_opts=options)
    found = {each["opt_name"]: each["opt_value"] for each in port["extra_dhcp_opts"]}
    assert found == {"tftp-server": "1.2.3.4", "bootfile-name": "pxe.0"}
    changed = owner.change("port", port, extra_dhcp_opts=[
        {"opt_name": "tftp-server", "opt_value": None},
        {"opt_name": "bootfile-name", "opt_value": "x"}])["extra_dhcp_opts"]  # fmt: skip
    assert changed == [{"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 4}]


def test_binding_is_for_administrators(local: Local, owner: actors.Actor, network: Any) -> None:
    port = owner.make("port", network_id=network["id"])
    owner.change("port", port, 403, **{"binding:host_id": "h"})
    owner.make("port", 403, network_id=network["id"], **{"binding:profile": {"a": 1}})
    admin = actors.admin(local)
    shown = admin.show("port", port)
    assert (shown["binding:host_id"], shown["binding:vif_type"]) == ("", "unbound")
    bound = admin.change("port", port, **{"binding:host_id": "a-host", "binding:profile": {"a": 1}})
    assert (bound["binding:host_id"], bound["binding:vif_type"]) == ("a-host", "bridge")
    assert bound["binding:profile"] == {"a": 1}
    assert admin.ids("port", "binding:host_id=a-host") == [port["id"]]
    admin.change("port", port, 409, mac_address="fa:16:3e:00:00:09")
    admin.change("port", port, **{"binding:host_id": ""})
    moved = admin.change("port", port, mac_address="fa:16:3e:00:00:09")
    assert moved["mac_address"] == "fa:16:3e:00:00:09"
    owner.change("port", port, 403, mac_address="fa:16:3e:00:00:0a")


def test_whose_network_it_is_rules_what_is_on_it(local: Local, owner: actors.Actor) -> None:
    admin = actors.admin(local)
    shared = admin.make("network", shared=True)
    subnet = admin.make("subnet", network_id=shared["id"], cidr="10.1.0.0/24", ip_version=4)
    at = shared["id"]
    for given in ({"mac_address": "fa:16:3e:00:00:0b"}, {"port_security_enabled": False},
                  {"fixed_ips": [{"ip_address": "10.1.0.5"}]},
                  {"allowed_address_pairs": [{"ip_address": "10.1.0.5"}]},
                  {"device_owner": "network:dhcp"}):  # fmt: skip
        owner.make("port", 403, network_id=at, **given)
    port = owner.make("port", network_id=at, fixed_ips=[{"subnet_id": subnet["id"]}])
    assert admin.show("port", port)["project_id"] == owner.project
    stranger = actors.newcomer(local, f"stranger-{owner.project[:8]}")
    stranger.show("port", port, status=404)
    stranger.change("port", port, 404, name="x")
    stranger.drop("port", port, 404)
    reader = actors.newcomer(local, f"reader-{owner.project[:8]}", "reader", owner.project)
    assert reader.show("port", port)["id"] == port["id"]
    reader.change("port", port, 403, name="x")
    reader.drop("port", port, 403)
    private = admin.make("network")
    owner.make("port", 404, network_id=private["id"])


@pytest.mark.parametrize(
    "given",
    [{"network_id": 5}, {"name": "x" * 256}, {"dns_name": "no good"}, {"unheard": "of"},
     {"binding:vnic_type": "strange"}, {"admin_state_up": None}, {"fixed_ips": "x"},
     {"security_groups": "x"}, {"extra_dhcp_opts": [{"opt_name": ""}]}],
)  # fmt: skip
def test_a_bad_port_is_refused(owner: actors.Actor, network: Any, given: Any) -> None:
    owner.make("port", 400, **{"network_id": network["id"], **given})


def test_many_ports_are_made_and_listed_in_few_statements(
    owner: actors.Actor, network: Any
) -> None:
    bodies = [{"network_id": network["id"], "name": f"p{n}"} for n in range(50)]
    with counted() as statements:
        made = owner.post("/ports", {"ports": bodies})["ports"]
    assert [each["name"] for each in made] == [f"p{n}" for n in range(50)]
    assert len({addresses(each)[0] for each in made}) == 50
    # One event each; all else is done for all of them at once.
    assert len([each for each in statements if "INSERT INTO events" not in each]) <= 25
    with counted() as statements:
        assert len(owner.ids("port", "fields=id")) == 50
    assert len(statements) <= 8


def test_quota_bounds_ports(local: Local, owner: actors.Actor, network: Any) -> None:
    admin = actors.admin(local)
    admin.put(f"/quotas/{owner.project}", {"quota": {"port": 2}})
    owner.make("port", network_id=network["id"])
    refused = owner.post("/ports", {"ports": [{"network_id": network["id"]}] * 2}, status=409)
    assert refused["NeutronError"]["type"] == "OverQuota"
    owner.make("port", network_id=network["id"])
    owner.make("port", 409, network_id=network["id"])
