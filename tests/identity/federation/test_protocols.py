"""Protocols and mappings, registered and changed through HTTP."""

from typing import Any

from tests.cloud import As, Local
from tests.identity.federation.partners import ANYBODY
from tests.identity.stage import Stage

PROVIDERS = "/OS-FEDERATION/identity_providers"
MAPPINGS = "/OS-FEDERATION/mappings"


def put_mapping(who: As, name: str, status: int = 201, **body: Any) -> Any:
    answer = who.put(f"{MAPPINGS}/{name}", {"mapping": body}, status=status)
    return answer["mapping"] if status == 201 else answer["error"]["message"]


def put_provider(who: As, name: str) -> str:
    who.put(f"{PROVIDERS}/{name}", {"identity_provider": {}}, status=201)
    return f"{PROVIDERS}/{name}/protocols"


def test_mappings_look_the_same_everywhere(local: Local) -> None:
    made = put_mapping(local.admin, "m-looks", rules=ANYBODY)
    assert made.pop("links")["self"].endswith(f"/v3{MAPPINGS}/m-looks")
    assert made == {"id": "m-looks", "rules": ANYBODY, "schema_version": "1.0"}
    shown = local.admin.get(f"{MAPPINGS}/m-looks")["mapping"]
    assert shown["rules"] == ANYBODY
    assert shown in local.admin.get(MAPPINGS)["mappings"]
    rules = [{"remote": [{"type": "A", "any_one_of": ["x"]}], "local": [{"user": {"name": "j"}}]}]
    body = {"mapping": {"rules": rules, "schema_version": "2.0"}}
    changed = local.admin.patch(f"{MAPPINGS}/m-looks", body)["mapping"]
    assert (changed["rules"], changed["schema_version"]) == (rules, "2.0")
    again = local.admin.patch(f"{MAPPINGS}/m-looks", {"mapping": {"rules": ANYBODY}})["mapping"]
    assert (again["rules"], again["schema_version"]) == (ANYBODY, "2.0")
    local.admin.delete(f"{MAPPINGS}/m-looks")
    for method in ("GET", "DELETE"):
        assert local.admin.ask(method, f"{MAPPINGS}/m-looks").status == 404
    local.admin.patch(f"{MAPPINGS}/m-looks", body, status=404)


def test_bad_mappings_are_refused(local: Local) -> None:
    put_mapping(local.admin, "m-base", rules=ANYBODY)
    remote = [{"type": "A"}]
    bad: tuple[dict[str, Any], ...] = (
        {},
        {"rules": []},
        {"rules": "x"},
        {"rules": [1]},
        {"rules": [{"remote": remote}]},
        {"rules": [{"remote": [], "local": []}]},
        {"rules": [{"remote": remote, "local": [{"user": {"name": "{1}"}}]}]},
        {"rules": [{"remote": remote, "local": [{"evil": 1}]}]},
        {
            "rules": [
                {"remote": [{"type": "A", "whitelist": ["(" * 9], "regex": True}], "local": []}
            ]
        },
        {"rules": ANYBODY, "schema_version": "9"},
        {"rules": ANYBODY, "schema_version": 2},
        {"rules": ANYBODY, "more": 1},
    )
    for body in bad:
        put_mapping(local.admin, "m-new", status=400, **body)
        local.admin.patch(f"{MAPPINGS}/m-base", {"mapping": body}, status=400)
    assert local.admin.get(f"{MAPPINGS}/m-base")["mapping"]["rules"] == ANYBODY
    for name in ("x" * 65, "a.b", "a%20b", "%C3%A9"):
        put_mapping(local.admin, name, status=400, rules=ANYBODY)
    assert "Duplicate entry" in put_mapping(local.admin, "m-base", status=409, rules=ANYBODY)


