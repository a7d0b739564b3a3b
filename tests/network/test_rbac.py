"""RBAC policies: what is shared with whom, and when it may end."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.network import actors, places
from tests.network.actors import Actor
from tests.network.places import error_of

SHARED, EXTERNAL = "access_as_shared", "access_as_external"


@pytest.fixture(autouse=True)
def room(local: Local) -> None:
    """Each external network that other tests make is a policy of the administrators' project."""
    admin = actors.admin(local)
    admin.put(f"/quotas/{admin.project}", {"quota": {"rbac_policy": -1}})


def share(who: Actor, thing: Any, target: str, status: int = 201, **more: Any) -> Any:
    body = {"object_type": "network", "action": SHARED, **more}
    return who.make("rbac_policy", status, object_id=thing["id"], target_tenant=target, **body)


def test_a_network_is_shared_with_a_project(local: Local) -> None:
    owner, friend = actors.newcomer(local, "rbac-owner"), actors.newcomer(local, "rbac-friend")
    network = owner.make("network", name="shared")
    friend.show("network", network, status=404)
    made = share(owner, network, friend.project)
    assert made == {
        "id": made["id"], "project_id": owner.project, "tenant_id": owner.project,
        "object_type": "network", "object_id": network["id"], "action": SHARED,
        "target_tenant": friend.project,
    }  # fmt: skip
    assert friend.show("network", network)["shared"] is True
    assert network["id"] in friend.ids("network")
    assert owner.show("network", network)["shared"] is False
    friend.change("network", network, status=403, name="mine")
    friend.show("rbac_policy", made, status=404)
    assert friend.ids("rbac_policy") == []
    assert owner.ids("rbac_policy", f"target_tenant={friend.project}") == [made["id"]]
    twin = share(owner, network, friend.project, status=409)
    assert error_of(twin) == "DuplicateRbacPolicy"
    port = friend.make("port", network_id=network["id"])
    refused = owner.drop("rbac_policy", made, status=409)
    assert error_of(refused) == "RbacPolicyInUse"
    owner.change("rbac_policy", made, status=409, target_tenant="else")
    friend.drop("port", port)
    changed = owner.change("rbac_policy", made, target_tenant="else")
    assert changed == {**made, "target_tenant": "else"}
    friend.show("network", network, status=404)
    owner.change("rbac_policy", made, status=400, action=EXTERNAL)
    owner.drop("rbac_policy", made)
    missing = owner.drop("rbac_policy", made, status=404)
    assert error_of(missing) == "RbacPolicyNotFound"


def test_only_administrators_share_with_everybody(local: Local) -> None:
    owner, admin = actors.newcomer(local, "rbac-all"), actors.admin(local)
    other = actors.newcomer(local, "rbac-anybody")
    network = owner.make("network", name="for all")
    share(owner, network, "*", status=403)
    share(owner, network, other.project, status=403, action=EXTERNAL)
    made = share(owner, network, "nobody")
    owner.change("rbac_policy", made, status=403, target_tenant="*")
    for_all = share(admin, network, "*")
    assert owner.show("network", network)["shared"] is True
    assert other.show("network", network)["shared"] is True
    admin.drop("rbac_policy", for_all)
    assert owner.show("network", network)["shared"] is False
    other.show("network", network, status=404)
    admin.change("network", network, shared=True)
    (policy,) = admin.get(f"/rbac-policies?object_id={network['id']}&target_tenant=%2A")[
        "rbac_policies"
    ]
    assert (policy["action"], policy["object_type"]) == (SHARED, "network")
    admin.change("network", network, shared=False)
    admin.show("rbac_policy", policy, status=404)
    owner.drop("network", network)
    owner.show("rbac_policy", made, status=404)


def test_a_network_becomes_external_by_a_policy(local: Local) -> None:
    admin, other = actors.admin(local), actors.newcomer(local, "rbac-external")
    network = admin.make("network", name="way out")
    made = share(admin, network, "*", action=EXTERNAL)
    assert other.show("network", network)["router:external"] is True
    admin.drop("rbac_policy", made)
    other.show("network", network, status=404)
    assert admin.show("network", network)["router:external"] is False


def test_others_do_not_share(local: Local) -> None:
    owner, other = actors.newcomer(local, "rbac-mine"), actors.newcomer(local, "rbac-theirs")
    reader = actors.newcomer(local, "rbac-reader", "reader", owner.project)
    network, made = owner.make("network", name="mine"), None
    share(reader, network, other.project, status=403)
    share(other, network, other.project, status=400)
    made = share(owner, network, "somebody")
    assert reader.show("rbac_policy", made) == made
    for who, status in ((reader, 403), (other, 404)):
        who.change("rbac_policy", made, status=status, target_tenant="x")
        who.drop("rbac_policy", made, status=status)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"object_type": "port"}, 400),
        ({"action": "access_as_guest"}, 400),
        ({"object_type": "security_group", "action": EXTERNAL}, 400),
        ({"object_id": "nothing"}, 404),
        ({"object_type": "subnetpool"}, 404),
        ({"target_tenant": ""}, 400),
        ({"target_tenant": None}, 400),
    ],
    ids=str,
)
def test_policies_that_make_no_sense(local: Local, more: dict[str, Any], status: int) -> None:
    owner = actors.admin(local)
    subnet = places.inside(owner)
    body = {
        "object_type": "network", "object_id": subnet["network_id"], "action": SHARED,
        "target_tenant": "somebody", **more,
    }  # fmt: skip
    owner.make("rbac_policy", status, **body)
    owner.drop("network", {"id": subnet["network_id"]})


def test_policies_are_bounded(local: Local) -> None:
    owner, admin = actors.newcomer(local, "rbac-quota"), actors.admin(local)
    admin.put(f"/quotas/{owner.project}", {"quota": {"rbac_policy": 1}})
    network = owner.make("network", name="n")
    share(owner, network, "one")
    assert error_of(share(owner, network, "two", status=409)) == "OverQuota"
