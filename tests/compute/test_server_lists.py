"""Lists of servers: filters, order, pages, who sees what, and what changed."""

from typing import Any

import pytest

from onestack.core import clock
from tests.cloud import Local
from tests.compute.clients import Client
from tests.settle import settle


@pytest.fixture(scope="module")
def client(local: Local) -> Client:
    return Client(local)


@pytest.fixture(scope="module")
def three(client: Client) -> list[Any]:
    """Servers whose names are web-1, web-2 and db."""
    web = [client.built(name=f"web-{at}", metadata={"at": str(at)}) for at in (1, 2)]
    return [*web, client.built(name="db", tags=["blue", "red"], description="the data")]


def names(client: Client, query: str, status: int = 200) -> Any:
    answer = client.member.ask("GET", f"/servers?{query}")
    assert answer.status == status, answer
    return [each["name"] for each in answer.body["servers"]] if status == 200 else None


def test_the_newest_come_first(client: Client, three: list[Any]) -> None:
    assert names(client, "") == ["db", "web-2", "web-1"]
    assert names(client, "sort_key=display_name&sort_dir=asc") == ["db", "web-1", "web-2"]
    names(client, "sort_key=nothing", 400)
    names(client, "sort_dir=sideways", 400)


def test_pages(client: Client, three: list[Any]) -> None:
    first = client.member.get("/servers?limit=2")
    assert [each["name"] for each in first["servers"]] == ["db", "web-2"]
    (following,) = first["servers_links"]
    assert following["rel"] == "next"
    assert names(client, following["href"].partition("?")[2]) == ["web-1"]
    assert names(client, "limit=0") == []
    names(client, "limit=-1", 400)
    names(client, "limit=many", 400)
    assert "marker [x] not found" in client.member.message("GET", "/servers?marker=x", 400)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=web", ["web-2", "web-1"]),
        ("name=^web-[0-9]%2B$", ["web-2", "web-1"]),
        ("name=b$", ["db"]),
        ("status=active", ["db", "web-2", "web-1"]),
        ("status=SHUTOFF", []),
        ("status=nonsense", []),
        ("vm_state=active&task_state=none", ["db", "web-2", "web-1"]),
        ("description=data", ["db"]),
        ("tags=blue,red", ["db"]),
        ("tags-any=blue,green", ["db"]),
        ("not-tags=blue,red", ["web-2", "web-1"]),
        ("not-tags-any=green,red", ["web-2", "web-1"]),
        ("tags=&not-tags-any=,", ["db", "web-2", "web-1"]),
        ("locked=true", []),
        ("flavor=42", ["db", "web-2", "web-1"]),
        ("flavor=1", []),
        ("image=none", []),
        ("config_drive=true", []),
        ("power_state=1", ["db", "web-2", "web-1"]),
        ("nothing=known", ["db", "web-2", "web-1"]),
        ("host=elsewhere", ["db", "web-2", "web-1"]),  # for administrators only
        ("ip=10.9", []),
    ],
)
def test_filters(client: Client, three: list[Any], query: str, found: list[str]) -> None:
    assert names(client, query) == found


@pytest.mark.parametrize("text", ["(", "(a%2B)%2B", "a*b*c*d*e*f*", "%2B"])
def test_regular_expressions_that_would_not_do(client: Client, text: str) -> None:
    names(client, f"name={text}", 400)


def test_details_are_those_of_one(client: Client, three: list[Any]) -> None:
    shown = client.show(three[2])
    listed = client.member.get("/servers/detail?name=db")["servers"][0]
    shown.pop("server_groups")
    assert listed == shown
    assert (shown["tags"], shown["description"]) == (["blue", "red"], "the data")


def test_others_see_nothing(client: Client, three: list[Any]) -> None:
    stranger = Client(client.local)
    assert stranger.member.get("/servers")["servers"] == []
    path = f"/servers/{three[0]['id']}"
    for method in ("GET", "DELETE"):
        assert stranger.member.ask(method, path).status == 404
    assert stranger.member.ask("PUT", path, {"server": {"name": "x"}}).status == 404
    assert client.member.ask("GET", "/servers?all_tenants=1").status == 403
    every = client.admin.get(f"/servers?all_tenants=1&project_id={client.member.project}")
    assert len(every["servers"]) == 3
    assert client.admin.get(path)["server"]["OS-EXT-SRV-ATTR:host"]


def test_what_changed_includes_what_is_gone(client: Client, three: list[Any]) -> None:
    since = clock.now().isoformat()
    gone = client.built(name="gone")
    client.delete(gone)
    settle(client.local)
    changed = client.member.get(f"/servers/detail?changes-since={since}")["servers"]
    assert [(each["name"], each["status"]) for each in changed] == [("gone", "DELETED")]
    assert "gone" not in names(client, "")
    assert client.member.ask("GET", "/servers?status=deleted").status == 403
    query = f"all_tenants=1&deleted=true&project_id={client.member.project}"
    listed = client.admin.get(f"/servers?{query}")["servers"]
    assert [each["name"] for each in listed] == ["gone"]
    names(client, "changes-since=yesterday", 400)
    actions = client.member.get(f"/servers/{gone['id']}/os-instance-actions")["instanceActions"]
    assert [each["action"] for each in actions] == ["delete", "create"]
    old = client.member.at("2.20")
    assert old.ask("GET", f"/servers/{gone['id']}/os-instance-actions").status == 404
