"""Networks through the API."""

import pytest

from tests.cloud import Local
from tests.network import actors

OWN = {"name": "n", "admin_state_up": True, "shared": False, "router:external": False,
       "status": "ACTIVE", "subnets": [], "port_security_enabled": True, "mtu": 1450,
       "description": "", "tags": [], "availability_zone_hints": []}  # fmt: skip


def test_a_network_is_made_shown_changed_and_deleted(local: Local) -> None:
    owner = actors.newcomer(local, "network-owner")
    network = owner.make("network", name="n")
    assert {key: network[key] for key in OWN} == OWN
    assert network["project_id"] == network["tenant_id"] == owner.project
    assert not any(key.startswith("provider:") for key in network)
    changed = owner.change("network", network, name="m", admin_state_up=False, description="d")
    assert (changed["name"], changed["admin_state_up"]) == ("m", False)
    assert changed["revision_number"] == network["revision_number"] + 1
    assert owner.show("network", network) == changed
    assert owner.get("/networks?name=m")["networks"] == [changed]
    owner.drop("network", network)
    refused = owner.show("network", network, status=404)["NeutronError"]
    assert refused["type"] == "NetworkNotFound"
    assert refused["message"] == f"Network {network['id']} could not be found."


def test_several_networks_are_made_at_once_or_none(local: Local) -> None:
    owner = actors.newcomer(local, "network-bulk")
    made = owner.post("/networks", {"networks": [{"name": "a"}, {"name": "b"}]})["networks"]
    assert [each["name"] for each in made] == ["a", "b"]
    owner.post("/networks", {"networks": [{"name": "c"}, {"name": "d", "mtu": 9000}]}, status=400)
    own = owner.ids("network", f"project_id={owner.project}")
    assert sorted(own) == sorted(each["id"] for each in made)


def test_what_others_have_is_not_there(local: Local) -> None:
    owner, other = (actors.newcomer(local, f"network-two-{n}") for n in (1, 2))
    network = owner.make("network")
    other.show("network", network, status=404)
    other.change("network", network, status=404, name="mine")
    other.drop("network", network, status=404)
    assert network["id"] not in other.ids("network")
    assert network["id"] in actors.admin(local).ids("network")
    reader = actors.newcomer(local, "network-reader", "reader", owner.project)
    assert reader.show("network", network)["id"] == network["id"]
    reader.change("network", network, status=403, name="x")
    reader.drop("network", network, status=403)
    reader.make("network", status=403)


def test_shared_and_external_networks_are_seen_by_all_and_kept_by_their_owner(local: Local) -> None:
    admin, user = actors.admin(local), actors.newcomer(local, "network-guest")
    shared = admin.make("network", shared=True)
    outside = admin.make("network", **{"router:external": True, "is_default": False})
    for each in (shared, outside):
        assert user.show("network", each)["id"] == each["id"]
        user.change("network", each, status=403, name="x")
        user.drop("network", each, status=403)
    assert shared["id"] in user.ids("network", "shared=true")
    assert outside["id"] in user.ids("network", "router:external=True")
    assert "is_default" in user.show("network", outside)
    admin.change("network", shared, shared=False)
    user.show("network", shared, status=404)
    for name in ("shared", "router:external", "is_default", "provider:segmentation_id"):
        user.make("network", status=403, **{name: True if "seg" not in name else 7})


def test_a_network_that_others_use_stays_shared(local: Local) -> None:
    admin, user = actors.admin(local), actors.newcomer(local, "network-user")
    shared = admin.make("network", shared=True)
    port = user.make("port", network_id=shared["id"])
    refused = admin.change("network", shared, status=409, shared=False)["NeutronError"]
    assert refused["type"] in ("InvalidSharedSetting", "RbacPolicyInUse")
    assert admin.drop("network", shared, status=409)["NeutronError"]["type"] == "NetworkInUse"
    user.drop("port", port)
    admin.drop("network", shared)


