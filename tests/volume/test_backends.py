"""What administrators see of backends, and what everybody sees of the service."""

from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import admin, newcomer


def test_services_are_seen_and_switched_off(fresh: Local) -> None:
    boss, user = admin(fresh), newcomer(fresh, "backends")
    settle(fresh)
    user.get("/os-services", 403)
    (service,) = boss.get("/os-services?binary=cinder-volume")["services"]
    assert (service["state"], service["status"], service["zone"]) == ("up", "enabled", "nova")
    assert boss.get("/os-services?binary=other")["services"] == []
    assert boss.get("/os-services?host=other")["services"] == []
    named = {"host": service["host"], "binary": "cinder-volume"}
    boss.put("/os-services/disable-log-reason", named, 400)
    off = boss.put("/os-services/disable-log-reason", {**named, "disabled_reason": "repair"})
    assert (off["status"], off["disabled_reason"]) == ("disabled", "repair")
    assert boss.get("/os-services")["services"][1]["disabled_reason"] == "repair"
    user.volume("error")
    boss.put("/os-services/enable", named)
    user.volume()
    boss.put("/os-services/disable", named)
    boss.put("/os-services/disable", {**named, "host": "other"}, 404)
    boss.put("/os-services/enable", {**named, "binary": "other"}, 404)


def test_a_backend_is_frozen_and_thawed(fresh: Local) -> None:
    boss, user = admin(fresh), newcomer(fresh, "frozen")
    settle(fresh)
    (service,) = boss.get("/os-services?binary=cinder-volume")["services"]
    named = {"host": service["host"]}
    user.put("/os-services/freeze", named, 403)
    boss.put("/os-services/freeze", named, 202)
    (service,) = boss.get("/os-services?binary=cinder-volume")["services"]
    assert (service["frozen"], service["status"]) == (True, "disabled")
    user.volume("error")
    user.put("/os-services/thaw", named, 403)
    boss.put("/os-services/thaw", named, 202)
    (service,) = boss.get("/os-services?binary=cinder-volume")["services"]
    assert (service["frozen"], service["status"]) == (False, "enabled")
    user.volume()
    for verb in ("freeze", "thaw"):
        boss.put(f"/os-services/{verb}", {"host": "nowhere"}, 400)
        boss.put(f"/os-services/{verb}", {}, 400)


def test_a_thing_without_a_name_is_not_its_list(local: Local) -> None:
    user = newcomer(local, "nameless")
    user.get("/volumes/", 404)
    user.get("/volumes")


def test_pools_hosts_and_capabilities(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "backends-pools")
    user.volume(size=2)
    for path in ("/scheduler-stats/get_pools", "/os-hosts", "/os-hosts/x", "/capabilities/x"):
        user.get(path, 403)
    (pool,) = boss.get("/scheduler-stats/get_pools")["pools"]
    assert set(pool) == {"name"}
    (pool,) = boss.get("/scheduler-stats/get_pools?detail=True")["pools"]
    assert pool["capabilities"]["allocated_capacity_gb"] >= 2
    assert pool["capabilities"]["storage_protocol"] == "simulated"
    scheduler, host = boss.get("/os-hosts")["hosts"]
    assert scheduler["service"] == "cinder-scheduler"
    assert (host["service-status"], host["service-state"]) == ("available", "enabled")
    total, *rest = boss.get(f"/os-hosts/{host['host_name']}")["host"]
    assert total["resource"]["project"] == "(total)"
    mine = [e["resource"] for e in rest if e["resource"]["project"] == user.project]
    assert [(e["volume_count"], e["total_volume_gb"]) for e in mine] == [("1", "2")]
    boss.get("/os-hosts/other", 404)
    name = pool["name"].partition("#")[0]
    assert boss.get(f"/capabilities/{name}")["storage_protocol"] == "simulated"
    boss.get("/capabilities/other", 404)


def test_what_the_service_is(local: Local) -> None:
    user = newcomer(local, "backends-service")
    answer = local.ask("GET", "/volume/")
    assert answer.status == 300
    (version,) = answer.body["versions"]
    assert (version["id"], version["version"], version["min_version"]) == ("v3.0", "3.70", "3.0")
    assert version["media-types"][0]["base"] == "application/json"
    assert local.ask("GET", "/volume/v3/").body["versions"] == [version]
    (zone,) = user.get("/os-availability-zone")["availabilityZoneInfo"]
    assert zone == {"zoneName": "nova", "zoneState": {"available": True}}
    aliases = [each["alias"] for each in user.get("/extensions")["extensions"]]
    assert "os-volume-actions" in aliases
    (filters,) = user.get("/resource_filters?resource=pool")["resource_filters"]
    assert filters == {"resource": "pool", "filters": ["name", "volume_type"]}
    user.at("3.32").get("/resource_filters", 404)
    user.at("3.71").get("/volumes", 406)
    user.at("latest").get("/volumes")
