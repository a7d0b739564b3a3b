"""Each scenario, with each thing that can go wrong.

`ONESTACK_SEED=123 pytest tests/simulator` runs what one seed chooses again.
"""

from collections.abc import Iterator

import pytest

from tests.servers.databases import PostgresDatabases, SqliteDatabases
from tests.simulator import simulation
from tests.simulator.scenario import Scenario
from tests.simulator.scenarios import SCENARIOS
from tests.simulator.world import Ground

SEEDS = 25

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: type(each).__name__)


@pytest.fixture(scope="module")
def ground(databases: SqliteDatabases | PostgresDatabases) -> Iterator[Ground]:
    with databases.fresh() as url:
        found = Ground(url)
        yield found
        found.close()


@each_scenario
def test_every_crash_point(ground: Ground, scenario: Scenario) -> None:
    assert simulation.every_crash_point(ground, scenario) > 20


@pytest.mark.parametrize(
    "scenario",
    [each for each in SCENARIOS if each.asks and each.agents()],
    ids=lambda each: type(each).__name__,
)
def test_every_lost_message(ground: Ground, scenario: Scenario) -> None:
    assert simulation.every_lost_message(ground, scenario) > 0


@each_scenario
def test_every_zombie(ground: Ground, scenario: Scenario) -> None:
    assert simulation.every_zombie(ground, scenario) > 5


@pytest.mark.parametrize(
    "scenario",
    [each for each in SCENARIOS if each.can_be_interrupted],
    ids=lambda each: type(each).__name__,
)
def test_every_interruption(ground: Ground, scenario: Scenario) -> None:
    assert simulation.every_interruption(ground, scenario) > 10


@pytest.mark.parametrize("seed", simulation.seeds(SEEDS))
@each_scenario
def test_many_troubles(ground: Ground, scenario: Scenario, seed: int) -> None:
    simulation.simulate(ground, scenario, seed)
