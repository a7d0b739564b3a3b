"""A volume of a server has grown: its guest is told, while it runs."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.compute.hypervisor import Hypervisor
from onestack.compute.servers import instance_actions
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord
from onestack.core.bus import agent_address
from onestack.core.flow import Ask, Failure, Flow, FlowBusy, Next, step

WITH_GUEST = ("active", "paused", "suspended", "rescued")


class ExtendVolume(Flow[BlockDeviceRecord]):
    """The hypervisor looks again how large the volume is."""

    kind = "ExtendAttachedVolume"
    event = "compute.instance.volume.extend"

    size_gb: int

    @step()
    def extend(self) -> Next:
        server = self._server()
        if server.host is None or server.vm_state not in WITH_GUEST:
            return self.finish  # its guest sees it when it starts
        asked = {
            "guest_id": server.id, "disk_id": self.subject.volume_id, "size_gb": self.size_gb,
        }  # fmt: skip
        where = agent_address(server.host, "hypervisor")
        return Ask(where, Hypervisor.extend_disk, asked, then=self.finish)

    @step()
    def finish(self) -> Next:
        instance_actions.finish(self.session, self._server())
        return None

    def failed(self, failure: Failure) -> None:
        instance_actions.finish(self.session, self._server(), failure)

    def describe(self) -> dict[str, Any]:
        return {"server_id": self.subject.server_id, "volume_id": self.subject.volume_id}

    def _server(self) -> ServerRecord:
        return self.session.get_one(ServerRecord, self.subject.server_id)


def extended(session: Session, volume_id: str, size_gb: int) -> None:
    """A volume has grown: tell the guests that have it."""
    wanted = select(BlockDeviceRecord).where(
        BlockDeviceRecord.volume_id == volume_id, BlockDeviceRecord.is_attached
    )
    for disk in session.scalars(wanted):
        try:
            ExtendVolume.start(session, disk, size_gb=size_gb)
        except FlowBusy:
            continue  # it is on its way out
        server = session.get_one(ServerRecord, disk.server_id)
        instance_actions.begin(session, server, "extend_volume")
