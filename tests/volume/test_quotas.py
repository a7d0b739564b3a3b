"""Quotas and limits: set by administrators, kept by counting what there is."""

from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import Actor, admin, message, newcomer


def limit(local: Local, user: Actor, **limits: int) -> None:
    """Let a project have so much."""
    admin(local).put(f"/os-quota-sets/{user.project}", {"quota_set": limits})


def refused(user: Actor, path: str, body: object) -> str:
    answer = user.ask("POST", path, body)
    assert answer.status == 413, answer
    assert answer.body["overLimit"]["code"] == 413
    return message(answer)


def test_limits_are_seen_set_and_forgotten(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "quotas-set")
    path = f"/os-quota-sets/{user.project}"
    shown = user.get(path)["quota_set"]
    assert (shown["id"], shown["volumes"], shown["gigabytes"]) == (user.project, 10, 1000)
    assert shown["volumes___DEFAULT__"] == -1
    user.put(path, {"quota_set": {"volumes": 5}}, 403)
    newcomer(local, "quotas-other").get(path, 403)
    assert boss.put(path, {"quota_set": {"volumes": 5}})["quota_set"]["volumes"] == 5
    boss.put(path, {"quota_set": {"nonsense": 5}}, 400)
    boss.put(path, {"quota_set": {"volumes": "many"}}, 400)
    boss.put(path, {"quota_set": {"volumes": -2}}, 400)
    user.volume(size=2)
    used = user.get(f"{path}?usage=True")["quota_set"]
    assert used["volumes"] == {"limit": 5, "in_use": 1, "reserved": 0, "allocated": 0}
    assert used["gigabytes"]["in_use"] == 2
    assert used["volumes___DEFAULT__"]["in_use"] == 1
    assert boss.get(f"{path}/defaults")["quota_set"]["volumes"] == 10
    limits = user.get("/limits")["limits"]["absolute"]
    assert (limits["maxTotalVolumes"], limits["totalVolumesUsed"]) == (5, 1)
    assert (limits["maxTotalVolumeGigabytes"], limits["totalGigabytesUsed"]) == (1000, 2)
    boss.delete(path, 200)
    assert user.get(path)["quota_set"]["volumes"] == 10


def test_defaults_hold_for_all(fresh: Local) -> None:
    boss = admin(fresh)
    path = "/os-quota-class-sets/default"
    assert boss.get(path)["quota_class_set"]["volumes"] == 10
    assert boss.put(path, {"quota_class_set": {"volumes": 1}})["quota_class_set"]["volumes"] == 1
    boss.get("/os-quota-class-sets/other", 404)
    user = newcomer(fresh, "quotas-default")
    user.volume()
    refused(user, "/volumes", {"volume": {"size": 1}})
    limit(fresh, user, volumes=2)
    user.volume()


def test_what_is_over_a_limit_is_refused(local: Local) -> None:
    user = newcomer(local, "quotas-over")
    limit(local, user, volumes=2, gigabytes=5, snapshots=1, per_volume_gigabytes=4)
    volume = user.volume(size=3)
    assert refused(user, "/volumes", {"volume": {"size": 3}}) == (
        "Requested volume or snapshot exceeds allowed gigabytes quota. Requested 3G, quota is 5G "
        "and 3G has been consumed."
    )
    assert refused(user, "/volumes", {"volume": {"size": 5}}) == (
        "Requested volume size 5G is larger than maximum allowed limit 4G."
    )
    action = f"/volumes/{volume['id']}/action"
    assert "5G is larger" in refused(user, action, {"os-extend": {"new_size": 5}})
    user.volume()
    assert refused(user, "/volumes", {"volume": {"size": 1}}) == (
        "Maximum number of volumes allowed (2) exceeded for quota 'volumes'."
    )
    snapshot = {"snapshot": {"volume_id": volume["id"]}}
    assert "gigabytes quota. Requested 3G" in refused(user, "/snapshots", snapshot)
    limit(local, user, gigabytes=-1)
    user.snapshot(volume)
    said = refused(user, "/snapshots", snapshot)
    assert said == "Maximum number of snapshots allowed (1) exceeded"


def test_types_have_limits_of_their_own(local: Local) -> None:
    user = newcomer(local, "quotas-types")
    admin(local).post("/types", {"volume_type": {"name": "quotas-type"}}, 200)
    limit(local, user, **{"volumes_quotas-type": 1})
    body = {"volume": {"size": 1, "volume_type": "quotas-type"}}
    user.volume(volume_type="quotas-type")
    assert "'volumes_quotas-type'" in refused(user, "/volumes", body)
    user.volume()


def test_deleted_volumes_do_not_count(local: Local) -> None:
    user = newcomer(local, "quotas-deleted")
    limit(local, user, volumes=1)
    for _ in range(3):
        volume = user.volume()
        user.delete(f"/volumes/{volume['id']}")
        settle(local)
    user.volume()
