"""Two processes of one cloud: what one of them commits, the other one hears of."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from onestack.core.bus import Bus
from onestack.core.bus_rabbit import Rabbit
from tests.cli.command import Shell, free_port
from tests.servers.waiting import soon


@pytest.fixture
def port(shell: Shell, empty_database_url: str, rabbit_url: str) -> Iterator[int]:
    """Where a process answers requests whose events another process publishes."""
    shell.variables["ONESTACK_CLOUD_DATABASE"] = empty_database_url
    shell.variables["ONESTACK_CLOUD_BUS"] = rabbit_url
    port = free_port()
    answers = shell.start("serve", "--data", shell.home / "a", "--port", port, "--role", "api")
    assert soon((shell.home / "a" / "admin.json").exists)
    works = shell.start("serve", "--data", shell.home / "b", "--role", "worker")
    yield port
    for process in (works, answers):
        process.terminate()
        process.communicate(timeout=30)


def test_a_worker_publishes_what_happens_in_another_process(
    shell: Shell, port: int, rabbit_url: str
) -> None:
    bus = Bus(Rabbit(rabbit_url))
    told: dict[str, float] = {}

    def hear(_topic: str, payload: bytes) -> None:
        said = json.loads(payload)
        told.setdefault(said["payload"].get("resource_info", ""), time.monotonic())

    try:
        bus.subscribe("notifications", hear)
        token = _token(shell, port)
        # The first is published when the worker is ready.
        first = _make_project(port, token, "first")
        assert soon(lambda: first in told)
        time.sleep(0.5)
        began = time.monotonic()
        made = _make_project(port, token, "second")
        assert soon(lambda: made in told)
        assert told[made] - began < 15  # it looks by itself every 30 s
    finally:
        bus.close()


def _token(shell: Shell, port: int) -> str:
    account = json.loads((shell.home / "a" / "admin.json").read_text())["admin"]
    domain = {"id": "default"}
    user = {"name": "admin", "password": account["password"], "domain": domain}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "admin", "domain": domain}},
    }
    assert soon(lambda: _is_up(port))
    answer = httpx.post(f"{_root(port)}/auth/tokens", json={"auth": auth})
    return str(answer.raise_for_status().headers["x-subject-token"])


def _make_project(port: int, token: str, name: str) -> str:
    answer = httpx.post(
        f"{_root(port)}/projects", json={"project": {"name": name}},
        headers={"x-auth-token": token},
    )  # fmt: skip
    return str(answer.raise_for_status().json()["project"]["id"])


def _is_up(port: int) -> bool:
    try:
        return httpx.get(_root(port)).is_success
    except httpx.TransportError:
        return False


def _root(port: int) -> str:
    return f"http://127.0.0.1:{port}/identity/v3"
