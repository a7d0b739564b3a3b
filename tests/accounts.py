"""Who asks in tests: accounts that the bootstrap made, and newcomers with a role in a project."""

from typing import NamedTuple

from tests.cloud import Local

PASSWORD = "correct horse battery"


class Account(NamedTuple):
    """A token, and the project that it is for."""

    token: str
    project: str


def known(local: Local, name: str) -> Account:
    """The user admin or demo, for the project of that name."""
    project: str = local.admin.get(f"/projects?name={name}")["projects"][0]["id"]
    return Account(local.token(name), project)


def newcomer(local: Local, name: str, role: str = "member", project: str = "") -> Account:
    """Somebody with a role in a project, which is a new one unless it is given."""
    ask = local.admin
    if not project:
        project = ask.post("/projects", {"project": {"name": f"project-{name}"}})["project"]["id"]
    body = {"name": name, "password": PASSWORD, "domain_id": "default"}
    user = ask.post("/users", {"user": body})["user"]["id"]
    role_id = ask.get(f"/roles?name={role}")["roles"][0]["id"]
    ask.put(f"/projects/{project}/users/{user}/roles/{role_id}")
    answer = local.login(name, PASSWORD, {"project": {"id": project}})
    assert answer.status == 201, answer
    return Account(answer.headers["x-subject-token"], project)
