"""Servers move to other hosts while they run, or when their host is dead."""

from typing import Any

import pytest

from onestack.core.engine import Engine
from tests import accounts
from tests.compute.actors import Actor
from tests.compute.movers import Mover
from tests.conftest import Clouds
from tests.settle import settle

AUTO = {"host": None, "block_migration": "auto"}


@pytest.fixture
def mover(another: Clouds) -> Mover:
    return Mover(another(ONESTACK_AGENT_SIMULATED_HOSTS="3"))


def test_a_server_moves_while_it_runs(mover: Mover) -> None:
    server = mover.built()
    before, held = mover.host(server), mover.held(server["id"])
    asked = mover.admin.ask("POST", f"/servers/{server['id']}/action", {"os-migrateLive": AUTO})
    assert asked.status == 202
    assert mover.state(server) == ("MIGRATING", "migrating")
    mover._done(asked, 202)
    after = mover.host(server)
    assert after != before
    assert mover.state(server) == ("ACTIVE", None)
    assert {host: each.power for host, each in mover.guests(server).items()} == {after: "running"}
    assert mover.held(server["id"]) == {after: held[before]}
    (migration,) = mover.migrations(server)
    assert (migration["status"], migration["migration_type"]) == ("completed", "live-migration")
    assert mover.held(migration["uuid"]) == {}
    assert mover.actions(server)[0] == ("live-migration", None)


@pytest.mark.parametrize("verb", ["migrate", "os-migrateLive"])
def test_the_host_that_a_server_left_is_as_good_as_before(another: Clouds, verb: str) -> None:
    mover = Mover(another(ONESTACK_AGENT_SIMULATED_HOSTS="2"))
    server = mover.built()
    left = mover.host(server)
    mover.order(server, verb, AUTO if verb == "os-migrateLive" else None)
    if verb == "migrate":
        mover.do(server, "confirmResize", status=204)
    assert mover.host(mover.built(name="next")) == left


@pytest.mark.parametrize(
    "asked", [{"migrate": None}, {"os-migrateLive": AUTO}, {"resize": {"flavorRef": "84"}}]
)
def test_a_host_that_is_silent_sends_no_guest(mover: Mover, asked: dict[str, Any]) -> None:
    server = mover.built()
    mover.silence(mover.host(server))
    answer = mover.admin.ask("POST", f"/servers/{server['id']}/action", asked)
    assert (answer.status, "unavailable at this time" in answer.content.decode()) == (400, True)
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.migrations(server) == []


def test_a_migration_is_shown_while_it_is_under_way(mover: Mover) -> None:
    server = mover.built()
    mover.admin.ask("POST", f"/servers/{server['id']}/action", {"os-migrateLive": AUTO})
    mover.admin.get(f"/servers/{server['id']}/migrations")
    mover.order(server, "lock")
    shown = mover.admin.get(f"/servers/{server['id']}/migrations")["migrations"]
    assert shown == []
    assert mover.member.ask("GET", f"/servers/{server['id']}/migrations").status == 403
    answer = mover.admin.ask("GET", f"/servers/{server['id']}/migrations/77")
    assert answer.status == 404


def test_a_projects_manager_moves_its_servers(mover: Mover) -> None:
    server = mover.built()
    before = mover.host(server)
    other = sorted(set(mover.hosts()) - {before})[0]
    known = accounts.newcomer(mover.local, "boss", "manager", mover.member.project)
    manager = Actor(mover.local, known.token, known.project, "2.104")
    path = f"/servers/{server['id']}"
    for named in ({"os-migrateLive": {**AUTO, "host": other}}, {"migrate": {"host": other}}):
        assert manager.ask("POST", f"{path}/action", named).status == 403
    for asked in ({"os-migrateLive": AUTO}, {"migrate": None}):
        assert mover.member.ask("POST", f"{path}/action", asked).status == 403
    manager.post(f"{path}/action", {"os-migrateLive": AUTO}, 202)
    assert mover.local.cloud.get(Engine).run_one()  # the other host is chosen
    (shown,) = manager.get(f"{path}/migrations")["migrations"]
    (whole,) = mover.admin.get(f"{path}/migrations")["migrations"]
    assert (shown["source_compute"], whole["source_compute"]) == (None, before)
    assert {each for each in whole if shown[each] != whole[each]} == {
        "source_compute", "source_node", "dest_compute", "dest_node", "dest_host",
    }  # fmt: skip
    settle(mover.local)
    assert mover.host(server) != before


def test_a_host_may_be_named(mover: Mover) -> None:
    server = mover.built()
    before = mover.host(server)
    other = sorted(set(mover.hosts()) - {before})[0]
    mover.order(server, "os-migrateLive", {"host": other, "block_migration": False})
    assert mover.host(server) == other
    for host, text in ((other, "to current host"), ("none", "could not be found")):
        asked = {"os-migrateLive": {"host": host, "block_migration": "auto"}}
        answer = mover.admin.ask("POST", f"/servers/{server['id']}/action", asked)
        assert (answer.status, text in answer.content.decode()) == (400, True)


