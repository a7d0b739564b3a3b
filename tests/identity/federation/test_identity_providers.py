"""Identity providers, registered and changed through HTTP."""

from typing import Any

from tests.cloud import As, Local
from tests.identity.stage import Stage

ALL = "/OS-FEDERATION/identity_providers"


def put(who: As, idp_id: str, status: int = 201, **body: Any) -> Any:
    answer = who.put(f"{ALL}/{idp_id}", {"identity_provider": body}, status=status)
    return answer["identity_provider"] if status == 201 else answer["error"]["message"]


def test_one_look_everywhere(local: Local) -> None:
    made = put(local.admin, "looks", description="d", remote_ids=["b", "a"], enabled=True)
    links = made.pop("links")
    assert links["self"].endswith(f"/v3{ALL}/looks")
    assert links["protocols"] == links["self"] + "/protocols"
    domain = local.admin.get(f"/domains/{made['domain_id']}")["domain"]
    assert (domain["name"], domain["enabled"]) == ("looks", True)
    assert made == {
        "id": "looks",
        "domain_id": domain["id"],
        "enabled": True,
        "description": "d",
        "authorization_ttl": None,
        "remote_ids": ["a", "b"],
    }
    made["links"] = links
    assert local.admin.get(f"{ALL}/looks")["identity_provider"] == made
    assert local.admin.get(f"{ALL}?id=looks")["identity_providers"] == [made]
    changes = {"remote_ids": ["c", "a"], "description": None, "authorization_ttl": 5}
    changed = local.admin.patch(f"{ALL}/looks", {"identity_provider": changes})
    assert changed["identity_provider"] == {
        **made,
        "remote_ids": ["a", "c"],
        "description": None,
        "authorization_ttl": 5,
    }
    assert local.admin.get(f"{ALL}/looks") == changed
    local.admin.head(f"{ALL}/looks")


def test_defaults_and_filters(local: Local) -> None:
    closed = put(local.admin, "filter-closed")
    assert (closed["enabled"], closed["remote_ids"], closed["description"]) == (False, [], None)
    put(local.admin, "filter-open", enabled=True)

    def listed(query: str) -> set[str]:
        found = local.admin.get(f"{ALL}?{query}")["identity_providers"]
        return {each["id"] for each in found} & {"filter-closed", "filter-open"}

    assert listed("enabled=true") == {"filter-open"}
    assert listed("enabled=false") == {"filter-closed"}
    assert listed("id=filter-open&enabled=false") == set()
    assert listed("") == {"filter-closed", "filter-open"}


def test_a_domain_may_be_named_and_shared(local: Local) -> None:
    domain = Stage(local, "idp-shared").domain
    assert put(local.admin, "shares-1", domain_id=domain)["domain_id"] == domain
    assert put(local.admin, "shares-2", domain_id=domain)["domain_id"] == domain
    put(local.admin, "shares-3", status=404, domain_id="nowhere")
    local.admin.get(f"{ALL}/shares-3", status=404)


def test_a_domain_of_the_same_name_is_not_taken_over(local: Local) -> None:
    body = {"domain": {"name": "idp-named"}}
    older = local.admin.post("/domains", body)["domain"]["id"]
    made = put(local.admin, "idp-named")
    assert made["domain_id"] != older
    domain = local.admin.get(f"/domains/{made['domain_id']}")["domain"]
    assert domain["name"] == domain["id"]


def test_remote_ids_belong_to_one_provider(local: Local) -> None:
    put(local.admin, "remote-1", remote_ids=["https://idp.example/1"])
    said = put(local.admin, "remote-2", status=409, remote_ids=["x", "https://idp.example/1"])
    assert said == "Duplicate remote ID: https://idp.example/1"
    local.admin.get(f"{ALL}/remote-2", status=404)
    put(local.admin, "remote-2", remote_ids=["https://idp.example/2"])
    body = {"identity_provider": {"remote_ids": ["https://idp.example/1"]}}
    local.admin.patch(f"{ALL}/remote-2", body, status=409)
    assert local.admin.get(f"{ALL}/remote-2")["identity_provider"]["remote_ids"] == [
        "https://idp.example/2"
    ]
    local.admin.delete(f"{ALL}/remote-1")
    local.admin.patch(f"{ALL}/remote-2", body)


def test_an_id_is_taken_once(local: Local) -> None:
    put(local.admin, "twice")
    assert "Duplicate entry" in put(local.admin, "twice", status=409)


def test_deleting_leaves_the_domain(local: Local) -> None:
    made = put(local.admin, "deleted")
    local.admin.delete(f"{ALL}/deleted")
    for method in ("GET", "DELETE"):
        assert local.admin.ask(method, f"{ALL}/deleted").status == 404
    local.admin.get(f"/domains/{made['domain_id']}")


def test_a_deleted_domain_takes_its_provider_along(local: Local) -> None:
    made = put(local.admin, "homeless", remote_ids=["homeless"])
    path = f"/domains/{made['domain_id']}"
    local.admin.patch(path, {"domain": {"enabled": False}})
    local.admin.delete(path)
    local.admin.get(f"{ALL}/homeless", status=404)
    put(local.admin, "homeless", remote_ids=["homeless"])


def test_bad_input_is_refused(local: Local) -> None:
    put(local.admin, "bad-base")
    for body in (
        {"enabled": "yes"},
        {"name": "x"},
        {"remote_ids": "x"},
        {"remote_ids": ["x", "x"]},
        {"remote_ids": [1]},
        {"remote_ids": [""]},
        {"remote_ids": ["x" * 256]},
        {"remote_ids": ["a\nb"]},
        {"authorization_ttl": -1},
        {"authorization_ttl": 2**31},
        {"authorization_ttl": "5"},
        {"description": 1},
    ):
        put(local.admin, "bad-new", status=400, **body)
        local.admin.patch(f"{ALL}/bad-base", {"identity_provider": body}, status=400)
    put(local.admin, "bad-new", status=400, domain_id="x" * 65)
    local.admin.patch(f"{ALL}/bad-base", {"identity_provider": {}}, status=400)
    local.admin.patch(f"{ALL}/bad-base", {"identity_provider": {"domain_id": "x"}}, status=400)
    for name in ("x" * 65, "a%20b", "%C3%A9", "a%0Ab"):
        put(local.admin, name, status=400)
    local.admin.put(f"{ALL}/bad-new", {}, status=400)
    local.admin.patch(f"{ALL}/nothing", {"identity_provider": {"enabled": True}}, status=404)


def test_administrators_write_and_system_readers_read(local: Local) -> None:
    put(local.admin, "personas")
    stage = Stage(local, "idp-personas")
    reader = stage.acting("reader", "system")
    manager = stage.acting("manager", f"domains/{stage.domain}")
    body = {"identity_provider": {"enabled": True}}
    for who, reads, writes in (
        (reader, 200, 403),
        (manager, 403, 403),
        (local.demo, 403, 403),
        (As(local, None), 401, 401),
    ):
        for path in (ALL, f"{ALL}/personas"):
            assert who.ask("GET", path).status == reads
        assert who.ask("PUT", f"{ALL}/personas-2", body).status == writes
        assert who.ask("PATCH", f"{ALL}/personas", body).status == writes
        assert who.ask("DELETE", f"{ALL}/personas").status == writes
    assert local.admin.get(f"{ALL}/personas")["identity_provider"]["enabled"] is False
