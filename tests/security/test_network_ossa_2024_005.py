"""OSSA-2024-005, 2014-031, 2015-018: an operation on a part of a network is open to strangers."""

from collections.abc import Iterator
from typing import Any

import pytest

from onestack import network
from onestack.core.api import Operation
from onestack.core.context import Caller, credentials_of
from onestack.core.policy import Policy
from tests.cloud import Local
from tests.network import actors, places
from tests.network.actors import Actor

# Whose things these are is not asked: they are the cloud's, or the caller's own.
OF_NOBODY = ("extensions", "availability_zones", "service-providers")
OF_A_PROJECT = ("quotas", "auto-allocated-topology")
OPERATIONS = [
    each
    for each in network.SERVICE.operations
    if "{" in each.path and each.path.split("/")[2] not in OF_NOBODY
]
KINDS = {  # what a path's first part is about, as the world below calls it
    "networks": "network", "subnets": "subnet", "ports": "port", "routers": "router",
    "floatingips": "floatingip", "security-groups": "security_group",
    "security-group-rules": "security_group_rule", "address-groups": "address_group",
    "rbac-policies": "rbac_policy",
    "subnetpools": "subnetpool", "address-scopes": "address_scope",
    "network-ip-availabilities": "network", "agents": "agent", "quotas": "project",
    "auto-allocated-topology": "project",
}  # fmt: skip


class World:
    """A project with one of each thing, and people who look at them."""

    def __init__(self, local: Local) -> None:
        self.owner = owner = actors.newcomer(local, "matrix-owner")
        self.reader = actors.newcomer(local, "matrix-reader", "reader", owner.project)
        self.stranger = actors.newcomer(local, "matrix-stranger")
        self.nobody = Actor(local, None)
        self.policy = local.cloud.get(Policy)
        out, subnet = places.outside(local), places.inside(owner)
        router = places.router(owner, subnet, out=out)
        port = owner.make("port", network_id=subnet["network_id"])
        floating = owner.make("floatingip", floating_network_id=out.network["id"])
        forwarding = {
            "protocol": "tcp", "external_port": 80, "internal_port": 80,
            "internal_port_id": port["id"],
        }  # fmt: skip
        path = f"/floatingips/{floating['id']}/port_forwardings"
        made = owner.post(path, {"port_forwarding": forwarding})["port_forwarding"]
        group = owner.make("security_group", name="matrix")
        policy = owner.make(
            "rbac_policy", object_type="network", object_id=subnet["network_id"],
            action="access_as_shared", target_tenant="somebody",
        )  # fmt: skip
        pool = owner.make("subnetpool", name="matrix", prefixes=["10.64.0.0/12"])
        addresses = owner.make("address_group", name="matrix", addresses=["10.0.0.0/8"])
        scope = owner.make("address_scope", name="matrix", ip_version=4)
        self.ids = {
            "network": subnet["network_id"], "subnet": subnet["id"], "port": port["id"],
            "router": router["id"], "floatingip": floating["id"], "security_group": group["id"],
            "security_group_rule": group["security_group_rules"][0]["id"],
            "rbac_policy": policy["id"], "subnetpool": pool["id"], "address_scope": scope["id"],
            "port_forwarding": made["id"], "project": owner.project, "agent": "none",
            "address_group": addresses["id"],
        }  # fmt: skip
        owner.put(f"/networks/{subnet['network_id']}/tags/t", status=201)
        for noun in ("subnet", "port", "router", "floatingip", "security_group", "subnetpool"):
            where = f"/{actors.plural(noun)}/{self.ids[noun]}/tags/t"
            owner.put(where, status=201)
        pairs = {"port": {"allowed_address_pairs": [{"ip_address": "10.0.0.77"}]}}
        self.bodies: dict[str, Any] = {
            "add_router_interface": {"subnet_id": subnet["id"]},
            "remove_router_interface": {"subnet_id": subnet["id"]},
            "add_extraroutes": {"router": {"routes": []}},
            "remove_extraroutes": {"router": {"routes": []}},
            "add_addresses": {"addresses": ["10.80.0.0/12"]},
            "remove_addresses": {"addresses": ["10.0.0.0/8"]},
            "add_prefixes": {"prefixes": ["10.80.0.0/12"]},
            "remove_prefixes": {"prefixes": ["10.64.0.0/12"]},
            "port_forwardings": {"port_forwarding": {**forwarding, "external_port": 81}},
            "tags": {"tags": []},
            "add_allowed_address_pairs": pairs,
            "remove_allowed_address_pairs": pairs,
            "{tag}": None,
        }

    def path(self, operation: Operation) -> str:
        """Where an operation is, for the owner's things."""
        parts = operation.path.removeprefix("/v2.0").split("/")[1:]
        found, first = [], True
        for part in parts:
            if not part.startswith("{"):
                found.append(part)
                continue
            if part == "{tag}":
                found.append("t")
            elif first:
                found.append(self.ids[KINDS[parts[0]]])
            else:
                found.append(self.ids.get(part[1:-4], "none"))
            first = False
        return "/" + "/".join(found)

    def body(self, operation: Operation) -> Any:
        last = operation.path.rpartition("/")[2]
        if operation.method not in ("PUT", "POST"):
            return None
        if last in self.bodies:
            return self.bodies[last]
        needed = {"rbac_policy": {"target_tenant": "else"},
                  "security_group_rule": {"description": "x"}}  # fmt: skip
        return {operation.key: needed.get(operation.key or "", {})}

    def all_of_it(self) -> list[Any]:
        """Everything that there is, as its owner sees it."""
        return [
            self.owner.get(f"/{actors.plural(noun)}/{self.ids[noun]}")
            for noun in ("network", "subnet", "port", "router", "floatingip", "security_group",
                         "rbac_policy", "subnetpool", "address_scope", "address_group")
        ]  # fmt: skip


@pytest.fixture(scope="module")
def world(local: Local) -> Iterator[World]:
    found = World(local)
    before = found.all_of_it()
    yield found
    assert found.all_of_it() == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_strangers_and_readers(world: World, operation: Operation) -> None:
    where, body = world.path(operation), world.body(operation)
    caller = Caller("u", "u", "d", roles=(("m", "member"), ("r", "reader")), project_id="p")
    credentials = credentials_of(caller)
    is_for_admins = world.policy.decide(operation.rule.name, credentials, None) is False
    is_of_a_project = operation.path.split("/")[2] in OF_A_PROJECT
    assert world.nobody.ask(operation.method, where, body).status == 401
    refused = 403 if is_for_admins or is_of_a_project else 404
    assert world.stranger.ask(operation.method, where, body).status == refused
    is_read = operation.method == "GET" and not is_for_admins
    answer = world.reader.ask(operation.method, where, body)
    # A topology is not allocated by readers' looking: here, nothing outside is the default.
    good = (200, 204, 409) if operation.path.endswith("/{project_id}") else (200, 204)
    assert answer.status in (good if is_read else (403,)), answer
