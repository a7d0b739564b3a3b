"""The volumes that servers have, as servers show them."""

from collections.abc import Iterable
from typing import Annotated, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from onestack.compute.servers.record import BlockDeviceRecord
from onestack.core.listed import among
from onestack.core.shapes import Shape, since

_DISKS = cast(Table, BlockDeviceRecord.__table__)
_VOLUMES_OF = (
    select(_DISKS.c.server_id, _DISKS.c.volume_id, _DISKS.c.delete_on_termination)
    .where(among(_DISKS.c.server_id, "servers"), _DISKS.c.volume_id.is_not(None))
    .order_by(_DISKS.c.position)
)


class AttachedVolume(Shape):
    """A volume that a server has."""

    id: str
    delete_on_termination: Annotated[bool, since("2.3")]


def volumes_of(session: Session, server_ids: Iterable[str]) -> dict[str, list[AttachedVolume]]:
    """The volumes of servers, by the servers' ids."""
    wanted = {"servers": list(server_ids)}
    found: dict[str, list[AttachedVolume]] = {}
    for server_id, volume_id, is_deleted in session.connection().execute(_VOLUMES_OF, wanted):
        volume = AttachedVolume(id=volume_id, delete_on_termination=is_deleted)
        found.setdefault(server_id, []).append(volume)
    return found
