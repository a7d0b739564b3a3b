"""Servers are shelved and come back; images are made of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from onestack.core.seal import Seal
from onestack.image.tickets import Gate
from tests.compute.movers import Mover
from tests.conftest import Clouds
from tests.core.test_server import Serving
from tests.settle import settle


@pytest.fixture
def mover(another: Clouds) -> Iterator[Mover]:
    """A cloud that answers on a port too, where hosts send images."""
    found = Mover(another(ONESTACK_AGENT_SIMULATED_HOSTS="2"))
    serving = Serving(found.local)  # type: ignore[arg-type]
    cloud = found.local.cloud
    cloud.put(Gate(f"http://127.0.0.1:{serving.port}", cloud.get(Seal)))
    yield found
    serving.close()


def image_of(mover: Mover, image_id: str) -> Any:
    return mover.local.ask("GET", f"/image/v2/images/{image_id}", None, mover.member.token)


def test_an_image_is_made_of_a_server(mover: Mover) -> None:
    server = mover.built()
    asked = {"name": "made", "metadata": {"colour": "red"}}
    answer = mover.act(server, "createImage", asked)
    assert answer.status == 202
    image_id = answer.body["image_id"]
    assert image_of(mover, image_id).body["status"] == "queued"
    assert mover.state(server) == ("ACTIVE", "image_snapshot")
    assert mover.act(server, "createImage", asked).status == 409
    settle(mover.local)
    made = image_of(mover, image_id).body
    assert (made["status"], made["name"], made["size"] > 0) == ("active", "made", True)
    assert made["colour"] == "red"
    assert (made["image_type"], made["instance_uuid"]) == ("snapshot", server["id"])
    assert made["base_image_ref"] == mover.image
    assert made["owner"] == mover.member.project
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.actions(server)[0] == ("createImage", None)


def test_an_image_is_told_by_its_address_before_2_45(mover: Mover) -> None:
    server = mover.built()
    old = mover.member.at("2.44")
    answer = old.ask("POST", f"/servers/{server['id']}/action", {"createImage": {"name": "x"}})
    assert (answer.status, answer.content) == (202, b"")
    assert "/image/v2/images/" in answer.headers["location"]


def test_no_image_is_left_of_a_server_that_is_deleted_meanwhile(mover: Mover) -> None:
    server = mover.built()
    image_id = mover.act(server, "createImage", {"name": "lost"}).body["image_id"]
    mover.delete(server)
    assert image_of(mover, image_id).status == 404


def test_no_image_is_left_where_the_host_fails(mover: Mover) -> None:
    server = mover.built()
    image_id = mover.act(server, "createImage", {"name": "lost"}).body["image_id"]
    mover.local.cloud.put(Gate("http://127.0.0.1:1", mover.local.cloud.get(Seal)))
    for _ in range(8):
        settle(mover.local)
    assert mover.state(server)[0] == "ACTIVE"
    assert image_of(mover, image_id).body.get("status") != "active"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x", "metadata": {"a": 1}}, []])
def test_wrong_images_are_refused(mover: Mover, body: Any) -> None:
    server = mover.built()
    assert mover.act(server, "createImage", body).status == 400
    assert mover.state(server) == ("ACTIVE", None)


def test_a_server_is_shelved_and_comes_back(mover: Mover) -> None:
    server = mover.built(name="sleeper")
    held = mover.held(server["id"])
    mover.do(server, "shelve")
    shown = mover.show(server, mover.admin)
    assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"]) == ("SHELVED_OFFLOADED", None)
    assert (mover.guests(server), mover.held(server["id"])) == ({}, {})
    path = "/image/v2/images?name=sleeper-shelved"
    images = mover.local.ask("GET", path, None, mover.member.token).body["images"]
    assert [each["status"] for each in images] == ["active"]
    for name in ("shelve", "os-stop", "pause", "reboot"):
        value = {"type": "HARD"} if name == "reboot" else None
        assert mover.act(server, name, value).status == 409
    mover.do(server, "unshelve")
    assert mover.state(server) == ("ACTIVE", None)
    assert [each.power for each in mover.guests(server).values()] == ["running"]
    assert list(mover.held(server["id"]).values()) == list(held.values())
    assert mover.show(server)["image"]["id"] == mover.image
    assert mover.local.ask("GET", path, None, mover.member.token).body["images"] == []
    assert mover.actions(server)[:2] == [("unshelve", None), ("shelve", None)]


def test_a_server_comes_back_where_it_is_told(mover: Mover) -> None:
    server = mover.built()
    other = next(each for each in mover.hosts() if each != mover.host(server))
    mover.do(server, "shelve")
    assert mover.act(server, "unshelve", {"host": other}).status == 403
    assert mover.act(server, "unshelve", {"availability_zone": "moon"}).status == 400
    mover.order(server, "unshelve", {"host": other})
    assert mover.host(server) == other


def test_a_shelved_server_is_deleted_with_its_image(mover: Mover) -> None:
    server = mover.built(name="gone")
    mover.do(server, "shelve")
    mover.delete(server)
    path = "/image/v2/images?name=gone-shelved"
    assert mover.local.ask("GET", path, None, mover.member.token).body["images"] == []


def test_only_a_shelved_server_is_unshelved(mover: Mover) -> None:
    server = mover.built()
    assert mover.act(server, "unshelve").status == 409
    assert mover.act(server, "shelveOffload").status == 403
    asked = {"shelveOffload": None}
    assert mover.admin.ask("POST", f"/servers/{server['id']}/action", asked).status == 409


def test_backups_are_rotated(mover: Mover) -> None:
    server = mover.built()
    made = []
    for at in range(3):
        asked = {"name": f"b{at}", "backup_type": "daily", "rotation": 2}
        made.append(mover.do(server, "createBackup", asked).body["image_id"])
    weekly = {"name": "w", "backup_type": "weekly", "rotation": 1}
    made.append(mover.do(server, "createBackup", weekly).body["image_id"])
    assert [image_of(mover, each).status for each in made] == [404, 200, 200, 200]
    kept = image_of(mover, made[2]).body
    assert (kept["image_type"], kept["backup_type"]) == ("backup", "daily")
    nothing = {"name": "n", "backup_type": "daily", "rotation": 0}
    mover.do(server, "createBackup", nothing)
    assert [image_of(mover, each).status for each in made] == [404, 404, 404, 200]
    for wrong in ({"rotation": -1}, {"rotation": "x"}, {"backup_type": 1}, {"name": ""}):
        assert mover.act(server, "createBackup", {**weekly, **wrong}).status == 400


def test_a_server_is_rescued(mover: Mover) -> None:
    server = mover.built()
    answer = mover.do(server, "rescue", {"adminPass": "secret"}, 200)
    assert answer.body == {"adminPass": "secret"}
    assert mover.state(server) == ("RESCUE", None)
    (guest,) = mover.guests(server).values()
    assert (guest.disks[0].partition("-")[0], guest.disks[1:]) == ("rescue", ["root"])
    assert mover.act(server, "rescue").status == 409
    assert mover.act(server, "pause").status == 409
    mover.do(server, "unrescue")
    assert mover.state(server) == ("ACTIVE", None)
    (guest,) = mover.guests(server).values()
    assert guest.disks == ["root"]
    assert mover.act(server, "unrescue").status == 409
    assert mover.act(server, "rescue", {"rescue_image_ref": "none"}).status == 400


def test_a_server_is_deleted_by_force(mover: Mover) -> None:
    server = mover.built()
    mover.do(server, "forceDelete")
    assert mover.member.ask("GET", f"/servers/{server['id']}").status == 404