def test_an_administrator_says_how_a_network_travels(local: Local) -> None:
    admin = actors.admin(local)
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
    network = admin.make("network", **vlan, **{"provider:segmentation_id": 77})
    assert network["provider:segmentation_id"] == 77
    assert network["mtu"] == 1500
    twin = admin.make("network", status=409, **vlan, **{"provider:segmentation_id": 77})
    assert twin["NeutronError"]["type"] == "VlanIdInUse"
    chosen = admin.make("network", **vlan)["provider:segmentation_id"]
    assert chosen != 77
    assert 1 <= chosen <= 4094
    flat = {"provider:network_type": "flat", "provider:physical_network": "physnet1"}
    admin.make("network", **flat)
    assert admin.make("network", status=409, **flat)["NeutronError"]["type"] == "FlatNetworkInUse"
    admin.change("network", network, status=400, **{"provider:segmentation_id": 78})
    admin.change("network", network, **{"provider:segmentation_id": 77})
    assert network["id"] in admin.ids("network", "provider:segmentation_id=77")


@pytest.mark.parametrize(
    "given",
    [
        {"provider:network_type": "token-ring"},
        {"provider:network_type": "flat"},
        {"provider:network_type": "flat", "provider:physical_network": "p",
         "provider:segmentation_id": 3},
        {"provider:network_type": "vlan", "provider:physical_network": "p",
         "provider:segmentation_id": 4095},
        {"provider:network_type": "vxlan", "provider:segmentation_id": 0},
        {"provider:network_type": "vxlan", "provider:physical_network": "p"},
        {"provider:segmentation_id": 5},
        {"mtu": 1451},
        {"mtu": 20},
        {"is_default": True},
        {"name": "x" * 256},
        {"name": None},
        {"admin_state_up": "perhaps"},
        {"unheard": "of"},
    ],
)  # fmt: skip
def test_a_bad_network_is_refused(local: Local, given: dict[str, object]) -> None:
    answer = actors.admin(local).make("network", status=400, **given)
    assert answer["NeutronError"]["message"]


def test_a_body_without_a_network_is_refused(local: Local) -> None:
    admin = actors.admin(local)
    for body in ({}, {"networks": []}, {"router": {}}, []):
        admin.post("/networks", body, status=400)


def test_lists_come_in_pages_both_ways_and_with_chosen_fields(local: Local) -> None:
    owner = actors.newcomer(local, "network-pages")
    owner.post("/networks", {"networks": [{"name": f"p{n}"} for n in range(5)]})
    first = owner.get("/networks?limit=2&sort_key=name&sort_dir=desc&fields=id&fields=name")
    assert [each["name"] for each in first["networks"]] == ["p4", "p3"]
    assert set(first["networks"][0]) == {"id", "name"}
    links = {each["rel"]: each["href"] for each in first["networks_links"]}
    path = links["next"].partition("/network/v2.0")[2]
    second = owner.get(path)
    assert [each["name"] for each in second["networks"]] == ["p2", "p1"]
    links = {each["rel"]: each["href"] for each in second["networks_links"]}
    back = owner.get(links["previous"].partition("/network/v2.0")[2])
    assert [each["name"] for each in back["networks"]] == ["p4", "p3"]
    unnamed = owner.get("/networks?limit=2&sort_key=name&sort_dir=desc&fields=name")
    (link,) = unnamed["networks_links"]
    path = link["href"].partition("/network/v2.0")[2]
    assert [each["name"] for each in owner.get(path)["networks"]] == ["p2", "p1"]
    owner.get("/networks?limit=2&marker=unknown", status=400)
    owner.get("/networks?limit=-1", status=400)
    owner.get("/networks?name=%FF%FE", status=400)
    owner.get("/networks?sort_key=nothing", status=400)
    owner.get("/networks?nothing=1", status=400)


def test_a_list_of_many_networks_takes_few_statements(local: Local) -> None:
    from onestack.core.db import counted

    owner = actors.newcomer(local, "network-many")
    owner.post("/networks", {"networks": [{} for _ in range(40)]})
    with counted() as statements:
        assert len(owner.ids("network")) >= 40
    assert len(statements) <= 8


def test_versions_are_told_without_a_token(local: Local) -> None:
    answer = local.ask("GET", "/network/")
    assert answer.status == 200
    assert answer.body["versions"][0]["id"] == "v2.0"
    href = answer.body["versions"][0]["links"][0]["href"]
    assert href.endswith("/network/v2.0/")
    listed = local.ask("GET", "/network/v2.0/").body["resources"]
    assert {"network", "port"} <= {each["name"] for each in listed}
