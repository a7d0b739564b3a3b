"""What servers can be doing, in the words of the API, and what may be done to them when."""

from collections.abc import Collection
from typing import Final

from onestack.compute.hypervisor import Power
from onestack.compute.servers.record import ServerRecord
from onestack.core.errors import Conflict

POWER_STATES: Final[dict[Power, int]] = {
    "none": 0, "running": 1, "paused": 3, "shutdown": 4, "crashed": 6, "suspended": 7,
}  # fmt: skip
NO_POWER, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = POWER_STATES.values()

GOING = "deleting"
CHANGING_S = 1.0  # after which it is looked again whether something else is still being done
RESIZING = ("resize_prep", "resize_migrating", "resize_migrated", "resize_finish")
REBUILDING = ("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning")
# By the state of the machine: what clients see, and what they see instead during some tasks.
STATUSES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "active": ("ACTIVE", {
        **dict.fromkeys(("rebooting", "reboot_pending", "reboot_started"), "REBOOT"),
        **dict.fromkeys(
            ("rebooting_hard", "reboot_pending_hard", "reboot_started_hard"), "HARD_REBOOT"
        ),
        "updating_password": "PASSWORD",
        "migrating": "MIGRATING",
        **dict.fromkeys(REBUILDING, "REBUILD"),
        **dict.fromkeys(RESIZING, "RESIZE"),
    }),
    "building": ("BUILD", {}),
    "stopped": ("SHUTOFF", {
        **dict.fromkeys(RESIZING, "RESIZE"), **dict.fromkeys(REBUILDING, "REBUILD"),
    }),
    "resized": ("VERIFY_RESIZE", {"resize_reverting": "REVERT_RESIZE"}),
    "paused": ("PAUSED", {"migrating": "MIGRATING"}),
    "suspended": ("SUSPENDED", {}),
    "rescued": ("RESCUE", {}),
    "error": ("ERROR", dict.fromkeys(REBUILDING, "REBUILD")),
    "deleted": ("DELETED", {}),
    "soft-delete": ("SOFT_DELETED", {}),
    "shelved": ("SHELVED", {}),
    "shelved_offloaded": ("SHELVED_OFFLOADED", {}),
}  # fmt: skip


class InvalidState(Conflict):
    message = "Cannot '{verb}' instance {server_id} while it is in {attribute} {state}"


class Locked(Conflict):
    message = "Instance {server_id} is locked"


def status_of(vm_state: str, task_state: str | None) -> str:
    """What clients see of a server's states."""
    usual, during = STATUSES.get(vm_state, ("UNKNOWN", {}))
    return during.get(task_state, usual) if task_state else usual


def states_of(status: str) -> list[tuple[str, tuple[str, ...], bool]]:
    """Which states clients see as this status: a state of the machine, and the tasks that it is
    shown during, or (False) those that it is not shown during."""
    found: list[tuple[str, tuple[str, ...], bool]] = []
    for vm_state, (usual, during) in STATUSES.items():
        if usual == status:
            found.append(
                (vm_state, tuple(t for t, shown in during.items() if shown != status), False)
            )
        tasks = tuple(task for task, shown in during.items() if shown == status)
        if tasks:
            found.append((vm_state, tasks, True))
    return found


def check_state(
    server: ServerRecord, verb: str, vm_states: Collection[str],
    task_states: Collection[str | None] | None = (None,),
) -> None:  # fmt: skip
    """Refuse what cannot be done to a server as it is; any task will do for `None`."""
    if server.vm_state not in vm_states:
        raise InvalidState(
            verb=verb, server_id=server.id, attribute="vm_state", state=server.vm_state
        )
    if task_states is not None and server.task_state not in task_states:
        raise InvalidState(
            verb=verb, server_id=server.id, attribute="task_state", state=server.task_state
        )


def is_changing(server: ServerRecord) -> bool:
    """Whether something is being done that decides which devices its guest has: whoever plugs one
    in or out waits for its end. A guest that goes takes all with it."""
    return server.task_state not in (None, GOING)


def is_shut_down(server: ServerRecord) -> bool:
    """Whether its guest gets what was attached when it is started, and may be defined nowhere."""
    return server.power_state in (NO_POWER, SHUTDOWN, CRASHED)


def show_power(server: ServerRecord, power: Power) -> None:
    """Note whether a server's guest runs."""
    server.power_state = POWER_STATES[power]
