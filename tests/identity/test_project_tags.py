"""Project tags."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.identity.places import make, make_domain, names


def test_tags_come_and_go(local: Local) -> None:
    admin = local.admin
    path = f"/projects/{make(admin, 'tag-life')['id']}"
    answer = admin.ask("PUT", f"{path}/tags/red", {})
    assert (answer.status, answer.content) == (201, b"")
    assert answer.headers["location"].endswith(f"{path}/tags/red")
    admin.put(f"{path}/tags/blue%20green", status=201)
    admin.put(f"{path}/tags/red", {}, status=400)
    admin.put(f"{path}/tags/Red", {}, status=201)
    listed = admin.get(f"{path}/tags")
    assert listed["tags"] == ["Red", "blue green", "red"]
    assert listed["links"]["self"].endswith(f"{path}/tags")
    assert admin.get(path)["project"]["tags"] == listed["tags"]
    assert admin.ask("GET", f"{path}/tags/red").status == 204
    assert admin.ask("HEAD", f"{path}/tags/red").status == 204
    assert admin.get(f"{path}/tags/RED", status=404)["error"]["message"] == (
        "Could not find project tag: RED."
    )
    assert admin.put(f"{path}/tags", {"tags": ["x", " red "]}, status=200)["tags"] == ["red", "x"]
    admin.delete(f"{path}/tags/x")
    admin.delete(f"{path}/tags/x", status=404)
    assert admin.get(f"{path}/tags")["tags"] == ["red"]
    admin.delete(f"{path}/tags")
    assert admin.get(f"{path}/tags")["tags"] == []


@pytest.mark.parametrize("tag", ["a,b", "a%2Fb", "%20", "x" * 256, "a%0Ab"])
def test_bad_tags_are_refused(local: Local, tag: str) -> None:
    path = "/projects/" + local.admin.get("/projects?name=demo")["projects"][0]["id"]
    local.admin.put(f"{path}/tags/{tag}", {}, status=400)
    assert local.admin.get(f"{path}/tags")["tags"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tags": None},
        {"tags": {}},
        {"tags": [1]},
        {"tags": ["a", "a"]},
        {"tags": [""]},
        {"tags": ["a"], "more": 1},
        {"tags": [str(n) for n in range(81)]},
        ["a"],
    ],
)
def test_bad_lists_of_tags_are_refused(local: Local, body: Any) -> None:
    path = "/projects/" + local.admin.get("/projects?name=demo")["projects"][0]["id"]
    local.admin.put(f"{path}/tags", body, status=400)
    assert local.admin.get(f"{path}/tags")["tags"] == []


def test_a_project_has_eighty_tags_at_most(local: Local) -> None:
    path = f"/projects/{make(local.admin, 'tag-many')['id']}"
    local.admin.put(f"{path}/tags", {"tags": [f"t{n}" for n in range(80)]}, status=200)
    local.admin.put(f"{path}/tags/one-more", {}, status=400)
    assert len(local.admin.get(f"{path}/tags")["tags"]) == 80


def test_projects_are_found_by_tags(local: Local) -> None:
    domain_id = make_domain(local, "tag-find")["id"]
    for name, tags in (("n", []), ("a", ["A"]), ("b", ["B"]), ("ab", ["A", "B"])):
        make(local.admin, f"tag-{name}", domain_id=domain_id, tags=tags)

    def found(query: str) -> list[str]:
        return names(local.admin.get(f"/projects?domain_id={domain_id}&sort_key=name&{query}"))

    assert found("tags=A") == ["tag-a", "tag-ab"]
    assert found("tags=A,B") == ["tag-ab"]
    assert found("tags-any=A,B") == ["tag-a", "tag-ab", "tag-b"]
    assert found("not-tags=A,B") == ["tag-a", "tag-b", "tag-n"]
    assert found("not-tags-any=A,B") == ["tag-n"]
    assert found("tags-any=A,B&not-tags=A,B") == ["tag-a", "tag-b"]
    assert found("tags=A&not-tags-any=B") == ["tag-a"]
    assert found("tags=A&not-tags=A") == []
    assert found("tags=a") == []
    assert found("tags=A,A") == ["tag-a", "tag-ab"]
