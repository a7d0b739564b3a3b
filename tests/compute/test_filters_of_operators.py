"""What an operator may say of scheduling: filters of their own, multipliers, and mistakes."""

import pytest

from onestack.compute import hosts
from onestack.compute.scheduler import Option, RequestSpec, choose
from onestack.compute.settings import ComputeSettings
from onestack.core import clock
from onestack.core.config import ConfigError
from tests.compute import actors
from tests.compute.test_scheduler import option, spec
from tests.conftest import Clouds
from tests.settle import settle


class OnlyEven:
    """A filter as an operator may write it."""

    def concerns(self, _spec: RequestSpec) -> bool:
        return True

    def refuses(self, option: Option, _spec: RequestSpec) -> str | None:
        return None if option.host.name.endswith(("2", "4")) else "its number is odd"


def test_a_filter_of_an_operators_own(another: Clouds) -> None:
    local = another(
        ONESTACK_AGENT_HOST="h1",
        ONESTACK_AGENT_SIMULATED_HOSTS="4",
        ONESTACK_COMPUTE_FILTERS=f"ComputeFilter,{__name__}:OnlyEven",
    )
    settle(local)
    shown = actors.admin(local).post("/onestack/explain", {"flavorRef": "1"})["decision"]
    assert shown["refused"] == {f"{__name__}:OnlyEven": 2}
    assert shown["host"] in {"h1-2", "h1-4"}


def test_a_negative_multiplier_fills_hosts_one_by_one() -> None:
    rules = hosts.rules_of(ComputeSettings(weights=["ram=-1"]))
    roomy = option("roomy", {"VCPU": 8, "MEMORY_MB": 8000, "DISK_GB": 10})
    tight = option("tight", {"VCPU": 8, "MEMORY_MB": 4000, "DISK_GB": 10})
    decision = choose(spec(), [roomy, tight], rules, clock.randomness())
    assert decision.ranked[0].host.name == "tight"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"filters": ["NoFilter"]}, "there is no filter 'NoFilter'"),
        ({"filters": ["no.such.module:Filter"]}, "cannot be loaded"),
        ({"filters": [f"{__name__}:Nothing"]}, "cannot be loaded"),
        ({"weights": ["speed=1"]}, "there is no weigher 'speed'"),
        ({"weights": ["ram=much"]}, "is no number"),
    ],
)
def test_mistakes_are_named(settings: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        hosts.rules_of(ComputeSettings(**settings))
