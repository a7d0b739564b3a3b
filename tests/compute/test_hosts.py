"""Hosts: aggregates and zones, hypervisors, and the services that run on them."""

from typing import Any

import pytest

from onestack import placement
from onestack.compute import placing
from onestack.core.db import Database
from tests.cloud import Local
from tests.compute import actors
from tests.compute.actors import Actor
from tests.compute.test_placing import ask, spec
from tests.conftest import Clouds
from tests.settle import settle


@pytest.fixture
def local(another: Clouds) -> Local:
    cloud = another(ONESTACK_AGENT_HOST="h", ONESTACK_AGENT_SIMULATED_HOSTS="3")
    settle(cloud)
    return cloud


def make(admin: Actor, name: str, zone: str | None = None) -> str:
    body = {"aggregate": {"name": name, "availability_zone": zone}}
    return f"/os-aggregates/{admin.post('/os-aggregates', body)['aggregate']['id']}"


def act(admin: Actor, path: str, action: str, status: int = 200, **body: Any) -> Any:
    return admin.post(f"{path}/action", {action: body}, status)


def zones(actor: Actor) -> list[str]:
    listed = actor.get("/os-availability-zone")["availabilityZoneInfo"]
    return [each["zoneName"] for each in listed]


def chosen(local: Local, **asked: Any) -> str | None:
    """The host on which a server would be now."""
    with local.cloud.get(Database).transaction() as session:
        placed = placing.place(session, local.cloud, [spec("probe", **asked)])
        placement.release(session, "probe")
    return placed[0].host if placed else None


def test_an_aggregate_by_version(local: Local) -> None:
    admin = actors.admin(local)
    body = {"aggregate": {"name": "ours", "availability_zone": "attic"}}
    made = admin.post("/os-aggregates", body)["aggregate"]
    assert made == {
        "id": made["id"], "uuid": made["uuid"], "name": "ours", "availability_zone": "attic",
        "created_at": made["created_at"], "updated_at": None, "deleted": False, "deleted_at": None,
    }  # fmt: skip
    path = f"/os-aggregates/{made['id']}"
    shown = admin.get(path)["aggregate"]
    assert shown == {**made, "hosts": [], "metadata": {"availability_zone": "attic"}}
    assert admin.get("/os-aggregates")["aggregates"] == [shown]
    assert admin.at("2.40").get(path)["aggregate"].keys() == shown.keys() - {"uuid"}
    assert "already exists" in admin.message("POST", "/os-aggregates", 409, body)
    renamed = admin.put(path, {"aggregate": {"name": "theirs"}})["aggregate"]
    assert renamed["name"] == "theirs"
    assert renamed["updated_at"] is not None
    for wrong in ({}, {"name": ""}, {"availability_zone": "a:b"}, {"other": 1}):
        admin.put(path, {"aggregate": wrong}, status=400)
    for wrong in ({"name": ""}, {"name": "x" * 256}, {"name": "x", "availability_zone": ""}):
        admin.post("/os-aggregates", {"aggregate": wrong}, status=400)
    admin.get("/os-aggregates/99", status=404)
    admin.get("/os-aggregates/x", status=400)
    admin.delete(path, status=200)
    admin.delete(path, status=404)


def test_only_administrators_have_to_do_with_hosts(local: Local) -> None:
    demo = actors.demo(local)
    demo.get("/os-aggregates", status=403)
    demo.post("/os-aggregates", {"aggregate": {"name": "x"}}, status=403)
    demo.post("/os-aggregates/1/action", {"add_host": {"host": "h"}}, status=403)
    demo.get("/os-hypervisors", status=403)
    demo.get("/os-services", status=403)
    demo.put("/os-services/1", {"status": "disabled"}, status=403)
    demo.get("/os-availability-zone/detail", status=403)
    assert zones(demo) == ["nova"]


def test_hosts_are_put_into_zones(local: Local) -> None:
    admin = actors.admin(local)
    attic, other = make(admin, "attic", "attic"), make(admin, "cellar", "cellar")
    shown = act(admin, attic, "add_host", host="h-2")["aggregate"]
    assert shown["hosts"] == ["h-2"]
    act(admin, attic, "add_host", 409, host="h-2")
    act(admin, attic, "add_host", 404, host="nowhere")
    act(admin, other, "add_host", 409, host="h-2")
    assert zones(actors.demo(local)) == ["attic", "nova"]
    detail = admin.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    by_name = {each["zoneName"]: each for each in detail}
    assert by_name.keys() == {"internal", "attic", "nova"}
    assert by_name["attic"]["hosts"]["h-2"]["nova-compute"]["available"] is True
    assert chosen(local, zone="attic") == "h-2"
    assert chosen(local, zone="nova") in {"h", "h-3"}
    assert chosen(local, zone="cellar") is None
    assert chosen(local, zone="nova", host="h-2") is None
    assert "not empty" in admin.message("DELETE", attic, 400)
    renamed = admin.put(attic, {"aggregate": {"availability_zone": "loft"}})["aggregate"]
    assert renamed["availability_zone"] == "loft"
    assert chosen(local, zone="loft") == "h-2"
    act(admin, attic, "remove_host", host="h-2")
    act(admin, attic, "remove_host", 404, host="h-2")
    assert zones(admin) == ["nova"]
    assert chosen(local, zone="loft") is None
    admin.delete(attic, status=200)


