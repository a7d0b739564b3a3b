"""Images and hosts, as old clients ask the compute service for them."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.cloud import Local
from tests.compute import actors
from tests.compute.actors import Actor
from tests.compute.clients import Client
from tests.image import actors as image_actors


class Photographer:
    """Somebody with images of their own."""

    def __init__(self, local: Local, name: str) -> None:
        self.image = image_actors.newcomer(local, name)
        self.old = Actor(local, self.image.token, self.image.project, "2.35")

    def made(self, **attributes: Any) -> Any:
        return self.image.made_active(**attributes)

    def names(self, query: str) -> set[str]:
        return {each["name"] for each in self.old.get(f"/images?{query}")["images"]}


def test_an_image_is_shown(local: Local) -> None:
    me = Photographer(local, "proxy-show")
    made = me.made(name="shown", min_ram=3, min_disk=2, mood="good", auto_disk_config="True")
    shown = me.old.get(f"/images/{made['id']}")["image"]
    assert shown == {
        "id": made["id"], "name": "shown", "status": "ACTIVE", "progress": 100, "minRam": 3,
        "minDisk": 2, "created": made["created_at"], "updated": made["updated_at"],
        "OS-EXT-IMG-SIZE:size": 4, "OS-DCF:diskConfig": "AUTO", "links": shown["links"],
        "metadata": {"mood": "good", "auto_disk_config": "True"},
    }  # fmt: skip
    assert [each["rel"] for each in shown["links"]] == ["self", "bookmark", "alternate"]
    queued = me.image.make(name="queued")
    assert me.old.get(f"/images/{queued['id']}")["image"]["status"] == "SAVING"
    me.old.get(f"/images/{'0' * 32}", status=404)
    me.old.at("2.36").get(f"/images/{made['id']}", status=404)


def test_images_are_listed(local: Local) -> None:
    me = Photographer(local, "proxy-list")
    first = me.made(name="p1", instance_uuid="server-1", image_type="snapshot")
    me.made(name="p2", min_ram=7)
    me.image.make(name="p3")
    assert {"p1", "p2", "p3"} <= me.names("")
    assert me.names("name=p1") == {"p1"}
    assert me.names("server=server-1") == {"p1"}
    assert me.names("server=http://x/servers/server-1") == {"p1"}
    assert me.names("type=snapshot&name=p1") == {"p1"}
    assert me.names("minRam=7&name=p2") == {"p2"}
    assert "p3" in me.names("status=saving")
    assert "p3" not in me.names("status=ACTIVE")
    assert me.names("changes-since=2099-01-01T00:00:00Z") == set()
    assert "p1" in me.names(f"changes-since={quote(first['updated_at'])}")
    page = me.old.get("/images?limit=1")
    assert len(page["images"]) == 1
    assert "marker=" in page["images_links"][0]["href"]
    detail = {each["name"]: each for each in me.old.get("/images/detail")["images"]}
    assert detail["p1"]["server"]["id"] == "server-1"


def test_what_is_said_of_an_image_is_changed(local: Local) -> None:
    me = Photographer(local, "proxy-metadata")
    made = me.made(name="said", one="1")
    path = f"/images/{made['id']}/metadata"
    both = {"metadata": {"one": "1", "two": "2"}}
    assert me.old.post(path, {"metadata": {"two": "2"}}) == both
    assert me.old.get(path) == both
    assert me.old.put(path, {"metadata": {"three": "3"}}) == {"metadata": {"three": "3"}}
    assert me.old.put(f"{path}/four", {"meta": {"four": "4"}}) == {"meta": {"four": "4"}}
    assert me.old.get(f"{path}/four") == {"meta": {"four": "4"}}
    me.old.put(f"{path}/four", {"meta": {"five": "4"}}, status=400)
    me.old.put(f"{path}/four", {"meta": {}}, status=400)
    me.old.delete(f"{path}/four")
    me.old.delete(f"{path}/four", status=404)
    me.old.get(f"{path}/four", status=404)
    assert me.image.get(f"/images/{made['id']}")["three"] == "3"


def test_the_image_services_rules_hold(local: Local) -> None:
    me, other = Photographer(local, "proxy-me"), Photographer(local, "proxy-other")
    hidden = me.made(name="hidden")
    public = actors.admin(local)
    other.old.get(f"/images/{hidden['id']}", status=404)
    other.old.delete(f"/images/{hidden['id']}", status=404)
    other.old.post(f"/images/{hidden['id']}/metadata", {"metadata": {"x": "y"}}, status=404)
    kept = me.made(name="kept", protected=True)
    me.old.delete(f"/images/{kept['id']}", status=403)
    me.old.delete(f"/images/{hidden['id']}")
    me.image.get(f"/images/{hidden['id']}", status=404)
    assert public.at("2.1").get("/images")["images"] is not None
    actors.Actor(local, None, version="2.1").get("/images", status=401)


@pytest.fixture
def client(local: Local) -> Client:
    return Client(local)


def test_hosts_as_they_were(client: Client) -> None:
    server = client.built()
    host = client.show(server, client.admin)["OS-EXT-SRV-ATTR:host"]
    old = client.admin.at("2.42")
    listed = old.get("/os-hosts")["hosts"]
    assert {each["service"] for each in listed} == {"conductor", "scheduler", "compute"}
    assert old.get("/os-hosts?service=compute&zone=moon")["hosts"] == []
    account = [each["resource"] for each in old.get(f"/os-hosts/{host}")["host"]]
    by_project = {each["project"]: each for each in account}
    assert by_project[client.member.project]["memory_mb"] == 128
    assert by_project["(total)"]["cpu"] == 64
    assert by_project["(used_now)"]["cpu"] >= 1
    old.get("/os-hosts/nowhere", status=404)
    assert old.put(f"/os-hosts/{host}", {"status": "disable"}) == {
        "host": host, "status": "disabled"
    }  # fmt: skip
    assert client.admin.get(f"/os-services?host={host}")["services"][-1]["status"] == "disabled"
    old.put(f"/os-hosts/{host}", {"status": "enable"})
    old.put(f"/os-hosts/{host}", {"maintenance_mode": "enable"}, status=501)
    old.put(f"/os-hosts/{host}", {}, status=400)
    old.put(f"/os-hosts/{host}", {"status": "x"}, status=400)
    old.put("/os-hosts/nowhere", {"status": "enable"}, status=404)
    old.get(f"/os-hosts/{host}/reboot", status=501)
    old.get("/os-hosts/nowhere/reboot", status=404)
    client.member.at("2.42").get(f"/os-hosts/{host}/reboot", status=403)
    client.admin.get("/os-hosts", status=404)
    client.member.at("2.42").get("/os-hosts", status=403)
