"""What is disabled or deleted lets nobody in, and enabling it again revives no token.

OSSA-2012-014, OSSA-2012-016, OSSA-2013-009, OSSA-2014-026: tokens outlived the project or domain
that they were for.
"""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.places import PASSWORD, make, make_domain, member, sign_in


def works(who: As) -> bool:
    """Whether a token still counts, asked twice: what is remembered must not differ."""
    statuses = {
        who.ask("GET", "/auth/tokens", X_Subject_Token=who.token or "").status for _ in "ab"
    }
    assert len(statuses) == 1
    return statuses == {200}


def user_id(local: Local, name: str) -> str:
    found: str = local.admin.get(f"/users?name={name}")["users"][0]["id"]
    return found


def rescoped(who: As, scope: Any) -> As:
    """A token got by showing another."""
    auth = {"identity": {"methods": ["token"], "token": {"id": who.token}}, "scope": scope}
    answer = who.local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})
    assert answer.status == 201, answer
    return As(who.local, answer.headers["x-subject-token"])


def test_a_disabled_project_lets_nobody_in(local: Local) -> None:
    admin = local.admin
    project, other = make(admin, "off-project"), make(admin, "off-project-other")
    user = member(local, "default", "off-project-user", "member", project=project["id"])
    who = user_id(local, "off-project-user")
    role_id = admin.get("/roles?name=member")["roles"][0]["id"]
    admin.put(f"/projects/{other['id']}/users/{who}/roles/{role_id}")
    here, there = {"project": {"id": project["id"]}}, {"project": {"id": other["id"]}}
    unscoped = sign_in(local, who, "unscoped")
    again = rescoped(unscoped, here)
    elsewhere = rescoped(unscoped, there)
    assert works(user)
    assert works(again)
    path = f"/projects/{project['id']}"

    admin.patch(path, {"project": {"enabled": False}})
    assert not works(user)
    assert not works(again)
    assert works(unscoped)
    assert works(elsewhere)
    sign_in(local, who, here, status=401)

    admin.patch(path, {"project": {"enabled": True}})
    assert not works(user)
    assert not works(again)
    assert works(sign_in(local, who, here))

    last = sign_in(local, who, here)
    admin.delete(path)
    assert not works(last)
    sign_in(local, who, here, status=401)


@pytest.mark.parametrize("noun", ["domain", "project"])
def test_a_disabled_domain_lets_nobody_in(local: Local, noun: str) -> None:
    """Disabled as a domain, or as the project that acts as one."""
    admin = local.admin
    domain = make_domain(local, f"off-{noun}-d")
    project = make(admin, f"off-{noun}-p", domain_id=domain["id"])
    outside = make(admin, f"off-{noun}-outside")
    inside, on = project["id"], domain["id"]
    native = member(local, on, f"off-{noun}-native", "member", project=inside)
    guest = member(local, "default", f"off-{noun}-guest", "member", project=inside)
    abroad = member(local, on, f"off-{noun}-abroad", "member", project=outside["id"])
    boss = member(local, on, f"off-{noun}-boss", "admin", domain=on)
    visitor = member(local, "default", f"off-{noun}-visitor", "reader", domain=on)
    unscoped = sign_in(local, user_id(local, f"off-{noun}-native"), "unscoped")
    everyone = [native, guest, abroad, boss, visitor, unscoped]
    assert all(works(each) for each in everyone)
    path = f"/{noun}s/{on}"

    admin.patch(path, {noun: {"enabled": False}})
    assert not any(works(each) for each in everyone)
    who = {"name": f"off-{noun}-native", "password": PASSWORD, "domain": {"id": on}}
    auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
    assert local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth}).status == 401
    sign_in(local, user_id(local, f"off-{noun}-guest"), {"project": {"id": inside}}, status=401)
    sign_in(local, user_id(local, f"off-{noun}-visitor"), {"domain": {"id": on}}, status=401)

    admin.patch(path, {noun: {"enabled": True}})
    assert not any(works(each) for each in everyone)
    again = sign_in(local, user_id(local, f"off-{noun}-guest"), {"project": {"id": inside}})
    assert works(again)
    admin.patch(path, {noun: {"enabled": False}})
    admin.delete(path)
    assert not works(again)


def test_a_domain_made_anew_with_an_old_id_knows_no_old_token(local: Local) -> None:
    admin = local.admin
    chosen = "ab" * 16
    body = {"domain": {"name": "off-anew", "explicit_domain_id": chosen}}
    admin.post("/domains", body)
    visitor = member(local, "default", "off-anew-user", "reader", domain=chosen)
    assert works(visitor)
    admin.patch(f"/domains/{chosen}", {"domain": {"enabled": False}})
    admin.delete(f"/domains/{chosen}")
    admin.post("/domains", body)
    role_id = admin.get("/roles?name=reader")["roles"][0]["id"]
    who = user_id(local, "off-anew-user")
    admin.head(f"/domains/{chosen}/users/{who}/roles/{role_id}", status=404)
    admin.put(f"/domains/{chosen}/users/{who}/roles/{role_id}")
    assert not works(visitor)
    assert works(sign_in(local, who, {"domain": {"id": chosen}}))
