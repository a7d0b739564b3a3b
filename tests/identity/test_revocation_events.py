"""Revocation events: listed since a moment, and forgotten when they void nothing any more."""

import datetime as dt
from typing import Any

from sqlalchemy import select

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.shapes import iso
from onestack.identity.revocation_events import BUFFER_S, purge
from onestack.identity.tokens.revocation import RevocationRecord
from tests.cloud import As, Local
from tests.identity.people import being, make_user, role_id

EVENTS = "/OS-REVOKE/events"


def listed(local: Local, since: dt.datetime) -> list[dict[str, Any]]:
    answer: dict[str, Any] = local.admin.get(f"{EVENTS}?since={iso(since)}")
    events: list[dict[str, Any]] = answer["events"]
    return events


def test_events_say_what_is_void(local: Local) -> None:
    user = make_user(local, "revocation-events")
    token = being(local, user)
    claims = token.get("/auth/tokens", X_Subject_Token=str(token.token))["token"]
    before = clock.now()
    token.ask("DELETE", "/auth/tokens", X_Subject_Token=str(token.token))
    local.admin.patch(f"/users/{user['id']}", {"user": {"enabled": False}})
    found = listed(local, before)
    assert [each for each in found if each.get("audit_id") == claims["audit_ids"][0]]
    (mine,) = [each for each in found if each.get("user_id") == user["id"]]
    assert set(mine) == {"user_id", "issued_before", "revoked_at"}
    assert mine["revoked_at"] >= str(iso(before))
    assert mine["issued_before"] == mine["revoked_at"]
    later = dt.datetime.fromisoformat(mine["revoked_at"]) + dt.timedelta(microseconds=1)
    assert mine not in listed(local, later.replace(tzinfo=None))


def test_the_list_in_its_envelope(local: Local) -> None:
    answer = local.admin.get(EVENTS)
    assert answer["links"]["self"].endswith(f"/identity/v3{EVENTS}")
    assert answer["links"]["next"] is None
    moments = [each["revoked_at"] for each in answer["events"]]
    assert moments == sorted(moments)
    local.admin.head(EVENTS)
    for wrong in ("yesterday", "2026-13-01T00:00:00Z", ""):
        local.admin.get(f"{EVENTS}?since={wrong}", status=400)


def test_who_may_list_them(local: Local) -> None:
    service = make_user(local, "revocation-service")
    path = f"/domains/default/users/{service['id']}/roles/{role_id(local, 'service')}"
    local.admin.put(path)
    being(local, service, scope={"domain": {"id": "default"}}).get(EVENTS)
    local.demo.get(EVENTS, status=403)
    As(local, None).get(EVENTS, status=401)


def test_what_voids_nothing_any_more_is_forgotten(fresh: Local) -> None:
    lifetime_s = 100
    oldest = clock.now() - dt.timedelta(seconds=lifetime_s + BUFFER_S)
    minute = dt.timedelta(minutes=1)
    with fresh.cloud.get(Database).transaction() as session:
        for name, moment in (("over", oldest - minute), ("needed", oldest + minute)):
            facts = {"issued_before": moment, "revoked_at": moment}
            session.add(RevocationRecord(user_id=name, **facts))
    database = fresh.cloud.get(Database)
    revision = database.revision("identity")
    with database.transaction() as session:
        assert purge(session, lifetime_s) == 1
    with database.transaction() as session:
        assert list(session.scalars(select(RevocationRecord.user_id))) == ["needed"]
        assert purge(session, lifetime_s) == 0
    assert database.revision("identity") == revision
