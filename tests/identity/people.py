"""Users that tests make, and how they sign in."""

from typing import Any

from tests.cloud import Answer, As, Local

PASSWORD = "correct horse battery"


def make_user(local: Local, name: str, **attributes: Any) -> dict[str, Any]:
    """A user of the default domain, unless the attributes say else."""
    body = {"name": name, "domain_id": "default", "password": PASSWORD, **attributes}
    made: dict[str, Any] = local.admin.post("/users", {"user": body})["user"]
    return made


def sign_in(
    local: Local, user: dict[str, Any], password: str = PASSWORD, scope: Any = "unscoped"
) -> Answer:
    """An answer to a request for a token."""
    who = {"id": user["id"], "password": password}
    auth = {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}
    return local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})


def being(
    local: Local, user: dict[str, Any], password: str = PASSWORD, scope: Any = "unscoped"
) -> As:
    """The user, signed in."""
    answer = sign_in(local, user, password, scope)
    assert answer.status == 201, answer
    return As(local, answer.headers["x-subject-token"])


def role_id(local: Local, name: str) -> str:
    """The id of one of the first roles."""
    found: str = local.admin.get(f"/roles?name={name}")["roles"][0]["id"]
    return found


def make_domain(local: Local, name: str) -> str:
    """A new domain's id."""
    made: str = local.admin.post("/domains", {"domain": {"name": name}})["domain"]["id"]
    return made


def persona(local: Local, name: str, role: str, domain_id: str) -> As:
    """Somebody with a role on a domain, signed in for it."""
    user = make_user(local, name, domain_id=domain_id)
    path = f"/domains/{domain_id}/users/{user['id']}/roles/{role_id(local, role)}"
    local.admin.put(path)
    return being(local, user, scope={"domain": {"id": domain_id}})


def change_password(local: Local, user: dict[str, Any], original: str, new: str) -> Answer:
    """What the user's own change of its password answers."""
    body = {"user": {"original_password": original, "password": new}}
    return local.ask("POST", f"/identity/v3/users/{user['id']}/password", body)
