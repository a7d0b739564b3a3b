"""Transfers: a volume changes hands."""

import pytest

from tests.cloud import Local
from tests.volume.actors import admin, message, newcomer


@pytest.mark.parametrize("path", ["/volume-transfers", "/os-volume-transfer"])
def test_a_volume_changes_hands(local: Local, path: str) -> None:
    giver, taker = newcomer(local, f"giver{path[1:5]}"), newcomer(local, f"taker{path[1:5]}")
    volume = giver.volume(size=2)
    snapshot = giver.snapshot(volume)
    body = {"transfer": {"volume_id": volume["id"], "name": "t"}}
    made = giver.post(path, body)["transfer"]
    assert giver.show(volume)["status"] == "awaiting-transfer"
    giver.post(path, body, 400)
    giver.delete(f"/volumes/{volume['id']}", 400)
    one = f"{path}/{made['id']}"
    assert "auth_key" not in giver.get(one)["transfer"]
    taker.get(one, 404)
    taker.delete(one, 404)
    wrong = taker.ask("POST", f"{one}/accept", {"accept": {"auth_key": "wrong"}})
    assert (wrong.status, "Invalid auth key" in message(wrong)) == (400, True)
    admin(local).put(f"/os-quota-sets/{taker.project}", {"quota_set": {"volumes": 0}})
    accept = {"accept": {"auth_key": made["auth_key"]}}
    taker.post(f"{one}/accept", accept, 413)
    admin(local).put(f"/os-quota-sets/{taker.project}", {"quota_set": {"volumes": 1}})
    assert taker.post(f"{one}/accept", accept)["transfer"]["volume_id"] == volume["id"]
    assert taker.show(volume)["status"] == "available"
    assert taker.get(f"/snapshots/{snapshot['id']}")["snapshot"]["volume_id"] == volume["id"]
    giver.get(f"/volumes/{volume['id']}", 404)
    giver.get(one, 404)


@pytest.mark.parametrize("path", ["/volume-transfers", "/os-volume-transfer"])
def test_an_offer_is_taken_back(local: Local, path: str) -> None:
    giver = newcomer(local, f"giver-back{path[1:5]}")
    volume = giver.volume()
    made = giver.post(path, {"transfer": {"volume_id": volume["id"]}})["transfer"]
    listed = giver.get(f"{path}/detail")["transfers"]
    assert [(each["id"], each["accepted"]) for each in listed] == [(made["id"], False)]
    giver.delete(f"{path}/{made['id']}")
    assert giver.show(volume)["status"] == "available"
    assert giver.get(path)["transfers"] == []


def test_transfers_by_microversion(local: Local) -> None:
    giver = newcomer(local, "giver-versions")
    giver.post("/volume-transfers", {"transfer": {"volume_id": giver.volume()["id"]}})
    assert "accepted" in giver.at("3.57").get("/volume-transfers/detail")["transfers"][0]
    assert "accepted" not in giver.at("3.56").get("/volume-transfers/detail")["transfers"][0]
    giver.at("3.54").get("/volume-transfers", 404)
