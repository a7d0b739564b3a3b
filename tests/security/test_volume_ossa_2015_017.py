"""OSSA-2015-017, OSSA-2016-011: a deletion in the middle of something else leaves nothing."""

import pytest

from onestack.core.agent import Agent
from onestack.core.engine import Engine
from onestack.volume.backend import Have
from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import newcomer


@pytest.mark.parametrize("steps", range(5))
def test_nothing_is_left_of_a_creation(local: Local, steps: int) -> None:
    user, engine = newcomer(local, f"ossa-2015-017-{steps}"), local.cloud.get(Engine)
    settle(local)
    volume = user.post("/volumes", {"volume": {"size": 1}})["volume"]
    for _ in range(steps):
        engine.run_one()
    user.delete(f"/volumes/{volume['id']}")
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)
    assert volume["id"] not in {each.id for each in kept(local)}
    assert user.get("/limits")["limits"]["absolute"]["totalVolumesUsed"] == 0


def kept(local: Local) -> list[Have]:
    """What the cloud's backend has."""
    (backend,) = local.cloud.get(Agent).drivers("backend")
    found: list[Have] = backend.inventory()  # type: ignore[attr-defined]
    return found
