"""Servers get another size, perhaps on another host, and keep it or have the old one back."""

from typing import Any

import pytest

from tests.compute.movers import Mover
from tests.conftest import Clouds

NANO, MICRO, TINY, SMALL = "42", "84", "1", "2"


@pytest.fixture
def mover(another: Clouds) -> Mover:
    return Mover(another(ONESTACK_AGENT_SIMULATED_HOSTS="2"))


@pytest.fixture
def fixed(another: Clouds) -> Mover:
    """Of a cloud in which a resize always leads to another host."""
    return Mover(
        another(ONESTACK_AGENT_SIMULATED_HOSTS="2", ONESTACK_COMPUTE_RESIZES_ON_SAME_HOST="false")
    )


def resized(mover: Mover, flavor: str = SMALL) -> Any:
    server = mover.built()
    mover.do(server, "resize", {"flavorRef": flavor})
    assert mover.state(server) == ("VERIFY_RESIZE", None)
    return server


def test_a_server_is_resized_and_stays_so(fixed: Mover) -> None:
    server = fixed.built()
    before = fixed.host(server)
    fixed.do(server, "resize", {"flavorRef": SMALL})
    assert fixed.state(server) == ("VERIFY_RESIZE", None)
    after = fixed.host(server)
    assert after != before
    assert fixed.guests(server)[after].power == "running"
    (migration,) = fixed.migrations(server)
    assert (migration["status"], migration["migration_type"]) == ("finished", "resize")
    assert (migration["source_compute"], migration["dest_compute"]) == (before, after)
    assert (migration["old_instance_type_id"], migration["new_instance_type_id"]) == (42, 2)
    assert fixed.held(server["id"]) == {after: {"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20}}
    assert fixed.held(migration["uuid"]) == {before: {"VCPU": 1, "MEMORY_MB": 128, "DISK_GB": 1}}
    fixed.do(server, "confirmResize", status=204)
    assert fixed.state(server) == ("ACTIVE", None)
    assert fixed.show(server)["flavor"]["original_name"] == "m1.small"
    assert set(fixed.guests(server)) == {after}
    assert fixed.held(migration["uuid"]) == {}
    assert fixed.migrations(server)[0]["status"] == "confirmed"
    assert fixed.actions(server)[:2] == [("confirmResize", None), ("resize", None)]


def test_a_resize_is_taken_back(fixed: Mover) -> None:
    server = fixed.built()
    before, held = fixed.host(server), fixed.held(server["id"])
    fixed.do(server, "resize", {"flavorRef": SMALL})
    fixed.do(server, "revertResize")
    assert fixed.state(server) == ("ACTIVE", None)
    assert fixed.host(server) == before
    assert fixed.show(server)["flavor"]["original_name"] == "m1.nano"
    assert {host: each.power for host, each in fixed.guests(server).items()} == {before: "running"}
    (migration,) = fixed.migrations(server)
    assert migration["status"] == "reverted"
    assert (fixed.held(server["id"]), fixed.held(migration["uuid"])) == (held, {})


def test_a_resize_may_stay_on_its_host(mover: Mover) -> None:
    server = resized(mover)
    (migration,) = mover.migrations(server)
    claims = [mover.held(each) for each in (server["id"], migration["uuid"])]
    assert sum(len(each) for each in claims) == 2
    assert len(mover.guests(server)) >= 1
    mover.do(server, "revertResize")
    assert mover.held(migration["uuid"]) == {}
    assert mover.show(server)["flavor"]["ram"] == 128


def test_a_stopped_server_is_resized_and_stays_stopped(mover: Mover) -> None:
    server = mover.built()
    mover.do(server, "os-stop")
    mover.do(server, "resize", {"flavorRef": MICRO})
    assert mover.state(server) == ("VERIFY_RESIZE", None)
    mover.do(server, "confirmResize", status=204)
    assert mover.state(server) == ("SHUTOFF", None)


@pytest.mark.parametrize(
    ("flavor", "text"),
    [
        (NANO, "instances must change flavor"),
        ("none", "Unable to locate requested flavor"),
    ],
)
def test_what_is_no_other_size_is_refused(mover: Mover, flavor: str, text: str) -> None:
    server = mover.built()
    answer = mover.act(server, "resize", {"flavorRef": flavor})
    assert answer.status == 400
    assert text in answer.body["badRequest"]["message"]
    assert mover.state(server) == ("ACTIVE", None)


def test_a_disk_is_never_made_smaller(mover: Mover) -> None:
    server = resized(mover)
    mover.do(server, "confirmResize", status=204)
    answer = mover.act(server, "resize", {"flavorRef": NANO})
    assert (answer.status, "resize disk down" in answer.content.decode()) == (400, True)


def test_a_resize_is_within_quota(mover: Mover) -> None:
    server = mover.built()
    quota = {"quota_set": {"ram": 1000}}
    mover.admin.put(f"/os-quota-sets/{mover.member.project}", quota)
    answer = mover.act(server, "resize", {"flavorRef": SMALL})
    assert answer.status == 403
    assert "Quota exceeded for ram" in answer.body["forbidden"]["message"]


def test_where_there_is_no_room_all_stays_as_it_was(mover: Mover) -> None:
    server = mover.built()
    flavor = {"name": "giant", "ram": 200_000_000, "vcpus": 1, "disk": 20}
    made = mover.admin.post("/flavors", {"flavor": flavor}, 200)["flavor"]
    quota = {"quota_set": {"ram": -1}}
    mover.admin.put(f"/os-quota-sets/{mover.member.project}", quota)
    held = mover.held(server["id"])
    mover.do(server, "resize", {"flavorRef": made["id"]})
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.held(server["id"]) == held
    (migration,) = mover.migrations(server)
    assert (migration["status"], mover.held(migration["uuid"])) == ("error", {})
    assert mover.actions(server)[0] == ("resize", "Error")
    assert len(mover.guests(server)) == 1


@pytest.mark.parametrize("name", ["confirmResize", "revertResize"])
def test_only_what_was_resized_is_confirmed(mover: Mover, name: str) -> None:
    server = mover.built()
    answer = mover.act(server, name)
    assert answer.status == 409
    assert answer.body["conflictingRequest"]["message"] == (
        f"Cannot '{name}' instance {server['id']} while it is in vm_state active"
    )


def test_a_resized_server_is_deleted_with_all_that_it_held(fixed: Mover) -> None:
    server = resized(fixed)
    (migration,) = fixed.migrations(server)
    assert len(fixed.guests(server)) >= 1
    fixed.delete(server)
    assert fixed.guests(server) == {}
    assert (fixed.held(server["id"]), fixed.held(migration["uuid"])) == ({}, {})


def test_a_server_is_deleted_while_it_is_resized(fixed: Mover) -> None:
    server = fixed.built()
    assert fixed.act(server, "resize", {"flavorRef": SMALL}).status == 202
    assert fixed.state(server) == ("RESIZE", "resize_prep")
    fixed.delete(server)
    assert fixed.guests(server) == {}
    assert fixed.held(server["id"]) == {}
    assert all(fixed.held(each["uuid"]) == {} for each in fixed.migrations(server))


def test_a_cold_migration_is_a_resize_to_another_host(mover: Mover) -> None:
    server = mover.built()
    before = mover.host(server)
    mover.order(server, "migrate")
    assert mover.state(server) == ("VERIFY_RESIZE", None)
    assert mover.host(server) != before
    assert mover.migrations(server)[0]["migration_type"] == "migration"
    mover.do(server, "confirmResize", status=204)
    assert mover.actions(server)[1] == ("migrate", None)


def test_a_cold_migration_goes_where_it_is_told(mover: Mover) -> None:
    server = mover.built()
    before = mover.host(server)
    (other,) = set(mover.hosts()) - {before}
    for host, text in ((before, "to current host"), ("none", "could not be found")):
        asked = {"migrate": {"host": host}}
        answer = mover.admin.ask("POST", f"/servers/{server['id']}/action", asked)
        assert (answer.status, text in answer.content.decode()) == (400, True)
    mover.order(server, "migrate", {"host": other})
    assert mover.host(server) == other


def test_only_administrators_migrate(mover: Mover) -> None:
    server = mover.built()
    live = {"host": None, "block_migration": "auto"}
    for name, value in (("migrate", None), ("os-migrateLive", live), ("evacuate", {})):
        assert mover.act(server, name, value).status == 403
    assert mover.member.ask("GET", "/os-migrations").status == 403
