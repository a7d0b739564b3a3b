"""Tokens end with what they stood for: each of a user's, at once, and for good."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.people import (
    PASSWORD,
    being,
    change_password,
    make_domain,
    make_user,
    role_id,
    sign_in,
)

User = dict[str, Any]


def rescoped(local: Local, token: As, scope: Any) -> As:
    """The same user, by a token got for another token."""
    identity = {"methods": ["token"], "token": {"id": token.token}}
    body = {"auth": {"identity": identity, "scope": scope}}
    answer = local.ask("POST", "/identity/v3/auth/tokens", body)
    assert answer.status == 201, answer
    return As(local, answer.headers["x-subject-token"])


def all_tokens(local: Local, user: User) -> list[As]:
    """Every kind of token that a password leads to; each of them used, so that it is cached."""
    project = local.admin.post("/projects", {"project": {"name": user["name"]}})["project"]
    member = role_id(local, "member")
    local.admin.put(f"/projects/{project['id']}/users/{user['id']}/roles/{member}")
    local.admin.put(f"/domains/default/users/{user['id']}/roles/{member}")
    local.admin.put(f"/system/users/{user['id']}/roles/{member}")
    scopes = [
        "unscoped",
        {"project": {"id": project["id"]}},
        {"domain": {"id": "default"}},
        {"system": {"all": True}},
    ]
    tokens = [being(local, user, scope=scope) for scope in scopes]
    tokens.append(rescoped(local, tokens[0], scopes[1]))
    for token in tokens:
        token.get("/auth/projects")
    return tokens


def refuse_all(local: Local, tokens: list[As]) -> None:
    for token in tokens:
        token.get("/auth/projects", status=401)
        local.admin.get("/auth/tokens", status=404, X_Subject_Token=str(token.token))
        identity = {"methods": ["token"], "token": {"id": token.token}}
        answer = local.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})
        assert answer.status in (401, 404)


def disable(local: Local, user: User) -> None:
    local.admin.patch(f"/users/{user['id']}", {"user": {"enabled": False}})


def delete(local: Local, user: User) -> None:
    local.admin.delete(f"/users/{user['id']}")


def reset(local: Local, user: User) -> None:
    local.admin.patch(f"/users/{user['id']}", {"user": {"password": "given"}})


def change(local: Local, user: User) -> None:
    assert change_password(local, user, PASSWORD, "chosen").status == 204


def leave_a_group(local: Local, user: User) -> None:
    group = local.admin.post("/groups", {"group": {"name": user["name"]}})["group"]
    path = f"/groups/{group['id']}/users/{user['id']}"
    local.admin.put(path)
    local.admin.delete(path)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(disable, id="ossa_2012_010_disabled"),
        pytest.param(delete, id="ossa_2013_009_deleted"),
        pytest.param(reset, id="ossa_2012_010_reset"),
        pytest.param(change, id="ossa_2012_010_changed"),
        pytest.param(leave_a_group, id="ossa_2012_014_left_a_group"),
    ],
)
def test_every_token_of_the_user_ends(local: Local, act: Callable[[Local, User], None]) -> None:
    user, bystander = (
        make_user(local, f"end-{act.__name__}"),
        make_user(local, f"by-{act.__name__}"),
    )
    tokens, others = all_tokens(local, user), all_tokens(local, bystander)
    act(local, user)
    refuse_all(local, tokens)
    for token in others:
        token.get("/auth/projects")


def test_ossa_2014_026_what_was_void_stays_void(local: Local) -> None:
    """CVE-2014-5251: tokens came back to life once the user was enabled again."""
    user = make_user(local, "end-again")
    tokens = all_tokens(local, user)
    disable(local, user)
    local.admin.patch(f"/users/{user['id']}", {"user": {"enabled": True}})
    refuse_all(local, tokens)
    being(local, user).get("/auth/projects")


def test_ossa_2014_026_a_disabled_domain_lets_its_users_do_nothing(local: Local) -> None:
    """CVE-2014-5253: tokens outlived the domain of their user."""
    domain = make_domain(local, "end-domain")
    user = make_user(local, "end-domain", domain_id=domain)
    tokens = all_tokens(local, user)
    local.admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    refuse_all(local, tokens)
    assert sign_in(local, user).status == 401
    local.admin.patch(f"/domains/{domain}", {"domain": {"enabled": True}})
    refuse_all(local, tokens)
