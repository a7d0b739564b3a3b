"""OSSA-2017-005, 006: a rebuild with another image is judged by the filters; it claims nothing."""

from typing import Any

import pytest

from onestack.core import clock
from tests.compute.movers import Mover
from tests.conftest import Clouds


@pytest.fixture
def mover(another: Clouds) -> Mover:
    return Mover(another())


def image(mover: Mover, **properties: str) -> Any:
    """Another image, that says something of where it may run."""
    token = mover.member.token
    wanted = {"name": clock.new_id(), "disk_format": "raw", "container_format": "bare"}
    made = mover.local.ask("POST", "/image/v2/images", wanted | properties, token).body
    path = f"/image/v2/images/{made['id']}/file"
    headers = {"content-type": "application/octet-stream"}
    assert mover.local.ask("PUT", path, b"\0" * 1024, token, headers).status == 204
    return made["id"]


def test_an_image_that_must_not_run_here_is_refused(mover: Mover) -> None:
    server = mover.built()
    held = mover.held(server["id"])
    answer = mover.act(server, "rebuild", {"imageRef": image(mover, hw_architecture="s390x")})
    assert answer.status == 400
    assert "No valid host was found" in answer.body["badRequest"]["message"]
    assert mover.show(server)["image"]["id"] == mover.image
    assert (mover.state(server), mover.held(server["id"])) == (("ACTIVE", None), held)


def test_any_number_of_rebuilds_claims_nothing(mover: Mover) -> None:
    server = mover.built()
    held = mover.held(server["id"])
    for _ in range(3):
        mover.do(server, "rebuild", {"imageRef": image(mover)})
        assert mover.state(server) == ("ACTIVE", None)
        assert mover.held(server["id"]) == held


def test_a_server_that_fills_its_host_is_rebuilt(mover: Mover) -> None:
    flavor = {"name": "all", "ram": 260_000, "vcpus": 64, "disk": 9_000}
    made = mover.admin.post("/flavors", {"flavor": flavor}, 200)["flavor"]
    quota = {"quota_set": {"ram": -1, "cores": -1}}
    mover.admin.put(f"/os-quota-sets/{mover.member.project}", quota)
    server = mover.built(flavorRef=made["id"])
    mover.do(server, "rebuild", {"imageRef": image(mover)})
    assert mover.state(server) == ("ACTIVE", None)
