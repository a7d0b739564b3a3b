"""What is said of servers: views in each version, changes, metadata, tags, and what was done."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.compute.clients import Client
from tests.settle import settle


@pytest.fixture(scope="module")
def client(local: Local) -> Client:
    return Client(local)


@pytest.fixture(scope="module")
def server(client: Client) -> Any:
    return client.built(name="Shown One", metadata={"a": "b"}, tags=["t"])


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("2.1", "OS-EXT-STS:vm_state", "locked"),
        ("2.9", "locked", "description"),
        ("2.18", "locked", "description"),
        ("2.19", "description", "tags"),
        ("2.26", "tags", "trusted_image_certificates"),
        ("2.63", "trusted_image_certificates", "server_groups"),
        ("2.71", "server_groups", "locked_reason"),
        ("2.73", "locked_reason", "OS-EXT-SRV-ATTR:hostname"),
        ("2.90", "OS-EXT-SRV-ATTR:hostname", "pinned_availability_zone"),
        ("2.96", "pinned_availability_zone", "scheduler_hints"),
        ("2.100", "scheduler_hints", "OS-EXT-SRV-ATTR:host"),
    ],
)
def test_fields_by_version(client: Client, server: Any, version: str, has: str, lacks: str) -> None:
    shown = client.show(server, client.member.at(version))
    assert has in shown
    assert lacks not in shown


def test_the_flavour_and_the_image_by_version(client: Client, server: Any) -> None:
    old = client.show(server, client.member.at("2.46"))
    assert set(old["flavor"]) == {"id", "links"}
    assert set(old["image"]) == {"id", "links"}
    new = client.show(server, client.member.at("2.98"))
    assert new["flavor"] == {
        "original_name": "m1.nano", "vcpus": 1, "ram": 128, "disk": 1, "ephemeral": 0, "swap": 0,
        "extra_specs": {},
    }  # fmt: skip
    assert new["image"]["properties"]["disk_format"] == "raw"


def test_administrators_see_more(client: Client, server: Any) -> None:
    shown = client.show(server, client.admin)
    assert shown["OS-EXT-SRV-ATTR:hypervisor_hostname"] == shown["OS-EXT-SRV-ATTR:host"]
    assert shown["OS-EXT-SRV-ATTR:instance_name"].startswith("instance-")
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "shown-one"
    assert shown["OS-EXT-SRV-ATTR:reservation_id"].startswith("r-")
    assert shown["host_status"] == "UP"
    assert "OS-EXT-SRV-ATTR:user_data" not in client.show(server, client.admin.at("2.2"))


def test_a_server_is_changed(client: Client, server: Any) -> None:
    path = f"/servers/{server['id']}"
    body = {"name": "other", "accessIPv4": "192.0.2.1", "accessIPv6": "2001:db8::1",
            "description": "d", "OS-DCF:diskConfig": "AUTO"}  # fmt: skip
    changed = client.member.put(path, {"server": body})["server"]
    assert {name: changed[name] for name in body} == body
    long = {"server": {"accessIPv6": "0000:0000:0000:0000:0000:babe:220.12.22.2"}}
    assert client.member.put(path, long)["server"]["accessIPv6"] == "::babe:dc0c:1602"
    answer = client.member.ask("GET", path)
    ids = [answer.headers[f"x-{name}-request-id"] for name in ("compute", "openstack")]
    assert ids[0] == ids[1]
    for wrong in ({"name": ""}, {"name": 1}, {"accessIPv4": "x"}, {"colour": "red"}):
        client.member.put(path, {"server": wrong}, 400)
    client.member.at("2.18").put(path, {"server": {"description": "d"}}, 400)


def test_a_server_is_pinned_to_its_zone(client: Client, server: Any) -> None:
    path = f"/servers/{server['id']}"
    for zone in ("nova", None):
        body = {"server": {"pinned_availability_zone": zone}}
        changed = client.member.put(path, body)["server"]
        assert changed["pinned_availability_zone"] == zone
        client.member.at("2.103").put(path, body, 400)
    client.member.put(path, {"server": {"pinned_availability_zone": "elsewhere"}}, 400)


def test_metadata(client: Client, server: Any) -> None:
    path = f"/servers/{server['id']}/metadata"
    assert client.member.get(path) == {"metadata": {"a": "b"}}
    more = client.member.post(path, {"metadata": {"c": "d"}})
    assert more == {"metadata": {"a": "b", "c": "d"}}
    assert client.member.get(f"{path}/c") == {"meta": {"c": "d"}}
    client.member.put(f"{path}/c", {"meta": {"c": "e"}})
    client.member.put(f"{path}/c", {"meta": {"x": "e"}}, 400)
    client.member.delete(f"{path}/a")
    assert client.member.get(path) == {"metadata": {"c": "e"}}
    assert client.member.put(path, {"metadata": {}}) == {"metadata": {}}
    assert client.member.ask("GET", f"{path}/a").status == 404
    assert client.member.ask("DELETE", f"{path}/a").status == 404
    client.member.post(path, {"metadata": {"k": "v" * 256}}, 400)
    client.member.post(path, {"metadata": {"": "v"}}, 400)
    client.member.post(path, {"metadata": {str(at): "v" for at in range(129)}}, 403)


def test_tags(client: Client, server: Any) -> None:
    path = f"/servers/{server['id']}/tags"
    assert client.member.get(path) == {"tags": ["t"]}
    client.member.put(f"{path}/new", None, 201)
    client.member.put(f"{path}/new", None, 204)
    client.member.get(f"{path}/new", 204)
    client.member.delete(f"{path}/t")
    assert client.member.ask("GET", f"{path}/t").status == 404
    assert client.member.ask("DELETE", f"{path}/t").status == 404
    assert client.member.put(path, {"tags": ["b", "a"]}) == {"tags": ["a", "b"]}
    client.member.put(f"{path}/{'x' * 61}", None, 400)
    client.member.put(path, {"tags": ["a,b"]}, 400)
    client.member.put(path, {"tags": [str(at) for at in range(51)]}, 400)
    client.member.delete(path)
    assert client.member.get(path) == {"tags": []}
    assert client.member.at("2.25").ask("GET", path).status == 404


def test_what_was_done_is_told(client: Client, server: Any) -> None:
    path = f"/servers/{server['id']}/os-instance-actions"
    (action,) = client.member.get(path)["instanceActions"]
    assert (action["action"], action["message"]) == ("create", None)
    shown = client.member.get(f"{path}/{action['request_id']}")["instanceAction"]
    (event,) = shown["events"]
    assert (event["event"], event["result"]) == ("compute__do_build_and_run_instance", "Success")
    assert "traceback" not in event
    assert client.admin.get(f"{path}/{action['request_id']}")["instanceAction"]["events"][0]["host"]
    old = client.member.at("2.50").get(f"{path}/{action['request_id']}")["instanceAction"]
    assert "events" not in old
    assert client.member.ask("GET", f"{path}/req-unknown").status == 404


def test_a_host_that_does_not_take_it(client: Client) -> None:
    made = client.create(who=client.admin, availability_zone="nova:nowhere")
    settle(client.local)
    shown = client.show(made, client.admin)
    assert shown["status"] == "ERROR"
    assert shown["fault"]["code"] == 500
    assert "No valid host was found" in shown["fault"]["message"]
    client.admin.delete(f"/servers/{made['id']}")
    settle(client.local)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"flavorRef": "unknown"}, "Flavor unknown could not be found"),
        ({"imageRef": "00000000-0000-4000-8000-000000000000"}, "Can not find requested image"),
        ({"key_name": "unknown"}, "Invalid key_name provided."),
        ({"availability_zone": "unknown"}, "requested availability zone is not available"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"min_count": 2, "max_count": 1}, "min_count must be <= max_count"),
        ({"min_count": 0}, "min_count"),
        ({"min_count": 1001, "max_count": 10**9}, "min_count must be <= 1000"),
        ({"user_data": "not base64!"}, "user_data"),
        ({"accessIPv4": "x"}, "accessIPv4"),
        ({"imageRef": ""}, "Missing imageRef attribute"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"colour": "red"}, "colour"),
        ({"personality": []}, "personality"),
    ],
)
def test_creations_that_are_refused(client: Client, wrong: Any, said: str) -> None:
    assert said in client.refused(**wrong)


def test_a_file_that_cannot_be_read_is_named(client: Client) -> None:
    files = [{"path": "/etc/motd", "contents": "a===="}]
    told = client.refused(who=client.member.at("2.56"), personality=files)
    assert told == "Personality content for /etc/motd cannot be decoded"


def test_members_cannot_choose_hosts(client: Client) -> None:
    assert client.refused(403, availability_zone="nova:host")
    assert client.refused(403, host="host")


def test_several_at_once(client: Client) -> None:
    body = client.body(name="many", min_count=2, max_count=3, return_reservation_id=True)
    made = client.member.post("/servers", body, 202)
    settle(client.local)
    query = f"/servers/detail?reservation_id={made['reservation_id']}"
    listed = client.member.get(query)["servers"]
    assert sorted(each["name"] for each in listed) == ["many-1", "many-2", "many-3"]
    assert {each["status"] for each in listed} == {"ACTIVE"}
    for each in listed:
        client.delete(each)


@pytest.mark.parametrize("most", [5, 10**9])  # no request takes longer for asking for more
def test_quotas_hold(client: Client, most: int) -> None:
    before = len(client.member.get("/servers")["servers"])
    client.admin.put(
        f"/os-quota-sets/{client.member.project}", {"quota_set": {"instances": before + 2}}
    )
    made = client.member.post(
        "/servers", client.body(min_count=1, max_count=most, return_reservation_id=True), 202
    )
    listed = client.member.get(f"/servers?reservation_id={made['reservation_id']}")["servers"]
    assert len(listed) == 2
    assert "Quota exceeded for instances" in client.refused(403)
    settle(client.local)
    for each in listed:
        client.delete(each)
