"""What there is of servers besides their actions: operations, flows, and rules."""

from typing import Any

from onestack.compute.servers import (
    create,
    delete,
    instance_actions,
    interfaces,
    ips,
    metadata,
    metadata_service,
    read,
    tags,
    update,
    view,
    volume_attachments,
)
from onestack.compute.servers.build import Build
from onestack.core.flow import Flow

NOUNS = (
    create.api, read.api, update.api, delete.api, metadata.api, tags.api, ips.api,
    volume_attachments.api, interfaces.api, instance_actions.api,
    metadata_service.api,
)  # fmt: skip
FLOWS: tuple[type[Flow[Any]], ...] = (
    Build, delete.Delete, volume_attachments.AttachVolume, volume_attachments.DetachVolume,
    interfaces.AttachInterface, interfaces.DetachInterface,
)  # fmt: skip
# Rules that an operation judges by besides the one that it declares.
JUDGED_TOO = (
    *create.JUDGED_TOO, *read.JUDGED_TOO, *view.JUDGED_TOO, *instance_actions.JUDGED_TOO,
)  # fmt: skip
