"""Usage: what projects took within a time, of servers that are there and that are gone."""

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest

from onestack.core import clock
from tests.cloud import Local
from tests.compute import actors
from tests.compute.clients import Client

DAY = dt.timedelta(days=1)


@pytest.fixture
def client(local: Local) -> Client:
    return Client(local)


def period(before: dt.timedelta = DAY, after: dt.timedelta = DAY) -> str:
    now = clock.now()
    return f"start={(now - before).isoformat()}&end={(now + after).isoformat()}"


def usage(client: Client, query: str, who: Any = None, status: int = 200) -> Any:
    who = who or client.member
    path = f"/os-simple-tenant-usage/{client.member.project}?{query}"
    answer = who.get(path, status)
    return answer["tenant_usage"] if status == 200 else answer


def test_what_a_project_took(client: Client) -> None:
    assert usage(client, period())["server_usages"] == []
    kept, gone = client.built(name="kept"), client.built(name="gone")
    client.delete(gone)
    found = usage(client, period())
    assert found["tenant_id"] == client.member.project
    by_name = {each["name"]: each for each in found["server_usages"]}
    assert by_name.keys() == {"kept", "gone"}
    assert by_name["kept"]["instance_id"] == kept["id"]
    assert (by_name["kept"]["state"], by_name["kept"]["ended_at"]) == ("active", None)
    assert by_name["gone"]["state"] == "terminated"
    assert by_name["gone"]["ended_at"] is not None
    assert (by_name["kept"]["vcpus"], by_name["kept"]["memory_mb"]) == (1, 128)
    assert by_name["kept"]["flavor"] == "m1.nano"
    # The period ends in a day: what is there is counted up to then.
    assert 23.9 < by_name["kept"]["hours"] < 24.1
    assert by_name["gone"]["hours"] < 0.1
    hours = by_name["kept"]["hours"] + by_name["gone"]["hours"]
    assert found["total_hours"] == pytest.approx(hours)
    assert found["total_memory_mb_usage"] == pytest.approx(128 * hours)
    assert usage(client, period(2 * DAY, -DAY))["total_hours"] == 0


def test_all_projects_are_for_administrators(client: Client) -> None:
    client.built()
    path = f"/os-simple-tenant-usage?{period()}"
    client.member.get(path, status=403)
    mine = client.member.project
    listed = {each["tenant_id"]: each for each in client.admin.get(path)["tenant_usages"]}
    assert "server_usages" not in listed[mine]
    detailed = client.admin.get(f"{path}&detailed=1")["tenant_usages"]
    by_project = {each["tenant_id"]: each for each in detailed}
    assert len(by_project[mine]["server_usages"]) == 1
    stranger = actors.newcomer(client.local, f"usage-{clock.new_id()}")
    usage(client, period(), stranger, status=403)
    assert usage(client, period(), client.admin)["total_hours"] > 0


def test_pages_of_servers(client: Client) -> None:
    for _ in range(3):
        client.built()
    first = client.member.get(f"/os-simple-tenant-usage/{client.member.project}?{period()}&limit=2")
    assert len(first["tenant_usage"]["server_usages"]) == 2
    marker = first["tenant_usage"]["server_usages"][-1]["instance_id"]
    assert f"marker={marker}" in first["tenant_usage_links"][0]["href"]
    rest = usage(client, f"{period()}&limit=2&marker={marker}")
    assert len(rest["server_usages"]) == 1
    usage(client, f"{period()}&marker=x", status=400)
    whole = usage(client, f"{period()}&limit=2", client.member.at("2.39"))
    assert len(whole["server_usages"]) == 3


def test_a_project_without_a_name_is_not_there(client: Client) -> None:
    client.admin.get("/os-simple-tenant-usage/", status=404)


def test_moments(client: Client) -> None:
    usage(client, "start=x", status=400)
    usage(client, "start=2020-01-02T00:00:00&end=2020-01-01T00:00:00", status=400)
    for start in ("2020-01-01T00:00:00", "2020-01-01T00:00:00.5", "2020-01-01 00:00:00.5"):
        assert usage(client, f"start={quote(start)}&end=2020-01-02T00:00:00")["total_hours"] == 0
    assert usage(client, "")["server_usages"] == []


def test_there_are_no_audits(client: Client) -> None:
    admin = client.admin
    path = "/os-instance_usage_audit_log"
    shown = admin.get(path)["instance_usage_audit_logs"]
    assert shown["num_hosts"] == shown["num_hosts_not_run"] == len(shown["hosts_not_run"]) > 0
    month = admin.get(f"{path}/{quote('2026-03-31 10:00:00')}")["instance_usage_audit_log"]
    assert month["period_beginning"] == "2026-02-01 00:00:00"
    assert month["period_ending"] == "2026-03-01 00:00:00"
    admin.get(f"{path}/x", status=400)
    client.member.get(path, status=403)
