"""Every scenario; a service adds its own here, and gets all of the simulator's tests for it."""

from tests.simulator.scenario import Scenario
from tests.simulator.scenarios.image import SCENARIOS as IMAGE
from tests.simulator.scenarios.moves import SCENARIOS as MOVES
from tests.simulator.scenarios.network import SCENARIOS as NETWORK
from tests.simulator.scenarios.power import (
    ExtendVolumeOfServer,
    ForgetConsoleTokens,
    Pause,
    Stop,
    Unpause,
)
from tests.simulator.scenarios.routing import MoveRouters
from tests.simulator.scenarios.servers import SCENARIOS as SERVERS
from tests.simulator.scenarios.toy import (
    Build,
    BuildElsewhere,
    BuildThenDelete,
    Delete,
    DeleteDiskOfBuild,
)  # fmt: skip
from tests.simulator.scenarios.upkeep import (
    ClearStoreAway,
    EndMemberships,
    ForgetDecisions,
    ForgetEvents,
    ForgetRevocations,
    ForgetTasks,
    RotateKeys,
)  # fmt: skip
from tests.simulator.scenarios.volume import SCENARIOS as VOLUME

SCENARIOS: list[Scenario] = [
    Build(), BuildElsewhere(), Delete(), BuildThenDelete(), DeleteDiskOfBuild(),
    ForgetEvents(), EndMemberships(), ForgetRevocations(), RotateKeys(), ClearStoreAway(),
    ForgetDecisions(), ForgetTasks(),
    *IMAGE,
    ExtendVolumeOfServer(), Pause(), Unpause(), Stop(), ForgetConsoleTokens(),
    MoveRouters(),
    *NETWORK,
    *VOLUME,
    *MOVES,
    *SERVERS,
]  # fmt: skip
