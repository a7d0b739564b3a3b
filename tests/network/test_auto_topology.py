"""A network for who has none, made when it is asked for."""

import pytest

from onestack import network
from onestack.core.db import Database
from onestack.core.errors import ApiError
from tests.cloud import Local
from tests.conftest import Clouds
from tests.network import actors

MINE = "/auto-allocated-topology/null"


def furnish(local: Local) -> None:
    """A default way outside, and a default pool."""
    admin = actors.admin(local)
    outside = admin.make("network", **{"router:external": True, "is_default": True})
    admin.make("subnet", network_id=outside["id"], cidr="198.51.100.0/24", ip_version=4)
    admin.make("subnetpool", prefixes=["10.64.0.0/10"], default_prefixlen=26, is_default=True,
               shared=True)  # fmt: skip


def test_a_topology_is_made_once_and_deleted(another: Clouds) -> None:
    local = another()
    user = actors.newcomer(local, "auto")
    for path in (MINE, f"{MINE}?fields=dry-run"):
        refused = user.get(path, status=409)["NeutronError"]
        assert refused["type"] == "AutoAllocationFailure"
    furnish(local)
    dry = user.get(f"{MINE}?fields=dry-run")["auto_allocated_topology"]
    assert (dry["id"], user.ids("router")) == ("dry-run=pass", [])
    made = user.get(MINE)["auto_allocated_topology"]
    assert made["project_id"] == user.project
    assert user.get(MINE)["auto_allocated_topology"] == made
    assert user.get(f"/networks/{made['id']}")["network"]["subnets"]
    (router,) = user.get("/routers")["routers"]
    assert router["external_gateway_info"]["external_fixed_ips"]
    with local.cloud.get(Database).transaction() as session:
        planned = network.plan(session, user.project)
        assert [each.network_id for each in planned] == [made["id"]]
    user.delete(MINE)
    assert user.ids("router") == []
    user.get(f"/networks/{made['id']}", status=404)
    user.delete(MINE, status=404)


def test_a_server_may_have_one_made(another: Clouds) -> None:
    local = another()
    user = actors.newcomer(local, "auto-server")
    with local.cloud.get(Database).transaction() as session:
        assert network.plan(session, user.project) == []
    with local.cloud.get(Database).transaction() as session, pytest.raises(ApiError):
        network.plan(session, user.project, makes=True)
    furnish(local)
    with local.cloud.get(Database).transaction() as session:
        (planned,) = network.plan(session, user.project, makes=True)
    assert planned.network_id == user.get(MINE)["auto_allocated_topology"]["id"]


def test_others_topologies_are_not_ones_own(another: Clouds) -> None:
    local = another()
    furnish(local)
    user, other = actors.newcomer(local, "auto-one"), actors.newcomer(local, "auto-two")
    user.get(f"/auto-allocated-topology/{other.project}", status=403)
    user.delete(f"/auto-allocated-topology/{other.project}", status=403)
    admin = actors.admin(local)
    made = admin.get(f"/auto-allocated-topology/{user.project}")["auto_allocated_topology"]
    assert made["tenant_id"] == user.project
    reader = actors.newcomer(local, "auto-reader", "reader", user.project)
    assert reader.get(MINE)["auto_allocated_topology"] == made
    reader.delete(MINE, status=403)
