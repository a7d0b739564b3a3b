"""Metadata definitions: what Horizon offers to say of images, flavours and volumes."""

from typing import Any

from tests.cloud import Local
from tests.image import actors
from tests.image.actors import Actor

SPEED = {"name": "speed", "title": "Speed", "type": "integer", "minimum": 1, "maxLength": 3}
LIST = "/metadefs/namespaces"


def make(boss: Actor, name: str, status: int = 201, **more: Any) -> Any:
    return boss.post(LIST, {"namespace": name, "visibility": "public", **more}, status)


def names(who: Actor, query: str = "") -> list[str]:
    return [each["namespace"] for each in who.get(f"{LIST}{query}")["namespaces"]]


def test_a_namespace_and_all_that_is_in_it(fresh: Local) -> None:
    boss, user = actors.admin(fresh), actors.demo(fresh)
    definition = {key: value for key, value in SPEED.items() if key != "name"}
    made = make(
        boss, "OS::Test", display_name="Test", description="words", protected=True,
        properties={"speed": definition}, tags=[{"name": "fast"}, {"name": "fast"}],
        objects=[{"name": "engine", "required": ["speed"], "properties": {"speed": definition}}],
        resource_type_associations=[{"name": "OS::Nova::Flavor", "prefix": "hw:"}],
    )  # fmt: skip
    assert made["owner"] == boss.project
    assert made["properties"] == {"speed": definition}
    assert made["tags"] == [{"name": "fast"}]
    assert made["objects"][0]["properties"] == {"speed": definition}
    assert made["objects"][0]["self"] == f"/v2{LIST}/OS::Test/objects/engine"
    path = f"{LIST}/OS::Test"
    assert user.get(path) == made
    assert user.get(f"{path}?resource_type=OS::Nova::Flavor")["properties"] == {
        "hw:speed": definition
    }
    (listed,) = user.get(LIST)["namespaces"]
    assert [each["name"] for each in listed["resource_type_associations"]] == ["OS::Nova::Flavor"]
    assert "properties" not in listed
    assert "already exists" in make(boss, "OS::Test", 409)["message"]
    assert "protected" in boss.delete(path, 403)["message"]
    changed = boss.ask("PUT", path, {"namespace": "OS::Tested", "visibility": "private"}).body
    assert (changed["namespace"], changed["visibility"], changed["protected"]) == (
        "OS::Tested", "private", False
    )  # fmt: skip
    user.get(f"{LIST}/OS::Tested", 404)
    assert names(user) == []
    boss.delete(f"{LIST}/OS::Tested")
    assert names(boss) == []
    assert make(boss, "OS::Test")["properties"] == {}


def test_only_administrators_define(fresh: Local) -> None:
    boss, user = actors.admin(fresh), actors.demo(fresh)
    make(boss, "shared")
    make(boss, "theirs", visibility="private", owner=user.project)
    make(boss, "hidden", visibility="private")
    assert names(user, "?sort_key=namespace&sort_dir=asc") == ["shared", "theirs"]
    make(user, "mine", 403)
    for name, status in (("shared", 200), ("theirs", 200), ("hidden", 404)):
        path = f"{LIST}/{name}"
        user.get(path, status)
        user.delete(path, 403)
        assert user.ask("PUT", path, {"namespace": name}).status == 403
        for kind in ("properties", "objects", "tags"):
            user.get(f"{path}/{kind}", status)
            user.delete(f"{path}/{kind}", 403)
        user.get(f"{path}/resource_types", status)
        user.post(f"{path}/properties", SPEED, 403)
        user.post(f"{path}/objects", {"name": "x"}, 403)
        user.post(f"{path}/tags/x", None, 403)
        user.post(f"{path}/resource_types", {"name": "x"}, 403)


def test_namespaces_come_in_pages(fresh: Local) -> None:
    boss = actors.admin(fresh)
    for name in ("a", "b", "c"):
        make(boss, name, resource_type_associations=[{"name": f"type-{name}"}])
    page = boss.get(f"{LIST}?limit=2&sort_key=namespace&sort_dir=asc")
    assert [each["namespace"] for each in page["namespaces"]] == ["a", "b"]
    assert names(boss, page["next"].removeprefix(f"/v2{LIST}")) == ["c"]
    assert names(boss, "?resource_types=type-a,type-c&sort_key=namespace&sort_dir=asc") == [
        "a", "c"
    ]  # fmt: skip
    assert names(boss, "?visibility=private") == []
    boss.get(f"{LIST}?marker=nothing", 400)
    boss.get(f"{LIST}?sort_key=description", 400)


