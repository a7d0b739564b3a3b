"""Volume types, their extra specs, who may use them, defaults, and QoS specs."""

from typing import Any

from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import Actor, admin, message, newcomer


def kind(boss: Actor, name: str, status: int = 200, **attributes: Any) -> Any:
    body = {"volume_type": {"name": name, **attributes}}
    return (boss.post("/types", body, status) or {}).get("volume_type")


def test_types_are_made_by_administrators(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "types-user")
    assert user.get("/types/default")["volume_type"]["name"] == "__DEFAULT__"
    kind(user, "types-mine", 403)
    made = kind(
        boss,
        "types-fast",
        description="d",
        extra_specs={"vendor:a": "1", "multiattach": "<is> True"},
    )
    assert made["os-volume-type-access:is_public"] is True
    kind(boss, "types-fast", 409)
    kind(boss, " ", 400)
    path = f"/types/{made['id']}"
    assert user.get(path)["volume_type"]["extra_specs"] == {"multiattach": "<is> True"}
    assert boss.get(path)["volume_type"]["extra_specs"] == {
        "vendor:a": "1",
        "multiattach": "<is> True",
    }
    assert "qos_specs_id" not in user.get(path)["volume_type"]
    changed = boss.put(path, {"volume_type": {"name": "types-faster"}})["volume_type"]
    assert (changed["name"], changed["description"]) == ("types-faster", "d")
    boss.put(path, {"volume_type": {}}, 400)
    boss.put(path, {"volume_type": {"name": "__DEFAULT__"}}, 409)
    names = [each["name"] for each in user.get("/types")["volume_types"]]
    assert "types-faster" in names
    volume = user.volume(volume_type="types-faster")
    answer = boss.ask("DELETE", path)
    assert answer.status == 400
    assert "deletion is not allowed with existing volumes" in message(answer)
    user.delete(f"/volumes/{volume['id']}")
    settle(local)
    boss.delete(path)
    boss.get(path, 404)
    default = boss.get("/types/default")["volume_type"]["id"]
    boss.delete(f"/types/{default}", 400)


def test_types_for_some(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "types-private")
    made = kind(boss, "types-private", **{"os-volume-type-access:is_public": False})
    path, create = f"/types/{made['id']}", {"volume": {"size": 1, "volume_type": "types-private"}}
    user.get(path, 404)
    user.post("/volumes", create, 404)
    access = {"addProjectAccess": {"project": user.project}}
    boss.post(f"{path}/action", access)
    boss.post(f"{path}/action", access, 409)
    listed = boss.get(f"{path}/os-volume-type-access")["volume_type_access"]
    assert listed == [{"volume_type_id": made["id"], "project_id": user.project}]
    assert user.get(path)["volume_type"]["is_public"] is False
    assert made["id"] in [each["id"] for each in user.get("/types")["volume_types"]]
    user.post("/volumes", create)
    boss.post(f"{path}/action", {"removeProjectAccess": {"project": user.project}})
    boss.post(f"{path}/action", {"removeProjectAccess": {"project": user.project}}, 404)
    user.get(path, 404)
    private = [each["id"] for each in boss.get("/types?is_public=False")["volume_types"]]
    assert made["id"] in private
    assert made["id"] not in [each["id"] for each in boss.get("/types")["volume_types"]]
    public = kind(boss, "types-public")
    boss.post(f"/types/{public['id']}/action", access, 409)


def test_extra_specs(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "types-specs")
    path = f"/types/{kind(boss, 'types-specs')['id']}/extra_specs"
    user.get(path, 403)
    assert boss.post(path, {"extra_specs": {"a": "1"}}, 200) == {"extra_specs": {"a": "1"}}
    assert boss.put(f"{path}/a", {"a": "2"}) == {"a": "2"}
    boss.put(f"{path}/a", {"b": "2"}, 400)
    boss.put(f"{path}/a", {"a": "2", "b": "2"}, 400)
    assert boss.get(f"{path}/a") == {"a": "2"}
    boss.get(f"{path}/x", 404)
    boss.delete(f"{path}/a")
    boss.delete(f"{path}/a", 404)
    assert boss.get(path) == {"extra_specs": {}}
    boss.get("/types/no/extra_specs", 404)


def test_the_scheduler_heeds_extra_specs(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "types-scheduler")
    kind(boss, "types-nowhere", extra_specs={"capabilities:multiattach": "<is> False"})
    kind(boss, "types-here", extra_specs={"capabilities:multiattach": "<is> True",
                                          "volume_backend_name": "simulated"})  # fmt: skip
    user.volume("error", volume_type="types-nowhere")
    user.volume(volume_type="types-here")


def test_defaults_of_projects(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "types-defaults")
    made = kind(boss, "types-default")
    path = f"/default-types/{user.project}"
    boss.get(path, 404)
    boss.put(path, {"default_type": {"volume_type": "no"}}, 404)
    expected = {"project_id": user.project, "volume_type_id": made["id"]}
    body = {"default_type": {"volume_type": "types-default"}}
    assert boss.put(path, body)["default_type"] == expected
    assert boss.get(path)["default_type"] == expected
    assert expected in boss.get("/default-types")["default_types"]
    assert user.volume()["volume_type"] == "types-default"
    assert user.get("/types/default")["volume_type"]["id"] == made["id"]
    boss.delete(f"/types/{made['id']}", 400)
    user.get(path, 403)
    boss.at("3.61").get(path, 404)
    boss.delete(path, 204)
    assert user.volume()["volume_type"] == "__DEFAULT__"


def test_qos_specs(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "types-qos")
    body = {"qos_specs": {"name": "qos", "consumer": "front-end", "read_iops_sec": "10"}}
    user.post("/qos-specs", body, 403)
    answer = boss.post("/qos-specs", body, 200)
    made = answer["qos_specs"]
    assert made["specs"] == {"read_iops_sec": "10"}
    assert answer["links"][0]["rel"] == "self"
    boss.post("/qos-specs", body, 409)
    boss.post("/qos-specs", {"qos_specs": {"name": "x", "consumer": "nobody"}}, 400)
    path = f"/qos-specs/{made['id']}"
    assert boss.put(path, {"qos_specs": {"write": "1"}}) == {"qos_specs": {"write": "1"}}
    boss.put(f"{path}/delete_keys", {"keys": ["write"]}, 202)
    boss.put(f"{path}/delete_keys", {"keys": ["write"]}, 400)
    assert boss.get(path)["qos_specs"]["specs"] == {"read_iops_sec": "10"}
    assert made["id"] in [each["id"] for each in boss.get("/qos-specs")["qos_specs"]]
    typed = kind(boss, "types-qos")
    boss.get(f"{path}/associate?vol_type_id={typed['id']}", 202)
    assert boss.get(f"/types/{typed['id']}")["volume_type"]["qos_specs_id"] == made["id"]
    (found,) = boss.get(f"{path}/associations")["qos_associations"]
    assert (found["name"], found["association_type"]) == ("types-qos", "volume_type")
    boss.delete(path, 400)
    boss.get(f"{path}/disassociate?vol_type_id={typed['id']}", 202)
    assert boss.get(f"{path}/associations")["qos_associations"] == []
    boss.get(f"{path}/associate?vol_type_id={typed['id']}", 202)
    boss.get(f"{path}/disassociate_all", 202)
    boss.get(f"{path}/associate?vol_type_id=no", 404)
    boss.delete(path)
    boss.get(path, 404)