def test_what_is_said_of_aggregates_keeps_servers_apart(local: Local) -> None:
    admin = actors.admin(local)
    fast = make(admin, "fast")
    for host in ("h", "h-2"):
        act(admin, fast, "add_host", host=host)
    said = act(admin, fast, "set_metadata", metadata={"ssd": "true", "filter_tenant_id": "p1"})
    assert said["aggregate"]["metadata"] == {"ssd": "true", "filter_tenant_id": "p1"}
    assert chosen(local) == "h-3"
    assert chosen(local, project_id="p1", host="h") == "h"
    wants_ssd = placing.Size(1, 1, 1, {"aggregate_instance_extra_specs:ssd": "true"})
    assert chosen(local, size=wants_ssd) is None
    said = act(admin, fast, "set_metadata", metadata={"filter_tenant_id": None})
    assert said["aggregate"]["metadata"] == {"ssd": "true"}
    assert chosen(local, size=wants_ssd) in {"h", "h-2"}
    for wrong in ({"a/b": "x"}, {"a": "x" * 256}, {"": "x"}, {"a": 1}):
        act(admin, fast, "set_metadata", 400, metadata=wrong)
    admin.post(f"{fast}/action", {"unknown": {}}, status=400)


def test_aggregates_are_known_to_placement(local: Local) -> None:
    admin = actors.admin(local)
    path = make(admin, "known")
    uuid = admin.get(path)["aggregate"]["uuid"]
    act(admin, path, "add_host", host="h-3")
    found = ask(local, admin, "GET", f"/resource_providers?member_of={uuid}")
    assert [each["name"] for each in found["resource_providers"]] == ["h-3"]
    act(admin, path, "remove_host", host="h-3")
    found = ask(local, admin, "GET", f"/resource_providers?member_of={uuid}")
    assert found["resource_providers"] == []


def test_services_by_version(local: Local) -> None:
    admin = actors.admin(local)
    listed = admin.get("/os-services")["services"]
    names = [(each["binary"], each["host"]) for each in listed[2:]]
    assert names == [("nova-compute", host) for host in ("h", "h-2", "h-3")]
    assert [each["binary"] for each in listed[:2]] == ["nova-conductor", "nova-scheduler"]
    assert {each["state"] for each in listed} == {"up"}
    assert all(len(each["id"]) == 36 for each in listed)
    old = admin.at("2.10").get("/os-services?host=h-2")["services"]
    assert [each["id"] for each in old] == [4]
    assert old[0].keys() == listed[0].keys() - {"forced_down"}
    assert len(admin.get("/os-services?binary=nova-scheduler")["services"]) == 1


def test_a_host_that_is_disabled_takes_no_servers(local: Local) -> None:
    admin = actors.admin(local)
    ids = {each["host"]: each["id"] for each in admin.get("/os-services")["services"][2:]}
    path = f"/os-services/{ids['h']}"
    body = {"status": "disabled", "disabled_reason": "paint"}
    shown = admin.put(path, body)["service"]
    assert (shown["status"], shown["disabled_reason"], shown["state"]) == (
        "disabled",
        "paint",
        "up",
    )
    assert chosen(local, host="h") is None
    provider = ask(local, admin, "GET", "/resource_providers?required=COMPUTE_STATUS_DISABLED")
    assert [each["name"] for each in provider["resource_providers"]] == ["h"]
    assert admin.get("/os-hypervisors")["hypervisors"][0]["status"] == "disabled"
    shown = admin.put(path, {"status": "enabled"})["service"]
    assert (shown["status"], shown["disabled_reason"]) == ("enabled", None)
    assert chosen(local, host="h") == "h"
    shown = admin.put(path, {"forced_down": True})["service"]
    assert (shown["state"], shown["forced_down"]) == ("down", True)
    assert chosen(local, host="h") is None
    admin.put(path, {"forced_down": False})
    assert chosen(local, host="h") == "h"
    for wrong in (
        {}, {"status": "x"}, {"status": "enabled", "disabled_reason": "x"}, {"forced_down": "x"}
    ):  # fmt: skip
        admin.put(path, wrong, status=400)
    scheduler = admin.get("/os-services?binary=nova-scheduler")["services"][0]["id"]
    admin.put(f"/os-services/{scheduler}", {"status": "disabled"}, status=400)
    admin.put("/os-services/x", {"status": "disabled"}, status=400)
    admin.put(f"/os-services/{'0' * 32}", {"status": "disabled"}, status=404)


