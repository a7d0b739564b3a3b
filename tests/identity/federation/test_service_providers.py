"""Service providers, registered and changed through HTTP, and shown in tokens."""

from typing import Any

from tests.cloud import As, Local
from tests.identity.stage import Stage

ALL = "/OS-FEDERATION/service_providers"
URLS = {"auth_url": "https://other.example/auth", "sp_url": "https://other.example/ECP"}


def put(who: As, name: str, status: int = 201, **body: Any) -> Any:
    answer = who.put(f"{ALL}/{name}", {"service_provider": {**URLS, **body}}, status=status)
    return answer["service_provider"] if status == 201 else answer["error"]["message"]


def test_one_look_everywhere(local: Local) -> None:
    made = put(local.admin, "sp-looks")
    assert made.pop("links")["self"].endswith(f"/v3{ALL}/sp-looks")
    assert made == {
        "id": "sp-looks",
        **URLS,
        "enabled": False,
        "description": None,
        "relay_state_prefix": "ss:mem:",
    }
    shown = local.admin.get(f"{ALL}/sp-looks")["service_provider"]
    assert local.admin.get(f"{ALL}?id=sp-looks")["service_providers"] == [shown]
    assert shown not in local.admin.get(f"{ALL}?enabled=true")["service_providers"]
    changes = {"description": "d", "relay_state_prefix": "x:", "sp_url": "https://new.example/"}
    changed = local.admin.patch(f"{ALL}/sp-looks", {"service_provider": changes})
    assert changed["service_provider"] == {**shown, **changes}
    assert local.admin.get(f"{ALL}/sp-looks") == changed
    local.admin.delete(f"{ALL}/sp-looks")
    for method in ("GET", "DELETE"):
        assert local.admin.ask(method, f"{ALL}/sp-looks").status == 404


def test_bad_input_is_refused(local: Local) -> None:
    put(local.admin, "sp-base")
    for body in (
        {"auth_url": None},
        {"auth_url": "no address"},
        {"sp_url": "https://a.example/\r\nSet-Cookie: x"},
        {"sp_url": "https://" + "x" * 225},
        {"sp_url": "https://é.example/"},
        {"enabled": "yes"},
        {"description": 5},
        {"relay_state_prefix": "a\nb"},
        {"more": 1},
    ):
        put(local.admin, "sp-new", status=400, **body)
        local.admin.patch(f"{ALL}/sp-base", {"service_provider": body}, status=400)
    for missing in URLS:
        body = {name: url for name, url in URLS.items() if name != missing}
        local.admin.put(f"{ALL}/sp-new", {"service_provider": body}, status=400)
    local.admin.patch(f"{ALL}/sp-base", {"service_provider": {}}, status=400)
    put(local.admin, "x" * 65, status=400)
    assert "Duplicate entry" in put(local.admin, "sp-base", status=409)
    local.admin.patch(f"{ALL}/nothing", {"service_provider": {"enabled": True}}, status=404)


def test_administrators_write_and_system_readers_read(local: Local) -> None:
    put(local.admin, "sp-who")
    reader = Stage(local, "sp-personas").acting("reader", "system")
    body = {"service_provider": URLS}
    for who, reads, writes in (
        (reader, 200, 403),
        (local.demo, 403, 403),
        (As(local, None), 401, 401),
    ):
        for path in (ALL, f"{ALL}/sp-who"):
            assert who.ask("GET", path).status == reads
        assert who.ask("PUT", f"{ALL}/sp-who-2", body).status == writes
        assert who.ask("PATCH", f"{ALL}/sp-who", body).status == writes
        assert who.ask("DELETE", f"{ALL}/sp-who").status == writes


def test_tokens_name_the_service_providers_that_are_enabled(fresh: Local) -> None:
    who = fresh.accounts["demo"]

    def token() -> dict[str, Any]:
        answer = fresh.login("demo", who["password"])
        found: dict[str, Any] = answer.body["token"]
        header = answer.headers["x-subject-token"]
        assert fresh.admin.get("/auth/tokens", X_Subject_Token=header)["token"] == found
        return found

    put(fresh.admin, "sp-off")
    assert "service_providers" not in token()
    put(fresh.admin, "sp-on", enabled=True)
    assert token()["service_providers"] == [{"id": "sp-on", **URLS}]
    fresh.admin.patch(f"{ALL}/sp-on", {"service_provider": {"enabled": False}})
    assert "service_providers" not in token()
