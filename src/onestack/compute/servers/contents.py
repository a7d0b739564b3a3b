"""What there is of servers besides their actions: operations, flows, and rules."""

from typing import Any

from onestack.compute.servers import create, delete, instance_actions, read, view
from onestack.compute.servers.build import Build
from onestack.core.flow import Flow

NOUNS = (create.api, read.api, delete.api, instance_actions.api)
FLOWS: tuple[type[Flow[Any]], ...] = (Build, delete.Delete)
# Rules that an operation judges by besides the one that it declares.
JUDGED_TOO = (
    *create.JUDGED_TOO, *read.JUDGED_TOO, *view.JUDGED_TOO, *instance_actions.JUDGED_TOO,
)  # fmt: skip
