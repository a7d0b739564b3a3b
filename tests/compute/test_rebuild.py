"""Servers are rebuilt, rebooted, suspended; and images are made of them."""

from typing import Any

import pytest

from tests.compute.movers import Mover
from tests.conftest import Clouds


@pytest.fixture
def mover(another: Clouds) -> Mover:
    return Mover(another())


def test_a_server_is_rebuilt(mover: Mover) -> None:
    server = mover.built(name="before")
    held, host = mover.held(server["id"]), mover.host(server)
    asked = {"imageRef": mover.image, "name": "after", "metadata": {"a": "b"}}
    answer = mover.act(server, "rebuild", asked)
    assert answer.status == 202
    shown = answer.body["server"]
    assert shown["user_data"] is None
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("REBUILD", "rebuilding")
    assert (shown["name"], shown["metadata"], len(shown["adminPass"])) == ("after", {"a": "b"}, 12)
    mover._done(answer, 202)
    assert mover.state(server) == ("ACTIVE", None)
    assert (mover.held(server["id"]), mover.host(server)) == (held, host)
    assert "adminPass" not in mover.show(server)


def test_a_stopped_server_stays_stopped(mover: Mover) -> None:
    server = mover.built()
    mover.do(server, "os-stop")
    mover.do(server, "rebuild", {"imageRef": mover.image})
    assert mover.state(server) == ("SHUTOFF", None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"imageRef": "none"}, "Can not find requested image"),
        ({}, "imageRef"),
        ({"imageRef": "IMAGE", "accessIPv4": "x"}, "accessIPv4"),
        ({"imageRef": "IMAGE", "key_name": "none"}, "Invalid key_name"),
        ({"imageRef": "IMAGE", "unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_rebuild_changes_nothing(mover: Mover, body: Any, text: str) -> None:
    server = mover.built()
    given = {key: mover.image if value == "IMAGE" else value for key, value in body.items()}
    answer = mover.act(server, "rebuild", given)
    assert answer.status == 400
    assert text in answer.body["badRequest"]["message"]
    assert mover.state(server) == ("ACTIVE", None)


@pytest.mark.parametrize(("kind", "during"), [("SOFT", "REBOOT"), ("HARD", "HARD_REBOOT")])
def test_reboots(mover: Mover, kind: str, during: str) -> None:
    server = mover.built()
    answer = mover.act(server, "reboot", {"type": kind})
    assert mover.state(server)[0] == during
    mover._done(answer, 202)
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.actions(server)[0] == ("reboot", None)


def test_a_hard_reboot_comes_before_a_soft_one(mover: Mover) -> None:
    server = mover.built()
    assert mover.act(server, "reboot", {"type": "SOFT"}).status == 202
    assert mover.act(server, "reboot", {"type": "SOFT"}).status == 409
    mover.do(server, "reboot", {"type": "hard"})
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.act(server, "reboot", {"type": "firm"}).status == 400


def test_a_hard_reboot_mends_a_server_in_error(mover: Mover) -> None:
    server = mover.built()
    mover.order(server, "os-resetState", {"state": "error"})
    assert mover.act(server, "reboot", {"type": "SOFT"}).status == 409
    mover.do(server, "reboot", {"type": "HARD"})
    assert mover.state(server) == ("ACTIVE", None)


def test_suspend_and_resume(mover: Mover) -> None:
    server = mover.built()
    mover.do(server, "suspend")
    assert mover.state(server) == ("SUSPENDED", None)
    assert mover.act(server, "suspend").status == 409
    mover.do(server, "resume")
    assert mover.state(server) == ("ACTIVE", None)
    assert mover.act(server, "resume").status == 409


def test_stop_and_start(mover: Mover) -> None:
    server = mover.built()
    assert mover.act(server, "os-start").status == 409
    mover.do(server, "os-stop")
    assert mover.state(server) == ("SHUTOFF", None)
    mover.do(server, "os-start")
    assert mover.state(server) == ("ACTIVE", None)
