"""What there is of servers besides their actions: operations, flows, and rules."""

from typing import Any

from sqlalchemy.orm import Session

from onestack.compute.servers import (
    create,
    delete,
    diagnostics,
    extend_volume,
    external_events,
    instance_actions,
    interfaces,
    ips,
    metadata,
    metadata_service,
    order,
    read,
    reconcile,
    record,
    server_password,
    tags,
    update,
    view,
    volume_attachments,
)
from onestack.compute.servers.build import Build
from onestack.core.flow import Flow, periodic

DELETED_KEPT_S = 90 * 24 * 3600.0


@periodic(3600)
def forget_deleted_servers(session: Session) -> None:
    """Servers that are gone are known for three months: usage is asked for by the month."""
    record.forget(session, DELETED_KEPT_S)


NOUNS = (
    create.api, read.api, update.api, delete.api, metadata.api, tags.api, ips.api,
    volume_attachments.api, interfaces.api, instance_actions.api,
    metadata_service.api, external_events.api,
    server_password.api, diagnostics.api,
)  # fmt: skip
FLOWS: tuple[type[Flow[Any]], ...] = (
    Build, delete.Delete, volume_attachments.AttachVolume, volume_attachments.DetachVolume,
    extend_volume.ExtendVolume,
    interfaces.AttachInterface, interfaces.DetachInterface,
    reconcile.Reconcile, reconcile.Revive, reconcile.compare_hosts, forget_deleted_servers,
)  # fmt: skip
# Rules that an operation judges by besides the one that it declares.
JUDGED_TOO = (
    *order.JUDGED_TOO, *read.JUDGED_TOO, *view.JUDGED_TOO, *instance_actions.JUDGED_TOO,
)  # fmt: skip