def test_a_paused_server_moves_too_a_stopped_one_does_not(mover: Mover) -> None:
    server = mover.built()
    mover.do(server, "os-stop")
    asked = {"os-migrateLive": AUTO}
    assert mover.admin.ask("POST", f"/servers/{server['id']}/action", asked).status == 409
    mover.do(server, "os-start")
    mover.do(server, "pause")
    mover.order(server, "os-migrateLive", AUTO)
    assert mover.state(server) == ("PAUSED", None)


def test_where_nothing_is_free_a_server_stays(mover: Mover) -> None:
    server = mover.built()
    before, held = mover.host(server), mover.held(server["id"])
    for other in set(mover.hosts()) - {before}:
        mover.silence(other)
    mover.local.environ = {**mover.local.environ}
    from onestack.compute.hosts import Hosts

    mover.local.cloud.get(Hosts)._trouble_read_at = -100.0
    mover.order(server, "os-migrateLive", AUTO)
    assert (mover.host(server), mover.state(server)) == (before, ("ACTIVE", None))
    assert mover.held(server["id"]) == held
    (migration,) = mover.migrations(server)
    assert (migration["status"], mover.held(migration["uuid"])) == ("error", {})
    assert mover.actions(server)[0] == ("live-migration", "Error")


def test_old_clients_say_what_they_like_when_they_migrate(mover: Mover) -> None:
    server = mover.built()
    path = f"/servers/{server['id']}/action"
    asked: dict[str, Any] = {"migrate": {"host": None}}
    assert mover.admin.at("2.56").ask("POST", path, {"migrate": {"hosts": []}}).status == 400
    assert mover.admin.at("2.55").ask("POST", path, asked).status == 202
    settle(mover.local)
    mover.do(server, "confirmResize", status=204)
    assert mover.admin.at("2.56").ask("POST", path, asked).status == 202


def test_a_server_is_evacuated_from_a_dead_host(mover: Mover) -> None:
    server = mover.built()
    before = mover.host(server)
    asked = {"evacuate": {}}
    answer = mover.admin.ask("POST", f"/servers/{server['id']}/action", asked)
    assert (answer.status, "is still in use" in answer.content.decode()) == (400, True)
    mover.silence(before)
    mover.order(server, "evacuate", {}, 200)
    after = mover.host(server)
    assert after != before
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.guests(server)[after].power == "running"
    assert set(mover.held(server["id"])) == {after}
    assert mover.migrations(server)[0]["migration_type"] == "evacuation"
    assert mover.migrations(server)[0]["status"] == "done"


def test_a_stopped_server_is_stopped_elsewhere(mover: Mover) -> None:
    server = mover.built()
    mover.do(server, "os-stop")
    mover.silence(mover.host(server))
    mover.order(server, "evacuate", {}, 200)
    assert mover.state(server) == ("SHUTOFF", None)
    assert mover.guests(server)[mover.host(server)].power == "shutdown"


def test_migrations_are_listed_by_pages(mover: Mover) -> None:
    server = mover.built()
    for _ in range(3):
        mover.order(server, "os-migrateLive", AUTO)
    ids = [each["id"] for each in mover.migrations(server)]
    assert ids == sorted(ids, reverse=True)
    path = f"/os-migrations?instance_uuid={server['id']}"
    first = mover.admin.get(f"{path}&limit=2")
    assert [each["id"] for each in first["migrations"]] == ids[:2]
    (link,) = first["migrations_links"]
    assert link["rel"] == "next"
    rest = mover.admin.get(f"{path}&limit=2&marker={first['migrations'][-1]['uuid']}")
    assert [each["id"] for each in rest["migrations"]] == ids[2:]
    assert "migrations_links" not in rest
    host = mover.host(server)
    by_host = mover.admin.get(f"{path}&host={host}")["migrations"]
    assert all(host in (each["source_compute"], each["dest_compute"]) for each in by_host)
    for wrong in ("marker=none", "changes-since=x"):
        assert mover.admin.ask("GET", f"/os-migrations?{wrong}").status == 400


@pytest.mark.parametrize(
    ("version", "there", "not_there"),
    [
        ("2.1", "id", "migration_type"),
        ("2.23", "migration_type", "uuid"),
        ("2.59", "uuid", "user_id"),
        ("2.80", "user_id", "nothing"),
    ],
)
def test_what_is_shown_of_a_migration_grew(
    mover: Mover, version: str, there: str, not_there: str
) -> None:
    server = mover.built()
    mover.order(server, "os-migrateLive", AUTO)
    (shown,) = mover.admin.at(version).get(f"/os-migrations?instance_uuid={server['id']}")[
        "migrations"
    ]
    assert there in shown
    assert not_there not in shown
