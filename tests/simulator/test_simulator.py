"""Each scenario, with each thing that can go wrong."""

import pytest

from tests.simulator import simulation
from tests.simulator.scenario import Scenario
from tests.simulator.scenarios import SCENARIOS
from tests.simulator.world import Ground

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: type(each).__name__)


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
