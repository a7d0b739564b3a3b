"""Each scenario with several troubles at once, chosen by seeds.

`ONESTACK_SEED=123 pytest tests/simulator` runs what one seed chooses again.
"""

import pytest

from tests.simulator import simulation
from tests.simulator.scenario import Scenario
from tests.simulator.scenarios import SCENARIOS, moves, servers, volume
from tests.simulator.world import Ground

SEEDS, MANY_SEEDS = 25, 300
# What users do most, and what goes through most services: boot, delete, attach, snapshot, moves.
THOROUGHLY = {
    servers.BuildServer, servers.Attach, moves.ResizeThenDelete, moves.Resize, moves.Live,
    moves.MakeImage, volume.TakeSnapshot,
}  # fmt: skip


def _seeds(scenario: Scenario) -> list[int]:
    return simulation.seeds(MANY_SEEDS if type(scenario) in THOROUGHLY else SEEDS)


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        pytest.param(each, seed, id=f"{type(each).__name__}-{seed}")
        for each in SCENARIOS
        for seed in _seeds(each)
    ],
)
def test_many_troubles(ground: Ground, scenario: Scenario, seed: int) -> None:
    simulation.simulate(ground, scenario, seed)
