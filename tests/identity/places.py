"""Projects and domains for tests, and users who have a role on one."""

from typing import Any

from tests.cloud import As, Local

PASSWORD = "a-Pass-word-1"


def make(who: As, name: str, status: int = 201, **more: Any) -> Any:
    """A new project; the error's text where another status is expected."""
    answer = who.post("/projects", {"project": {"name": name, **more}}, status=status)
    return answer["project"] if status == 201 else answer["error"]["message"]


def make_domain(local: Local, name: str) -> Any:
    """A new domain."""
    return local.admin.post("/domains", {"domain": {"name": name}})["domain"]


def member(local: Local, domain_id: str, name: str, role: str, **target: str) -> As:
    """A user of a domain, with one role on a project or domain, signed in for it."""
    admin = local.admin
    body = {"name": name, "password": PASSWORD, "domain_id": domain_id}
    user = admin.post("/users", {"user": body})["user"]
    role_id = admin.get(f"/roles?name={role}")["roles"][0]["id"]
    ((kind, target_id),) = target.items()
    admin.put(f"/{kind}s/{target_id}/users/{user['id']}/roles/{role_id}")
    return sign_in(local, user["id"], {kind: {"id": target_id}})


def sign_in(local: Local, user_id: str, scope: Any, status: int = 201) -> As:
    """One of these users, with a new token."""
    who = {"id": user_id, "password": PASSWORD}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": who}},
        "scope": scope,
    }
    answer = local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})
    assert answer.status == status, answer
    return As(local, answer.headers.get("x-subject-token"))


def names(answer: Any) -> list[str]:
    """The names in a list of projects."""
    return [project["name"] for project in answer["projects"]]
