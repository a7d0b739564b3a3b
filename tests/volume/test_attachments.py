"""Attachments: those of clients who connect by themselves, and those that servers have."""

from onestack import volume as volumes
from onestack.core.db import Database
from onestack.core.engine import Engine
from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import Actor, admin, newcomer

SERVER = "8e7f2e55-8f3c-4d2c-b9c1-1b9b7a1b8a11"
CONNECTOR = {"host": "h", "ip": "10.0.0.1", "initiator": "iqn.2026-01.org.onestack:h"}


def attach(user: Actor, volume: dict[str, str], **more: object) -> dict[str, object]:
    body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": SERVER, **more}}
    found: dict[str, object] = user.post("/attachments", body, 200)["attachment"]
    return found


def test_from_reservation_to_the_end(local: Local) -> None:
    user, other = newcomer(local, "attachments-life"), newcomer(local, "attachments-other")
    volume = user.volume()
    made = attach(user, volume)
    assert (made["status"], made["instance"], made["connection_info"]) == ("reserved", SERVER, {})
    assert user.show(volume)["status"] == "reserved"
    path = f"/attachments/{made['id']}"
    other.get(path, 404)
    other.delete(path, 404)
    user.post(f"{path}/action", {"os-complete": {}}, 400)
    user.put(path, {"attachment": {"connector": {"ip": "x"}}}, 400)
    told = user.put(path, {"attachment": {"connector": CONNECTOR}})["attachment"]
    assert told["connection_info"]["driver_volume_type"] == "simulated"
    assert user.show(volume)["status"] == "attaching"
    user.at("3.43").post(f"{path}/action", {"os-complete": {}}, 404)
    user.post(f"{path}/action", {"os-complete": {}}, 204)
    shown = user.show(volume)
    assert (shown["status"], shown["attachments"][0]["attachment_id"]) == ("in-use", made["id"])
    assert user.get(path)["attachment"]["status"] == "attached"
    (listed,) = user.get(f"/attachments?volume_id={volume['id']}")["attachments"]
    assert set(listed) == {"id", "status", "instance", "volume_id"}
    (detail,) = user.get(f"/attachments/detail?instance_id={SERVER}")["attachments"]
    assert detail["attach_mode"] == "rw"
    assert user.delete(path, 200) == {"attachments": []}
    assert user.show(volume)["status"] == "available"
    user.at("3.26").get("/attachments", 404)


def test_a_volume_is_one_servers_unless_its_type_says_so(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "attachments-multi")
    volume = user.volume()
    attach(user, volume, connector=CONNECTOR)
    body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": SERVER}}
    user.post("/attachments", body, 400)
    specs = {"multiattach": "<is> True"}
    kind = {"volume_type": {"name": "attachments-multi", "extra_specs": specs}}
    boss.post("/types", kind, 200)
    shared = user.volume(volume_type="attachments-multi")
    assert shared["multiattach"] is True
    first = attach(user, shared, connector=CONNECTOR)
    user.post(f"/attachments/{first['id']}/action", {"os-complete": {}}, 204)
    another = {"volume_uuid": shared["id"], "instance_uuid": SERVER.replace("8e", "9e")}
    second = user.post("/attachments", {"attachment": another}, 200)["attachment"]
    again = {"volume_uuid": shared["id"], "instance_uuid": SERVER}
    user.post("/attachments", {"attachment": again}, 400)
    left = user.delete(f"/attachments/{second['id']}", 200)["attachments"]
    assert [each["id"] for each in left] == [first["id"]]
    assert user.show(shared)["status"] == "in-use"


def test_a_servers_own_volume_goes_with_it(local: Local) -> None:
    user = newcomer(local, "attachments-own")
    settle(local)
    database, engine = local.cloud.get(Database), local.cloud.get(Engine)
    wanted = volumes.VolumeWanted(project_id=user.project, user_id="u", size=1)
    with database.transaction() as session:
        made = wanted.enter(session)
        attachment = volumes.reserve(session, made, SERVER, is_of_server=True, is_made_for_it=True)
        volumes.CreateVolume.start(session, made)
        ids = (made.id, attachment.id)
    engine.run_until_idle()
    assert user.show({"id": ids[0]})["status"] == "reserved"
    with database.transaction() as session:
        (known,) = volumes.attachments_of(session, [SERVER, "other"])[-1:]
        assert known.id == ids[1]
        volumes.Disconnect.start(session, known, deletes_volume=True)
    engine.run_until_idle()
    user.get(f"/volumes/{ids[0]}", 404)
    user.get(f"/attachments/{ids[1]}", 404)
