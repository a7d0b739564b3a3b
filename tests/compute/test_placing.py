"""Placing: servers get hosts and claims together, and everybody can be told why."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy.orm import Session

from onestack import placement
from onestack.compute import placing
from onestack.compute.hosts import Hosts
from onestack.compute.nodes import ComputeNodeRecord
from onestack.compute.scheduler import RequestSpec
from onestack.core.db import Database
from tests.cloud import Local
from tests.compute import actors
from tests.compute.clients import Client
from tests.conftest import Clouds
from tests.settle import settle

SMALL = placing.Size(1, 1024, 10, {})


@pytest.fixture
def local(another: Clouds) -> Local:
    cloud = another(ONESTACK_AGENT_HOST="h", ONESTACK_AGENT_SIMULATED_HOSTS="3")
    settle(cloud)
    return cloud


def spec(server_id: str, size: placing.Size = SMALL, **asked: Any) -> RequestSpec:
    known: dict[str, Any] = {"zone": None, "host": None, "project_id": "p", "user_id": "u"} | asked
    return placing.spec_of_size(size, {}, server_id=server_id, **known)


@contextmanager
def transaction(local: Local) -> Iterator[Session]:
    with local.cloud.get(Database).transaction() as session:
        yield session


def test_servers_are_spread_and_claimed(local: Local) -> None:
    with transaction(local) as session:
        placed = placing.place(session, local.cloud, [spec(f"s{n}") for n in range(6)])
        hosts = [each.host for each in placed]
        assert sorted(hosts) == ["h", "h", "h-2", "h-2", "h-3", "h-3"]
        assert {each.zone for each in placed} == {"nova"}
        nodes = {row.id: row.host for row in session.query(ComputeNodeRecord)}
        for each in placed:
            ((provider, amounts),) = placement.holdings(session, each.server_id).items()
            assert nodes[provider] == each.host
            assert amounts == {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 10}


def test_all_or_none(local: Local) -> None:
    large = placing.Size(1, 1024, 6000, {})  # one fits on each host
    with transaction(local) as session:
        assert placing.place(session, local.cloud, [spec(f"s{n}", large) for n in range(4)]) == []
        error = placing.refusal(session, "s3")
        assert error.status == 400
        assert error.text == (
            "No valid host was found. There are not enough hosts available: of 3 hosts, "
            "placement refused 3."
        )


def test_the_one_host_of_many_is_found(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a few hosts are compared, but for a server that none of them takes."""
    monkeypatch.setattr(placing, "CANDIDATES_MAX", 1)
    monkeypatch.setattr(Hosts.candidates, "__defaults__", (1,))
    with transaction(local) as session:
        for number in range(9):
            picky = replace(spec(f"s{number}"), same_host=frozenset({"h-2"}))
            assert [each.host for each in placing.place(session, local.cloud, [picky])] == ["h-2"]


def test_a_host_that_failed_is_avoided(local: Local) -> None:
    with transaction(local) as session:
        avoided = replace(spec("s"), avoid=frozenset({"h", "h-2"}))
        assert [each.host for each in placing.place(session, local.cloud, [avoided])] == ["h-3"]
        nowhere = replace(spec("t"), avoid=frozenset({"h", "h-2", "h-3"}))
        assert placing.place(session, local.cloud, [nowhere]) == []
        assert "RequestedHost refused 3" in placing.refusal(session, "t").text


def test_a_host_that_is_asked_for(local: Local) -> None:
    with transaction(local) as session:
        assert placing.place(session, local.cloud, [spec("s", host="h-2")])[0].host == "h-2"
        assert placing.place(session, local.cloud, [spec("t", host="nowhere")]) == []


def test_what_an_operator_says_of_a_host_stays(local: Local) -> None:
    """Its agent comes back, and the ratio and the traits that were set are still there."""
    admin = actors.admin(local)
    provider = ask(local, admin, "GET", "/resource_providers?name=h")["resource_providers"][0]
    path = f"/resource_providers/{provider['uuid']}/inventories/VCPU"
    held = ask(local, admin, "GET", path)
    assert (held["total"], held["allocation_ratio"]) == (64, 16.0)
    ask(local, admin, "PUT", path, {**held, "allocation_ratio": 2.0})
    ask(local, admin, "PUT", "/traits/CUSTOM_FAST", status=201)
    traits = ask(local, admin, "GET", f"/resource_providers/{provider['uuid']}/traits")
    traits["traits"].append("CUSTOM_FAST")
    ask(local, admin, "PUT", f"/resource_providers/{provider['uuid']}/traits", traits)
    local.environ = {name: value for name, value in local.environ.items() if name != "serving"}
    from onestack.core.agent import Agent

    agent = local.cloud.get(Agent)
    agent._boot = "another"
    agent.report()
    assert ask(local, admin, "GET", path)["allocation_ratio"] == 2.0
    kept = ask(local, admin, "GET", f"/resource_providers/{provider['uuid']}/traits")["traits"]
    assert "CUSTOM_FAST" in kept


