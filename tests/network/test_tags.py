"""Tags on everything, and lists by them."""

import pytest

from tests.cloud import Local
from tests.network import actors


def test_a_thing_gets_and_loses_tags(local: Local) -> None:
    owner = actors.newcomer(local, "tag-owner")
    group = owner.make("security_group", name="tagged")
    path = f"/security-groups/{group['id']}/tags"
    assert owner.get(path) == {"tags": []}
    assert owner.put(path, {"tags": ["red", "blue", "red"]}) == {"tags": ["blue", "red"]}
    owner.put(f"{path}/green", status=201)
    owner.put(f"{path}/green", status=201)
    owner.get(f"{path}/green", status=204)
    shown = owner.show("security_group", group)
    assert shown["tags"] == ["blue", "green", "red"]
    assert shown["revision_number"] == group["revision_number"] + 2
    owner.delete(f"{path}/blue")
    owner.get(f"{path}/blue", status=404)
    refused = owner.delete(f"{path}/blue", status=404)["NeutronError"]
    assert refused["type"] == "TagNotFound"
    owner.put(f"{path}/a%2Fb%20c", status=201)
    assert owner.get(path) == {"tags": ["a/b c", "green", "red"]}
    owner.delete(path)
    assert owner.get(path) == {"tags": []}
    for bad in ([""], ["x" * 256], ["a\nb"], [1], "red", [str(n) for n in range(51)]):
        owner.put(path, {"tags": bad}, status=400)
    owner.put(f"{path}/a%0Ab", status=400)
    owner.put(path, {"words": []}, status=400)
    owner.get("/security-groups/none/tags", status=404)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tags=red", ["both", "red"]),
        ("tags=red,blue", ["both"]),
        ("tags-any=red,blue", ["blue", "both", "red"]),
        ("not-tags=red,blue", ["blue", "none", "red"]),
        ("not-tags-any=red,blue", ["none"]),
        ("tags=blue&not-tags=red", ["blue"]),
        ("tags=re", []),
        ("tags=%25", []),
    ],
)
def test_lists_by_tags(local: Local, query: str, names: list[str]) -> None:
    owner = actors.newcomer(local, f"tag-list-{query}")
    tags = {"red": ["red"], "blue": ["blue"], "both": ["red", "blue"], "none": []}
    for name, words in tags.items():
        group = owner.make("security_group", name=name)
        owner.put(f"/security-groups/{group['id']}/tags", {"tags": words})
    path = f"/security-groups?sort_key=name&sort_dir=asc&{query}"
    found = [each["name"] for each in owner.get(path)["security_groups"]]
    assert [each for each in found if each != "default"] == names


def test_others_do_not_tag(local: Local) -> None:
    owner = actors.newcomer(local, "tag-mine")
    reader = actors.newcomer(local, "tag-reader", "reader", owner.project)
    other = actors.newcomer(local, "tag-other")
    group = owner.make("security_group", name="mine")
    path = f"/security-groups/{group['id']}/tags"
    owner.put(path, {"tags": ["ours"]})
    assert reader.get(path) == {"tags": ["ours"]}
    asked = [("GET", path, None), ("PUT", path, {"tags": []}), ("DELETE", path, None),
             ("GET", f"{path}/ours", None), ("PUT", f"{path}/theirs", None),
             ("DELETE", f"{path}/ours", None)]  # fmt: skip
    for method, where, body in asked:
        assert other.ask(method, where, body).status == 404
        if method != "GET":
            assert reader.ask(method, where, body).status == 403
    owner.make(
        "rbac_policy", object_type="security_group", object_id=group["id"],
        action="access_as_shared", target_tenant=other.project,
    )  # fmt: skip
    assert other.get(path) == {"tags": ["ours"]}
    other.put(path, {"tags": []}, status=403)
