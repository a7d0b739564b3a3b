"""Servers and volumes: attached while they run, booted from, and let go when they are deleted."""

import json
from typing import Any

import pytest

from tests.cloud import Local
from tests.compute.clients import Client
from tests.image.actors import Actor as ImageActor
from tests.settle import settle

UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Owner(Client):
    """Somebody who has volumes too."""

    def cinder(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.local.ask(method, f"/volume/v3{path}", body, self.member.token)
        assert answer.status == status, answer
        return answer.body if answer.content else None

    def volume(self, **more: Any) -> Any:
        """A new volume."""
        made = self.cinder("POST", "/volumes", {"volume": {"size": 1, **more}}, 202)["volume"]
        settle(self.local)
        return made["id"]

    def state(self, volume: str) -> str:
        return str(self.cinder("GET", f"/volumes/{volume}")["volume"]["status"])

    def is_gone(self, volume: str) -> bool:
        found = self.local.ask("GET", f"/volume/v3/volumes/{volume}", None, self.member.token)
        return found.status == 404

    def booted(self, image: str, keeps: bool) -> Any:
        """A server whose root disk is a new volume of an image."""
        disk = {
            "boot_index": 0, "uuid": image, "source_type": "image", "volume_size": 1,
            "destination_type": "volume", "delete_on_termination": not keeps,
        }  # fmt: skip
        return self.built(imageRef="", block_device_mapping_v2=[disk])

    def snapped(self, server: Any) -> tuple[str, str]:
        """An image of a server that boots from a volume, and the snapshot that it names."""
        image = self.act(server, "createImage", {"name": "snapped"}).body["image_id"]
        settle(self.local)
        shown = self.glance("GET", f"/images/{image}")
        assert (shown["status"], shown["size"]) == ("active", 0)
        (disk,) = json.loads(shown["block_device_mapping"])
        return image, disk["snapshot_id"]

    def glance(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.local.ask(method, f"/image/v2{path}", body, self.member.token)
        assert answer.status == status, answer
        return answer.body if answer.content else None

    def defining(self, *disks: Any, **more: str) -> str:
        """An image that has no data, and says which disks its servers have."""
        mapping = json.dumps(disks)
        images = ImageActor(self.local, self.member.token)
        return str(images.made_active(b"", block_device_mapping=mapping, **more)["id"])

    def root(self, server: Any) -> Any:
        """The only volume that a server has."""
        (found,) = self.show(server)["os-extended-volumes:volumes_attached"]
        return self.cinder("GET", f"/volumes/{found['id']}")["volume"]

    def attach(self, server: Any, volume: str, status: int = 200, **more: Any) -> Any:
        path = f"/servers/{server['id']}/os-volume_attachments"
        body = {"volumeAttachment": {"volumeId": volume, **more}}
        made = self.member.post(path, body, status)
        settle(self.local)
        return made


@pytest.fixture
def owner(local: Local) -> Owner:
    return Owner(local)


def test_a_volume_is_attached_and_detached(owner: Owner) -> None:
    server, volume = owner.built(), owner.volume()
    made = owner.attach(server, volume)["volumeAttachment"]
    assert (made["volumeId"], made["device"]) == (volume, "/dev/vdb")
    assert owner.state(volume) == "in-use"
    path = f"/servers/{server['id']}/os-volume_attachments"
    (listed,) = owner.member.get(path)["volumeAttachments"]
    assert (listed["volumeId"], listed["serverId"]) == (volume, server["id"])
    assert owner.member.get(f"{path}/{volume}")["volumeAttachment"] == listed
    shown = owner.show(server)["os-extended-volumes:volumes_attached"]
    assert shown == [{"id": volume, "delete_on_termination": False}]
    owner.member.delete(f"{path}/{volume}", 202)
    settle(owner.local)
    assert owner.state(volume) == "available"
    assert owner.member.get(path) == {"volumeAttachments": []}
    assert owner.member.ask("DELETE", f"{path}/{volume}").status == 404


def test_a_guest_sees_that_its_volume_has_grown(owner: Owner) -> None:
    server, volume = owner.built(), owner.volume()
    owner.attach(server, volume)
    newest = {"openstack-api-version": "volume 3.42"}
    action = f"/volume/v3/volumes/{volume}/action"
    body = {"os-extend": {"new_size": 3}}
    assert owner.local.ask("POST", action, body, owner.member.token, newest).status == 202
    settle(owner.local)
    assert owner.state(volume) == "in-use"
    path = f"/servers/{server['id']}/os-instance-actions"
    newest_action = owner.member.get(path)["instanceActions"][0]
    assert newest_action["action"] == "extend_volume"
    shown = owner.member.get(f"{path}/{newest_action['request_id']}")["instanceAction"]
    assert [each["result"] for each in shown["events"]] == ["Success"]
    assert shown["events"][0]["event"] == "compute_extend_volume"


def test_volumes_that_cannot_be_attached(owner: Owner) -> None:
    server, volume = owner.built(), owner.volume()
    owner.attach(server, UNKNOWN, 404)
    stranger = Owner(owner.local)
    owner.attach(server, stranger.volume(), 404)
    owner.attach(server, volume, 409, device="/dev/vda")
    owner.attach(server, volume)
    owner.attach(server, volume, 400)
    owner.attach(owner.built(), volume, 400)


def test_a_server_boots_from_a_new_volume(owner: Owner) -> None:
    disk = {
        "boot_index": 0, "uuid": owner.image, "source_type": "image", "volume_size": 1,
        "destination_type": "volume", "delete_on_termination": True,
    }  # fmt: skip
    server = owner.built(imageRef="", block_device_mapping_v2=[disk])
    assert server["image"] == ""
    ((volume),) = server["os-extended-volumes:volumes_attached"]
    assert volume["delete_on_termination"] is True
    assert owner.state(volume["id"]) == "in-use"
    path = f"/servers/{server['id']}/os-volume_attachments/{volume['id']}"
    owner.member.delete(path, 400)
    owner.delete(server)
    assert owner.is_gone(volume["id"])


def test_a_volume_outlives_the_server(owner: Owner) -> None:
    volume = owner.volume(imageRef=owner.image)
    disk = {"boot_index": 0, "uuid": volume, "source_type": "volume", "destination_type": "volume"}
    server = owner.built(imageRef="", block_device_mapping_v2=[disk])
    assert owner.state(volume) == "in-use"
    owner.delete(server)
    assert owner.state(volume) == "available"


def test_more_disks(owner: Owner) -> None:
    volume = owner.volume()
    disks = [
        {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 1},
    ]
    server = owner.built(block_device_mapping_v2=disks)
    attached = server["os-extended-volumes:volumes_attached"]
    assert len(attached) == 2
    owner.delete(server)
    assert owner.state(volume) == "available"


@pytest.mark.parametrize(
    ("disk", "said"),
    [
        ({"source_type": "volume", "destination_type": "volume"}, "Missing device UUID"),
        (
            {"source_type": "volume", "destination_type": "volume", "uuid": UNKNOWN},
            f"failed to get volume {UNKNOWN}",
        ),
        ({"source_type": "blank", "destination_type": "volume"}, "non-zero size"),
        ({"source_type": "volume", "destination_type": "local", "uuid": UNKNOWN}, "combination"),
        ({"source_type": "blank", "destination_type": "local", "boot_index": 3}, "Boot sequence"),
        ({"source_type": "blank", "destination_type": "local", "volume_size": 9}, "larger than"),
    ],
)
def test_disks_that_cannot_be(owner: Owner, disk: Any, said: str) -> None:
    assert said in owner.refused(block_device_mapping_v2=[disk])


def test_somebody_elses_volume_is_not_booted_from(owner: Owner) -> None:
    """OSSA-2013-001."""
    volume = Owner(owner.local).volume(imageRef=None)
    disk = {"boot_index": 0, "uuid": volume, "source_type": "volume", "destination_type": "volume"}
    refusal = owner.refused(imageRef="", block_device_mapping_v2=[disk])
    assert refusal.endswith(f"failed to get volume {volume}.")


def test_an_attachment_may_end_with_the_server(owner: Owner) -> None:
    server, volume = owner.built(), owner.volume()
    owner.attach(server, volume)
    path = f"/servers/{server['id']}/os-volume_attachments/{volume}"
    body = {"volumeAttachment": {"volumeId": volume, "delete_on_termination": True}}
    owner.member.put(path, body, 202)
    assert owner.member.get(path)["volumeAttachment"]["delete_on_termination"] is True
    assert owner.member.at("2.84").ask("PUT", path, body).status in (404, 405)
    owner.delete(server)
    assert owner.is_gone(volume)


def test_a_server_boots_from_an_image_of_volumes(owner: Owner) -> None:
    first = owner.booted(owner.image, keeps=False)
    image, snapshot = owner.snapped(first)
    second = owner.built(imageRef=image)
    assert second["image"]["id"] == image
    volume = owner.root(second)
    assert (volume["snapshot_id"], volume["status"]) == (snapshot, "in-use")
    assert volume["volume_image_metadata"]["image_id"] == owner.image
    (attached,) = volume["attachments"]
    assert (attached["server_id"], attached["device"]) == (second["id"], "/dev/vda")
    owner.delete(second)
    assert owner.is_gone(volume["id"])
    owner.glance("DELETE", f"/images/{image}", None, 204)
    path = f"/snapshots/{snapshot}"
    assert owner.cinder("GET", path)["snapshot"]["status"] == "available"
    owner.cinder("DELETE", path, None, 202)
    settle(owner.local)
    root = owner.root(first)["id"]
    owner.delete(first)
    assert owner.is_gone(root)


def test_a_volume_of_an_image_of_volumes_outlives_the_server_as_its_origin_does(
    owner: Owner,
) -> None:
    image, _ = owner.snapped(owner.booted(owner.image, keeps=True))
    server = owner.built(imageRef=image)
    volume = owner.root(server)["id"]
    owner.delete(server)
    assert owner.state(volume) == "available"


def test_clients_name_an_image_of_volumes_as_the_root_disk(owner: Owner) -> None:
    image, snapshot = owner.snapped(owner.booted(owner.image, keeps=False))
    disk = {"boot_index": 0, "uuid": image, "source_type": "image"}
    local = {**disk, "destination_type": "local"}
    server = owner.built(imageRef=image, block_device_mapping_v2=[local])
    assert owner.root(server)["snapshot_id"] == snapshot
    other = owner.booted(image, keeps=False)
    assert owner.root(other)["snapshot_id"] == snapshot
    assert other["image"] == ""


def test_an_image_names_a_volume_or_an_image_as_the_root_disk(owner: Owner) -> None:
    volume = owner.volume(imageRef=owner.image)
    disk = {"boot_index": 0, "destination_type": "volume", "source_type": "volume"}
    server = owner.built(imageRef=owner.defining({**disk, "uuid": volume}, bdm_v2="True"))
    assert owner.root(server)["id"] == volume
    owner.delete(server)
    assert owner.state(volume) == "available"
    old = owner.defining({"volume_id": volume, "device_name": "/dev/vda"})
    server = owner.built(imageRef=old)
    assert owner.root(server)["id"] == volume
    disk |= {"source_type": "image", "image_id": owner.image, "volume_size": 2, "kept": "more"}
    server = owner.built(imageRef=owner.defining(disk, bdm_v2="True"))
    root = owner.root(server)
    assert (root["volume_image_metadata"]["image_id"], root["size"]) == (owner.image, 2)


def test_disks_of_images_give_way_to_those_of_the_same_name(owner: Owner) -> None:
    volume, own = owner.volume(imageRef=owner.image), owner.volume(imageRef=owner.image)
    disk = {
        "boot_index": 0, "destination_type": "volume", "source_type": "volume",
        "device_name": "/dev/vda",
    }  # fmt: skip
    image = owner.defining({**disk, "uuid": volume}, bdm_v2="True")
    server = owner.built(imageRef=image, block_device_mapping_v2=[{**disk, "uuid": own}])
    assert owner.root(server)["id"] == own
    assert owner.state(volume) == "available"
    more = {**disk, "uuid": owner.volume(imageRef=owner.image), "device_name": "/dev/vdb"}
    said = owner.refused(imageRef=image, block_device_mapping_v2=[more])
    assert "Boot sequence" in said


def test_images_whose_disks_cannot_be(owner: Owner) -> None:
    disk = {"boot_index": 0, "source_type": "snapshot", "destination_type": "volume"}
    foreign = Owner(owner.local)
    _, snapshot = foreign.snapped(foreign.booted(foreign.image, keeps=False))
    for unseen in (UNKNOWN, snapshot):
        image = owner.defining({**disk, "snapshot_id": unseen}, bdm_v2="True")
        assert owner.refused(imageRef=image).endswith(f"failed to get snapshot {unseen}.")
    image = owner.defining({**disk, "snapshot_id": 7}, bdm_v2="True")
    assert "Block Device Mapping is Invalid" in owner.refused(imageRef=image)
    for bad in ("no", {**disk, "snapshot_id": "\0"}):
        image = owner.defining(bad)
        assert "block_device_mapping" in owner.refused(imageRef=image)


def test_one_of_two_servers_lets_go_of_a_volume(local: Local) -> None:
    client = Owner(local)
    wanted = {"name": "of-several", "extra_specs": {"multiattach": "<is> True"}}
    made = local.ask("POST", "/volume/v3/types", {"volume_type": wanted}, client.admin.token)
    assert made.status == 200, made
    volume = client.volume(volume_type="of-several")
    one, two = client.built(), client.built()
    for server in (one, two):
        client.attach(server, volume)
        settle(local)
    assert client.state(volume) == "in-use"
    for server, after in ((one, "in-use"), (two, "available")):
        client.member.delete(f"/servers/{server['id']}/os-volume_attachments/{volume}", status=202)
        assert client.state(volume) == "detaching"  # so that one can wait for what comes after
        settle(local)
        assert client.state(volume) == after


def test_a_volume_that_is_still_being_made_is_not_attached(owner: Owner) -> None:
    server = owner.built()
    made = owner.cinder("POST", "/volumes", {"volume": {"size": 1}}, 202)["volume"]
    assert owner.state(made["id"]) == "creating"
    said = owner.attach(server, made["id"], 400)
    assert "creating" in said["badRequest"]["message"]
    assert owner.state(made["id"]) == "available"