def test_protocols_look_the_same_everywhere(local: Local) -> None:
    put_mapping(local.admin, "p-looks", rules=ANYBODY)
    put_mapping(local.admin, "p-looks-2", rules=ANYBODY)
    path = put_provider(local.admin, "p-looks")
    body = {"mapping_id": "p-looks", "remote_id_attribute": "MELLON_IDP"}
    made = local.admin.put(f"{path}/saml2", {"protocol": body}, status=201)["protocol"]
    links = made.pop("links")
    assert links["self"].endswith(f"/v3{path}/saml2")
    assert links["identity_provider"].endswith("/identity_providers/p-looks")
    assert made == {"id": "saml2", **body}
    other = {"protocol": {"mapping_id": "p-looks"}}
    local.admin.put(f"{path}/openid", other, status=201)
    listed = local.admin.get(path)["protocols"]
    assert [(each["id"], each["remote_id_attribute"]) for each in listed] == [
        ("openid", None),
        ("saml2", "MELLON_IDP"),
    ]
    changes = {"protocol": {"mapping_id": "p-looks-2"}}
    changed = local.admin.patch(f"{path}/saml2", changes)["protocol"]
    assert changed == {**made, "mapping_id": "p-looks-2", "links": links}
    assert local.admin.get(f"{path}/saml2")["protocol"] == changed
    local.admin.delete(f"{path}/saml2")
    local.admin.get(f"{path}/saml2", status=404)
    assert len(local.admin.get(path)["protocols"]) == 1


def test_two_providers_may_speak_one_protocol(local: Local) -> None:
    put_mapping(local.admin, "p-two", rules=ANYBODY)
    for name in ("p-two-a", "p-two-b"):
        path = put_provider(local.admin, name)
        local.admin.put(f"{path}/mapped", {"protocol": {"mapping_id": "p-two"}}, status=201)
        assert [each["id"] for each in local.admin.get(path)["protocols"]] == ["mapped"]


def test_protocols_end_with_their_provider(local: Local) -> None:
    put_mapping(local.admin, "p-ends", rules=ANYBODY)
    path = put_provider(local.admin, "p-ends")
    local.admin.put(f"{path}/mapped", {"protocol": {"mapping_id": "p-ends"}}, status=201)
    local.admin.delete(f"{PROVIDERS}/p-ends")
    local.admin.get(path, status=404)
    assert put_provider(local.admin, "p-ends") == path
    assert local.admin.get(path)["protocols"] == []


def test_bad_protocols_are_refused(local: Local) -> None:
    put_mapping(local.admin, "p-bad", rules=ANYBODY)
    path = put_provider(local.admin, "p-bad")
    good = {"protocol": {"mapping_id": "p-bad"}}
    local.admin.put(f"{path}/base", good, status=201)
    for changes in (
        {"mapping_id": "nothing"},
        {"mapping_id": ""},
        {"mapping_id": None},
        {"mapping_id": "p-bad", "remote_id_attribute": "x" * 65},
        {"mapping_id": "p-bad", "remote_id_attribute": "a b"},
        {"mapping_id": "p-bad", "more": 1},
        {},
    ):
        body = {"protocol": changes}
        local.admin.put(f"{path}/new", body, status=400)
        local.admin.patch(f"{path}/base", body, status=400)
    local.admin.put(f"{path}/{'x' * 65}", good, status=400)
    local.admin.put(f"{path}/base", good, status=409)
    local.admin.put(f"{PROVIDERS}/nothing/protocols/mapped", good, status=404)
    local.admin.patch(f"{path}/nothing", good, status=404)
    local.admin.delete(f"{path}/nothing", status=404)
    said = local.admin.put(f"{path}/new", {"protocol": {"mapping_id": "nothing"}}, status=400)
    assert said["error"]["message"] == "Invalid mapping id: nothing"


def test_administrators_write_and_system_readers_read(local: Local) -> None:
    put_mapping(local.admin, "p-who", rules=ANYBODY)
    path = put_provider(local.admin, "p-who")
    local.admin.put(f"{path}/mapped", {"protocol": {"mapping_id": "p-who"}}, status=201)
    reader = Stage(local, "protocol-personas").acting("reader", "system")
    protocol, mapping = {"protocol": {"mapping_id": "p-who"}}, {"mapping": {"rules": ANYBODY}}
    for who, reads, writes in (
        (reader, 200, 403),
        (local.demo, 403, 403),
        (As(local, None), 401, 401),
    ):
        for one in (path, f"{path}/mapped", MAPPINGS, f"{MAPPINGS}/p-who"):
            assert who.ask("GET", one).status == reads
        for one, other, body in (
            (f"{path}/mapped", f"{path}/new", protocol),
            (f"{MAPPINGS}/p-who", f"{MAPPINGS}/p-new", mapping),
        ):
            assert who.ask("PUT", other, body).status == writes
            assert who.ask("PATCH", one, body).status == writes
            assert who.ask("DELETE", one).status == writes
