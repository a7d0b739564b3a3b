"""How a server gets at a volume, and how it lets go of it: the part that asks the backend."""

from contextlib import suppress
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.flow import Ask, Failure, Flow, FlowBusy, Next, step
from onestack.volume.attachments.record import AttachmentRecord, attachments_to
from onestack.volume.attachments.settle import settle
from onestack.volume.backend import Backend, Connection, Connector
from onestack.volume.places import address
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.record import (
    InvalidVolume,
    VolumeNotFound,
    VolumeRecord,
    locked,
    new_id,
    set_status,
)
from onestack.volume.volumes.removal import DeleteVolume


class Connect(Flow[AttachmentRecord]):
    """Have the backend export the volume to a host, and to it alone unless `is_shared`; afterwards
    the attachment's `connection_info` says how it is reached."""

    event = "volume.attach"

    connector: Connector
    is_shared: bool = False

    @step()
    def export(self) -> Next:
        volume = self.session.get_one(VolumeRecord, self.subject.volume_id)
        self.subject.attach_status = "attaching"
        self.subject.connector = msgspec.to_builtins(self.connector)
        self.subject.attached_host = self.connector.host
        settle(self.session, volume)
        asked = {
            "volume_id": volume.id,
            "attachment_id": self.subject.id,
            "connector": self.connector,
            "is_shared": self.is_shared,
        }
        return Ask(address(volume.host), Backend.export, asked, then=self.exported)

    @step()
    def exported(self, connection: Connection) -> Next:
        self.subject.connection_info = told(self.subject, connection)
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.attach_status = "error_attaching"
        settle(self.session, self.session.get_one(VolumeRecord, self.subject.volume_id))

    def describe(self) -> dict[str, Any]:
        return {"volume_id": self.subject.volume_id, "server_id": self.subject.server_id}


class Disconnect(Flow[AttachmentRecord]):
    """Cut an attachment off, forget it, and delete the volume when nobody else has it and
    `deletes_volume` says so."""

    event = "volume.detach"
    preempts = True

    deletes_volume: bool = False
    volume_id: str = ""

    @step()
    def unexport(self) -> Next:
        volume = self.session.get_one(VolumeRecord, self.subject.volume_id)
        self.volume_id = volume.id
        self.subject.attach_status = "detaching"
        if volume.host is None:
            return self.forget
        asked = {"volume_id": volume.id, "attachment_id": self.subject.id}
        return Ask(address(volume.host), Backend.unexport, asked, then=self.forget)

    @step()
    def forget(self) -> Next:
        volume = self.session.get_one(VolumeRecord, self.volume_id)
        if self.deletes_volume and self._may_go(volume):
            with suppress(FlowBusy):  # it is on its way out already
                DeleteVolume.start(self.session, volume)
            set_status(volume, "deleting")
        self.session.delete(self.subject)
        self.session.flush()
        settle(self.session, volume)
        return None

    def failed(self, failure: Failure) -> None:
        if failure.error == "Preempted":
            return  # whoever came first sees to it
        volume = locked(self.session, self.subject.volume_id)
        self.subject.attach_status = "error_detaching"
        if volume is not None and volume.status != "error_deleting":
            settle(self.session, volume)

    def describe(self) -> dict[str, Any]:
        return {"volume_id": self.volume_id}

    def _may_go(self, volume: VolumeRecord) -> bool:
        of_volume = select(SnapshotRecord.id).where(SnapshotRecord.volume_id == volume.id)
        is_last = len(attachments_to(self.session, volume.id)) == 1
        return is_last and self.session.scalars(of_volume).first() is None


def reserve(
    session: Session, volume: VolumeRecord, server_id: str | None, *, mode: str = "rw",
    is_of_server: bool = False, is_made_for_it: bool = False,
) -> AttachmentRecord:  # fmt: skip
    """An attachment that nobody is connected by yet; the volume is nobody else's from here on,
    unless it may have several."""
    found = locked(session, volume.id)
    if found is None:
        raise VolumeNotFound(volume_id=volume.id)
    _check_free(session, found, server_id, is_made_for_it)
    attachment = AttachmentRecord(
        id=new_id(), volume_id=found.id, project_id=found.project_id, server_id=server_id,
        is_of_server=is_of_server, attach_mode="ro" if found.is_readonly else mode,
        attach_status="reserved", created_at=clock.now(),
    )  # fmt: skip
    session.add(attachment)
    session.flush()
    settle(session, found)
    return attachment


def mark(
    session: Session, attachment: AttachmentRecord, status: str, mountpoint: str | None = None
) -> None:
    """Say how far a server is: it has the volume (`attached`), which is in use from here on, or is
    about to let go of it (`detaching`)."""
    attachment.attach_status = status
    if status == "attached":
        attachment.attached_at = attachment.attached_at or clock.now()
    attachment.mountpoint = mountpoint or attachment.mountpoint
    session.flush()
    volume = locked(session, attachment.volume_id)
    if volume is not None:
        settle(session, volume)


def told(attachment: AttachmentRecord, connection: Connection) -> dict[str, Any]:
    """How a volume is reached, as clients and compute know it."""
    return {
        "driver_volume_type": connection.driver_volume_type,
        "data": {**connection.data, "access_mode": attachment.attach_mode, "encrypted": False},
    }


def _check_free(
    session: Session, volume: VolumeRecord, server_id: str | None, is_made_for_it: bool
) -> None:
    others = attachments_to(session, volume.id)
    # A volume that is made for a server is its from the start.
    is_its_own = is_made_for_it and volume.status in ("creating", "downloading") and not others
    if volume.status == "available" or is_its_own:
        return
    if volume.status in ("in-use", "reserved", "attaching") and volume.is_multiattach:
        if server_id is None or all(each.server_id != server_id for each in others):
            return
        raise InvalidVolume(reason=f"volume {volume.id} already attached")
    raise InvalidVolume(
        reason=f"Volume {volume.id} status must be available or downloading to reserve, "
        f"but the current status is {volume.status}."
    )
