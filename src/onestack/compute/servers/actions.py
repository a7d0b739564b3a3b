"""What can be done to servers, besides creating, changing and deleting them."""

from typing import Any

from onestack.compute.consoles import output, pages, remote, tokens
from onestack.compute.migrations import read as migrations
from onestack.compute.servers import (
    evacuate,
    fixed_ips,
    floating_ips,
    lock,
    migrate,
    moving,
    pause,
    reboot,
    rebuild,
    rescue,
    reset_state,
    resize,
    security_groups,
    shelve,
    snapshot,
    start,
    stop,
    suspend,
)
from onestack.core.flow import Flow

NOUNS = (
    start.api,
    stop.api,
    reboot.api,
    pause.api,
    suspend.api,
    lock.api,
    reset_state.api,
    rebuild.api,
    resize.api,
    migrate.api,
    evacuate.api,
    shelve.api,
    rescue.api,
    security_groups.api,
    fixed_ips.api,
    floating_ips.api,
    migrations.api,
    snapshot.api,
    output.api,
    remote.api,
    tokens.api,
    pages.api,
)

FLOWS: tuple[type[Flow[Any]], ...] = (
    start.StartServer,
    stop.StopServer,
    reboot.RebootServer,
    reboot.ResetServer,
    pause.PauseServer,
    pause.UnpauseServer,
    suspend.SuspendServer,
    suspend.ResumeServer,
    rebuild.RebuildServer,
    moving.Arrive,
    moving.TurnBack,
    resize.ResizeServer,
    resize.ConfirmResize,
    resize.RevertResize,
    migrate.MigrateLive,
    evacuate.EvacuateServer,
    shelve.ShelveServer,
    shelve.OffloadGuest,
    shelve.OffloadServer,
    shelve.UnshelveServer,
    rescue.RescueServer,
    rescue.UnrescueServer,
    snapshot.SnapshotServer,
    snapshot.SnapshotVolumes,
    tokens.forget_console_tokens,
)

# Rules that actions judge by besides the ones that they declare.
JUDGED_TOO = (
    lock.UNLOCK_OVERRIDE, migrate.HOST_RULE, migrate.LIVE_HOST_RULE, snapshot.VOLUME_BACKED,
    migrations.HOSTS, shelve.TO_HOST,
)  # fmt: skip
