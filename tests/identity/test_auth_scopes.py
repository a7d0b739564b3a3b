"""The scopes one may have a token for, and the catalogue."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.people import being, make_domain, make_user, role_id


def ids(answer: dict[str, Any], key: str) -> set[str]:
    return {each["id"] for each in answer[key]}


@pytest.mark.parametrize("root", ["/auth", "/OS-FEDERATION"])
def test_projects_by_grant_by_group_and_by_inheritance(local: Local, root: str) -> None:
    name = f"s-{root[1:].lower()}"
    admin, member = local.admin, role_id(local, "member")
    user = make_user(local, name)
    domain = make_domain(local, name)
    made = {
        kind: admin.post("/projects", {"project": {"name": f"{name}-{kind}", "domain_id": where}})[
            "project"
        ]
        for kind, where in (
            ("own", "default"), ("group", "default"), ("off", "default"), ("not", "default"),
            ("inherited", domain),
        )
    }  # fmt: skip
    group = admin.post("/groups", {"group": {"name": name}})["group"]
    admin.put(f"/groups/{group['id']}/users/{user['id']}")
    for kind in ("own", "off"):
        admin.put(f"/projects/{made[kind]['id']}/users/{user['id']}/roles/{member}")
    admin.put(f"/projects/{made['group']['id']}/groups/{group['id']}/roles/{member}")
    admin.put(
        f"/OS-INHERIT/domains/{domain}/users/{user['id']}/roles/{member}/inherited_to_projects"
    )
    admin.patch(f"/projects/{made['off']['id']}", {"project": {"enabled": False}})
    mine = being(local, user)
    found = mine.get(f"{root}/projects")
    assert ids(found, "projects") == {made[kind]["id"] for kind in ("own", "group", "inherited")}
    assert made["own"] in found["projects"]
    assert mine.get(f"{root}/projects?name={name}-own")["projects"] == [made["own"]]
    mine.head(f"{root}/projects")
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    assert ids(mine.get(f"{root}/projects"), "projects") == {
        made["own"]["id"], made["group"]["id"],
    }  # fmt: skip


@pytest.mark.parametrize("root", ["/auth", "/OS-FEDERATION"])
def test_domains_by_grant_and_by_group(local: Local, root: str) -> None:
    name = f"s-domains-{root[1:].lower()}"
    admin, member = local.admin, role_id(local, "member")
    user = make_user(local, name)
    own, grouped, off, _ = (make_domain(local, f"{name}-{n}") for n in range(4))
    group = admin.post("/groups", {"group": {"name": name, "domain_id": grouped}})["group"]
    admin.put(f"/groups/{group['id']}/users/{user['id']}")
    for domain in (own, off):
        admin.put(f"/domains/{domain}/users/{user['id']}/roles/{member}")
    admin.put(f"/domains/{grouped}/groups/{group['id']}/roles/{member}")
    admin.patch(f"/domains/{off}", {"domain": {"enabled": False}})
    mine = being(local, user)
    assert ids(mine.get(f"{root}/domains"), "domains") == {own, grouped}
    assert admin.get(f"/domains/{own}")["domain"] in mine.get(f"{root}/domains")["domains"]


def test_the_system(local: Local) -> None:
    user = make_user(local, "s-system")
    mine = being(local, user)
    links = {"self": "http://127.0.0.1:5000/identity/v3/auth/system"}
    assert mine.get("/auth/system") == {"system": [], "links": links}
    local.admin.put(f"/system/users/{user['id']}/roles/{role_id(local, 'reader')}")
    assert mine.get("/auth/system") == {"system": [{"all": True}], "links": links}


def test_the_catalogue_is_that_of_a_project(local: Local) -> None:
    found = local.demo.get("/auth/catalog")
    identity = next(each for each in found["catalog"] if each["type"] == "identity")
    assert {"public", "internal", "admin"} == {each["interface"] for each in identity["endpoints"]}
    assert found["links"]["self"].endswith("/identity/v3/auth/catalog")
    being(local, make_user(local, "s-catalog")).get("/auth/catalog", status=403)


def test_scopes_are_for_those_who_signed_in(local: Local) -> None:
    for path in ("projects", "domains", "system", "catalog"):
        As(local, None).get(f"/auth/{path}", status=401)
        As(local, "no token").get(f"/auth/{path}", status=401)
