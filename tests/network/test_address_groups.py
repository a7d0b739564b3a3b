"""Address groups: named sets of prefixes, and the rules that refer to them."""

from typing import Any

from onestack.network.switch import GroupWiring
from tests.cloud import Local
from tests.network import actors, places
from tests.network.places import error_of
from tests.network.test_routing_on_hosts import switch_of
from tests.settle import settle


def test_a_group_is_made_changed_and_deleted(local: Local) -> None:
    owner = actors.newcomer(local, "ag-owner")
    made = owner.make("address_group", name="a", addresses=["10.0.0.9/8", "10.1.0.1", "fd00::/64"])
    assert made["addresses"] == ["10.0.0.0/8", "10.1.0.1/32", "fd00::/64"]
    assert (made["project_id"], made["shared"]) == (owner.project, False)
    assert owner.show("address_group", made) == made
    assert owner.ids("address_group", "name=a") == [made["id"]]
    changed = owner.change("address_group", made, name="b", description="ours")
    assert (changed["name"], changed["description"]) == ("b", "ours")
    path = f"/address-groups/{made['id']}"
    added = owner.put(f"{path}/add_addresses", {"addresses": ["10.2.0.0/16"]})
    assert added["address_group"]["addresses"] == [*made["addresses"], "10.2.0.0/16"]
    twin = owner.put(f"{path}/add_addresses", {"addresses": ["10.2.0.0/16"]}, 400)
    assert error_of(twin) == "AddressesAlreadyExist"
    removed = owner.put(
        f"{path}/remove_addresses", {"address_group": {"addresses": ["10.2.0.0/16"]}}
    )
    assert removed["address_group"]["addresses"] == made["addresses"]
    missing = owner.put(f"{path}/remove_addresses", {"addresses": ["10.2.0.0/16"]}, 404)
    assert error_of(missing) == "AddressesNotFound"
    bad: list[Any] = [{"addresses": ["x"]}, {"addresses": "10.0.0.0/8"}, {"color": 1}]
    for body in bad:
        owner.make("address_group", status=400, **body)
        owner.put(f"{path}/add_addresses", body, 400)
    owner.drop("address_group", made)
    assert error_of(owner.show("address_group", made, status=404)) == "AddressGroupNotFound"


def test_others_see_a_group_that_is_shared(local: Local) -> None:
    owner, friend = actors.newcomer(local, "ag-mine"), actors.newcomer(local, "ag-friend")
    made = owner.make("address_group", name="a", addresses=["10.0.0.0/8"])
    group = friend.make("security_group", name="g")
    rule = {"security_group_id": group["id"], "direction": "ingress",
            "remote_address_group_id": made["id"]}  # fmt: skip
    friend.show("address_group", made, status=404)
    friend.make("security_group_rule", status=404, **rule)
    owner.make(
        "rbac_policy", object_type="address_group", object_id=made["id"],
        action="access_as_shared", target_tenant=friend.project,
    )  # fmt: skip
    assert friend.show("address_group", made) == {**made, "shared": True}
    assert friend.ids("address_group") == [made["id"]]
    friend.change("address_group", made, status=403, name="x")
    friend.drop("address_group", made, status=403)
    friend.make("security_group_rule", **rule)


def test_rules_on_a_group_follow_its_addresses(local: Local) -> None:
    settle(local)
    owner, admin = actors.newcomer(local, "ag-rules"), actors.admin(local)
    made = owner.make("address_group", name="a", addresses=["10.0.0.0/8", "fd00::/64"])
    group, subnet = owner.make("security_group", name="g"), places.inside(owner)
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp",
            "remote_address_group_id": made["id"]}  # fmt: skip
    first = owner.make("security_group_rule", **rule)
    assert first["remote_address_group_id"] == made["id"]
    owner.make("security_group_rule", status=409, **rule)
    owner.make("security_group_rule", status=400, **rule, remote_ip_prefix="10.0.0.0/8")
    owner.make("security_group_rule", ethertype="IPv6", **rule)
    assert error_of(owner.drop("address_group", made, status=409)) == "AddressGroupInUse"
    port = owner.make("port", network_id=subnet["network_id"], security_groups=[group["id"]])
    host = admin.get("/agents")["agents"][0]["host"]
    admin.change("port", port, **{"binding:host_id": host})

    def prefixes() -> list[tuple[str, str | None]]:
        settle(local)
        found = switch_of(local).wirings["group", group["id"]]
        assert isinstance(found, GroupWiring)
        return sorted(
            (e.ethertype, e.remote_prefix) for e in found.rules if e.direction == "ingress"
        )  # fmt: skip

    assert prefixes() == [("IPv4", "10.0.0.0/8"), ("IPv6", "fd00::/64")]
    path = f"/address-groups/{made['id']}"
    owner.put(f"{path}/add_addresses", {"addresses": ["192.0.2.0/24"]})
    assert prefixes()[1] == ("IPv4", "192.0.2.0/24")
    owner.put(f"{path}/remove_addresses", {"addresses": made["addresses"]})
    assert prefixes() == [("IPv4", "192.0.2.0/24")]
