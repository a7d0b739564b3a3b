"""OSSA-2023-003: a volume that a server has cannot be pulled away from under it, so that its export
never becomes another's. (That a detached export is cut off is tested with real iSCSI.)"""

from onestack import volume as volumes
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.volume.attachments.record import AttachmentRecord
from tests.cloud import Local
from tests.volume.actors import admin, message, newcomer

SERVER = "8e7f2e55-8f3c-4d2c-b9c1-1b9b7a1b8a11"
CONNECTOR = {"host": "h", "ip": "10.0.0.1", "initiator": "iqn.2026-01.org.onestack:h"}


def test_what_a_server_has_only_compute_takes(local: Local) -> None:
    user = newcomer(local, "attachments-of-servers")
    volume = user.volume()
    attachment_id = of_server(local, volume["id"])
    path = f"/attachments/{attachment_id}"
    assert user.show(volume)["status"] == "in-use"
    assert user.get(path)["attachment"]["connection_info"] == {}  # its secrets are compute's
    for boss in (user, admin(local)):
        answer = boss.ask("DELETE", path)
        assert answer.status == 409
        assert message(answer) == f"Detach volume from instance {SERVER} using the Compute API"
        boss.put(path, {"attachment": {"connector": CONNECTOR}}, 409)
        boss.act(volume, "os-detach", {"attachment_id": attachment_id}, 409)
        boss.act(volume, "os-begin_detaching", {}, 409)
        boss.act(volume, "os-initialize_connection", {"connector": CONNECTOR}, 409)
        for who in (CONNECTOR, {}):
            boss.act(volume, "os-terminate_connection", {"connector": who}, 409)
        boss.delete(f"/volumes/{volume['id']}", 400)
    admin(local).act(volume, "os-force_detach", {"attachment_id": attachment_id}, 409)
    admin(local).act(volume, "os-force_delete", {}, 400)
    assert user.show(volume)["status"] == "in-use"


def of_server(local: Local, volume_id: str) -> str:
    """An attachment as compute makes it."""
    database, engine = local.cloud.get(Database), local.cloud.get(Engine)
    with database.transaction() as session:
        found = volumes.volume_of(session, volume_id, None)
        made = volumes.reserve(session, found, SERVER, is_of_server=True)
        volumes.Connect.start(session, made, connector={"host": "h"})
        attachment_id = made.id
    engine.run_until_idle()
    with database.transaction() as session:
        known = session.get_one(AttachmentRecord, attachment_id)
        assert known.connection_info is not None
        volumes.mark(session, known, "attached", "/dev/vdb")
    return attachment_id