def test_properties(fresh: Local) -> None:
    boss, user = actors.admin(fresh), actors.demo(fresh)
    make(boss, "n", resource_type_associations=[{"name": "kind", "prefix": "p_"}])
    path = f"{LIST}/n/properties"
    assert boss.post(path, SPEED, 201) == SPEED
    boss.post(path, SPEED, 409)
    for wrong in ({"name": "x"}, {**SPEED, "type": "speed"}, {**SPEED, "name": ""},
                  {**SPEED, "name": "nul", "title": "\x00"}):  # fmt: skip
        boss.post(path, wrong, 400)
    assert user.get(f"{path}/speed") == SPEED
    assert user.get(f"{path}/p_speed?resource_type=kind") == {**SPEED, "name": "p_speed"}
    changed = boss.ask("PUT", f"{path}/speed", {**SPEED, "name": "pace", "enum": [1, 2]}).body
    assert (changed["name"], changed["enum"]) == ("pace", [1, 2])
    assert user.get(path)["properties"].keys() == {"pace"}
    user.get(f"{path}/speed", 404)
    boss.delete(f"{path}/pace")
    boss.delete(f"{path}/pace", 404)
    boss.post(path, SPEED, 201)
    boss.delete(path)
    assert user.get(path)["properties"] == {}


def test_objects(fresh: Local) -> None:
    boss, user = actors.admin(fresh), actors.demo(fresh)
    make(boss, "n")
    path = f"{LIST}/n/objects"
    made = boss.post(path, {"name": "engine", "description": "words"}, 201)
    assert (made["required"], made["properties"]) == ([], {})
    boss.post(path, {"name": "engine"}, 409)
    boss.post(path, {"description": "nameless"}, 400)
    assert user.get(f"{path}/engine") == made
    assert user.get(path)["objects"] == [made]
    changed = boss.ask("PUT", f"{path}/engine", {"name": "motor", "required": ["x"]}).body
    assert (changed["name"], changed["required"], changed["description"]) == ("motor", ["x"], None)
    user.get(f"{path}/engine", 404)
    boss.delete(f"{path}/motor")
    boss.post(path, {"name": "engine"}, 201)
    boss.delete(path)
    assert user.get(path)["objects"] == []


def test_tags(fresh: Local) -> None:
    boss, user = actors.admin(fresh), actors.demo(fresh)
    make(boss, "n")
    path = f"{LIST}/n/tags"
    made = boss.post(path, {"tags": [{"name": "b"}, {"name": "a"}]}, 201)
    assert made["tags"] == [{"name": "a"}, {"name": "b"}]
    boss.post(path, {"tags": [{"name": "c"}]}, 201)
    assert user.get(path)["tags"] == [{"name": "c"}]
    more = {"tags": [{"name": "d"}]}
    assert boss.ask("POST", path, more, x_openstack_append="True").body["tags"] == [
        {"name": "c"}, {"name": "d"}
    ]  # fmt: skip
    assert boss.post(f"{path}/e", None, 201)["name"] == "e"
    boss.post(f"{path}/e", None, 409)
    assert user.get(f"{path}/e")["name"] == "e"
    assert boss.ask("PUT", f"{path}/e", {"name": "f"}).body["name"] == "f"
    boss.ask("PUT", f"{path}/f", {"name": "c"})
    assert boss.ask("PUT", f"{path}/f", {"name": "c"}).status == 409
    boss.delete(f"{path}/f")
    user.get(f"{path}/f", 404)
    boss.delete(path)
    assert user.get(path)["tags"] == []


def test_resource_types(fresh: Local) -> None:
    boss, user = actors.admin(fresh), actors.demo(fresh)
    known = {each["name"] for each in user.get("/metadefs/resource_types")["resource_types"]}
    assert "OS::Glance::Image" in known
    make(boss, "n")
    path = f"{LIST}/n/resource_types"
    made = boss.post(path, {"name": "mine", "prefix": "x"}, 201)
    boss.post(path, {"name": "mine"}, 409)
    assert user.get(path)["resource_type_associations"] == [made]
    after = {each["name"] for each in user.get("/metadefs/resource_types")["resource_types"]}
    assert after - known == {"mine"}
    boss.delete(f"{path}/mine")
    boss.delete(f"{path}/mine", 404)
    assert user.get(path)["resource_type_associations"] == []


def test_schemas(local: Local) -> None:
    demo = actors.demo(local)
    for kind in ("namespace", "object", "property", "tag"):
        assert demo.get(f"/schemas/metadefs/{kind}")["name"] == kind
    assert "minLength" in demo.get("/schemas/metadefs/property")["properties"]
    kinds = demo.get("/schemas/metadefs/resource_types")
    assert kinds["name"] == "resource_type_associations"
    assert "prefix" in kinds["properties"]["resource_type_associations"]["items"]["properties"]
    for kind in ("namespaces", "objects", "properties", "tags"):
        shown = demo.get(f"/schemas/metadefs/{kind}")
        assert (shown["name"], kind in shown["properties"]) == (kind, True)
    demo.get("/schemas/metadefs/nothing", 404)