def test_services_are_changed_by_name_before_2_53(local: Local) -> None:
    old = actors.admin(local).at("2.52")
    body = {"host": "h", "binary": "nova-compute"}
    assert old.put("/os-services/disable", body)["service"] == {**body, "status": "disabled"}
    told = {**body, "disabled_reason": "paint"}
    shown = old.put("/os-services/disable-log-reason", told)["service"]
    assert shown == {**told, "status": "disabled"}
    assert old.put("/os-services/enable", body)["service"] == {**body, "status": "enabled"}
    forced = {**body, "forced_down": True}
    assert old.put("/os-services/force-down", forced)["service"] == forced
    old.put("/os-services/disable", {"host": "nowhere", "binary": "nova-compute"}, status=404)
    old.put("/os-services/disable", {"host": "h", "binary": "nova-other"}, status=404)
    old.put("/os-services/other", body, status=404)
    old.put("/os-services/disable-log-reason", body, status=400)
    old.at("2.10").put("/os-services/force-down", body, status=404)


def test_a_host_is_forgotten(local: Local) -> None:
    admin = actors.admin(local)
    act(admin, make(admin, "all"), "add_host", host="h-3")
    found = admin.get("/os-services?host=h-3")["services"][0]
    admin.delete(f"/os-services/{found['id']}")
    admin.delete(f"/os-services/{found['id']}", status=404)
    assert len(admin.get("/os-hypervisors")["hypervisors"]) == 2
    assert admin.get("/os-aggregates")["aggregates"][0]["hosts"] == []
    assert ask(local, admin, "GET", "/resource_providers?name=h-3") == {"resource_providers": []}
    assert chosen(local, host="h-3") is None


def test_hypervisors_by_version(local: Local) -> None:
    admin = actors.admin(local)
    listed = admin.get("/os-hypervisors")["hypervisors"]
    assert [each["hypervisor_hostname"] for each in listed] == ["h", "h-2", "h-3"]
    assert listed[0].keys() == {"id", "hypervisor_hostname", "state", "status"}
    path = f"/os-hypervisors/{listed[0]['id']}"
    new = admin.get(path)["hypervisor"]
    assert new.keys() == listed[0].keys() | {
        "hypervisor_type", "hypervisor_version", "host_ip", "service", "uptime"
    }  # fmt: skip
    middle = admin.at("2.87").get(path)["hypervisor"]
    assert (middle["vcpus"], middle["memory_mb"], middle["running_vms"]) == (64, 262_144, 0)
    assert "uptime" not in middle
    assert admin.at("2.87").get(f"{path}/uptime")["hypervisor"]["uptime"]
    admin.get(f"{path}/uptime", status=404)
    old = admin.at("2.1")
    assert [each["id"] for each in old.get("/os-hypervisors")["hypervisors"]] == [1, 2, 3]
    assert isinstance(old.get("/os-hypervisors/1")["hypervisor"]["cpu_info"], str)
    assert old.get("/os-hypervisors/1")["hypervisor"]["service"]["id"] == 3
    totals = old.get("/os-hypervisors/statistics")["hypervisor_statistics"]
    assert (totals["count"], totals["vcpus"]) == (3, 192)
    admin.get("/os-hypervisors/statistics", status=404)
    detail = admin.at("2.53").get("/os-hypervisors/detail")["hypervisors"]
    assert len(detail) == 3
    admin.get("/os-hypervisors/x", status=400)
    admin.get(f"/os-hypervisors/{'0' * 32}", status=404)
    old.get("/os-hypervisors/99", status=404)


def test_hypervisors_are_searched_and_cut(local: Local) -> None:
    admin = actors.admin(local)
    old = admin.at("2.52")
    assert len(old.get("/os-hypervisors/h-/search")["hypervisors"]) == 2
    assert len(old.get("/os-hypervisors/h-2/servers")["hypervisors"]) == 1
    old.get("/os-hypervisors/nowhere/search", status=404)
    found = admin.get("/os-hypervisors?hypervisor_hostname_pattern=h-&with_servers=true")
    assert len(found["hypervisors"]) == 2
    admin.get("/os-hypervisors?hypervisor_hostname_pattern=nowhere", status=404)
    admin.get("/os-hypervisors?hypervisor_hostname_pattern=h&limit=1", status=400)
    page = admin.get("/os-hypervisors?limit=2")
    assert "marker=" in page["hypervisors_links"][0]["href"]
    last = page["hypervisors"][-1]["id"]
    rest = admin.get(f"/os-hypervisors?limit=2&marker={last}")
    assert [each["hypervisor_hostname"] for each in rest["hypervisors"]] == ["h-3"]
    admin.get("/os-hypervisors?marker=x", status=400)
