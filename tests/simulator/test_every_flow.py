"""No flow goes without the simulator: each that a cloud runs is in a scenario."""

from collections.abc import Iterable
from typing import Any

from onestack.core.engine import Engine
from onestack.core.flow import Flow
from tests.cloud import Local
from tests.simulator.scenarios import SCENARIOS


def test_every_flow_of_a_cloud_has_a_scenario(fresh: Local) -> None:
    wired = names(fresh.cloud.get(Engine).flows.values())
    assert wired >= {"onestack.core.upkeep.forget_old_events"}
    assert wired - names(each for scenario in SCENARIOS for each in scenario.flows) == set()


def names(flows: Iterable[type[Flow[Any]]]) -> set[str]:
    """What flows are called: some are made anew for each cloud."""
    return {f"{each.__module__}.{each.kind}" for each in flows}
