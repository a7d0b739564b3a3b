"""Let what a request started come to its end: agents serve, and flows run until nothing is due."""

from onestack.core import agents
from onestack.core.agent import Agent
from onestack.core.bus import Bus
from onestack.core.engine import Engine
from tests.cloud import Local


def settle(local: Local) -> int:
    """Run every flow that is due; how many steps that were."""
    if "serving" not in local.environ:
        local.environ = {**local.environ, "serving": "yes"}
        bus = local.cloud.get(Bus)
        bus.serve(agents.ROSTER_ADDRESS, local.cloud.get(agents.Registry), agents.Roster)
        local.cloud.get(Agent).serve()
    local.cloud.get(Agent).report()  # again and again, or they would be taken for dead
    return local.cloud.get(Engine).run_until_idle()