def test_a_dry_run_says_where_a_server_would_go(local: Local) -> None:
    admin, demo = actors.admin(local), actors.demo(local)
    body = {"flavorRef": "1"}
    shown = admin.post("/onestack/explain", body)["decision"]
    assert shown["succeeded"]
    assert shown["host"] in {"h", "h-2", "h-3"}
    assert shown["weights"].keys() == {"h", "h-2", "h-3"}
    shown = demo.post("/onestack/explain", {**body, "availability_zone": "moon"})["decision"]
    assert shown["succeeded"] is False
    assert shown["refused"] == {"AvailabilityZoneFilter": 3}
    assert "of 3 hosts" in shown["reason"]
    assert shown["wanted"]["availability_zone"] == "moon"
    # Tenants are not told the hosts.
    assert (shown["host"], shown["hosts"], shown["weights"], shown["closest"]) == (
        None, {}, {}, None
    )  # fmt: skip
    shown = admin.post("/onestack/explain", {**body, "host": "h-2"})["decision"]
    assert shown["host"] == "h-2"
    assert shown["hosts"]["h"] == {"RequestedHost": "h-2 was asked for"}
    admin.post("/onestack/explain", {"flavorRef": "none"}, status=404)
    admin.post("/onestack/explain", {"flavorRef": "1", "imageRef": "none"}, status=404)


def test_a_decision_is_explained_to_whom_it_concerns(local: Local) -> None:
    admin = actors.admin(local)
    owner, stranger = actors.newcomer(local, "explain"), actors.newcomer(local, "explain-other")
    huge = placing.Size(65, 1024, 1, {})
    with transaction(local) as session:
        placing.place(session, local.cloud, [spec("huge", huge, project_id=owner.project)])
    (shown,) = admin.get("/onestack/explain/huge")["decisions"]
    against = "65 of VCPU wanted, 64 left"
    assert shown["closest"]["against"] == {"placement": against}
    assert shown["hosts"].keys() == {"h", "h-2", "h-3"}
    (shown,) = owner.get("/onestack/explain/huge")["decisions"]
    assert shown["refused"] == {"placement": 3}
    assert "hosts" not in shown or shown["hosts"] == {}
    stranger.get("/onestack/explain/huge", status=404)
    admin.get("/onestack/explain/nothing", status=404)


def test_servers_of_a_group_stay_apart(local: Local) -> None:
    client = Client(local)
    group = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
    group_id = client.member.post("/os-server-groups", group)["server_group"]["id"]
    hints = {"group": group_id}
    servers = [client.built(hints=hints) for _ in range(3)]
    assert len({each["hostId"] for each in servers}) == 3
    members = client.member.get(f"/os-server-groups/{group_id}")["server_group"]["members"]
    assert set(members) == {each["id"] for each in servers}
    fourth = client.create(hints=hints)
    settle(local)
    shown = client.show(fourth)
    assert shown["status"] == "ERROR"
    assert "No valid host was found" in shown["fault"]["message"]
    (told,) = client.member.get(f"/onestack/explain/{fourth['id']}")["decisions"]
    assert told["refused"] == {"ServerGroupAntiAffinityFilter": 3}
    near = {"server_group": {"name": "near", "policy": "affinity"}}
    near_id = client.member.post("/os-server-groups", near)["server_group"]["id"]
    together = [client.built(hints={"group": near_id}) for _ in range(3)]
    assert len({each["hostId"] for each in together}) == 1
    away = client.built(hints={"different_host": [together[0]["id"]]})
    assert away["hostId"] != together[0]["hostId"]
    beside = client.built(hints={"same_host": away["id"]})
    assert beside["hostId"] == away["hostId"]


def test_a_host_with_servers_is_not_forgotten(local: Local) -> None:
    client = Client(local)
    server = client.built()
    host = client.show(server, client.admin)["OS-EXT-SRV-ATTR:host"]
    service = client.admin.get(f"/os-services?host={host}")["services"][0]
    client.admin.delete(f"/os-services/{service['id']}", status=409)
    found = client.admin.get(f"/os-hypervisors?hypervisor_hostname_pattern={host}&with_servers=1")
    by_name = {each["hypervisor_hostname"]: each for each in found["hypervisors"]}
    assert [each["uuid"] for each in by_name[host]["servers"]] == [server["id"]]


def test_servers_stay_in_the_zone_that_they_were_asked_to_be_in(local: Local) -> None:
    client = Client(local)
    zone = {"aggregate": {"name": "zone", "availability_zone": "zone"}}
    path = f"/os-aggregates/{client.admin.post('/os-aggregates', zone)['aggregate']['id']}"
    client.admin.post(f"{path}/action", {"add_host": {"host": "h"}})
    server = client.built(availability_zone="zone")
    assert server["OS-EXT-AZ:availability_zone"] == "zone"
    client.admin.post(f"{path}/action", {"remove_host": {"host": "h"}}, status=409)
    renamed = {"aggregate": {"availability_zone": "other"}}
    client.admin.put(path, renamed, status=409)
    client.delete(server)
    client.admin.put(path, renamed)
    client.admin.post(f"{path}/action", {"remove_host": {"host": "h"}})


def ask(
    local: Local, actor: actors.Actor, method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    headers = {"OpenStack-API-Version": "placement 1.39"}
    answer = local.ask(method, f"/placement{path}", body, actor.token, headers)
    assert answer.status == status, answer
    return answer.body if answer.content else None
