"""How a server comes to be: a host, ports, disks, and the guest, with another host if one fails."""

from typing import Any

from onestack import placement, volume
from onestack.compute import placing
from onestack.compute.hosts import Hosts
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import faults, instance_actions, networking
from onestack.compute.servers.config_drive import Secrets
from onestack.compute.servers.connector import connector_of
from onestack.compute.servers.notifications import described
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, disks_of, touch
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import show_power
from onestack.core import clock
from onestack.core.bus import agent_address
from onestack.core.flow import Ask, Child, Failure, Flow, Next, Sleep, step

HOSTS_MAX = 3  # how many are tried
WIRING_S = 300.0
LOOK_S = 30.0  # whoever wires a port wakes the flow; this is for when nobody does
CREATE_S = 1800.0  # a large image may have to come first


class Build(Flow[ServerRecord]):
    """From a row to a guest that runs."""

    event = "compute.instance.create"
    tries_max = 4

    is_volume_backed: bool = False
    has_volumes: bool = False
    has_ports: bool = False
    host: str | None = None
    is_host_forced: bool = False
    is_admin: bool = False
    secrets: str = ""  # sealed
    tried: list[str] = []
    last_failure: str = ""
    wiring_since: float = 0.0

    @step(shows="scheduling")
    def schedule(self) -> Next:
        server = self.subject
        size = placing.size_of(server, is_volume_backed=self.is_volume_backed)
        spec = placing.spec_of(
            self.session, server, size, host=self.host, is_forced=self.is_host_forced,
            avoid=self.tried,
        )  # fmt: skip
        placed = placing.place(self.session, self.cloud, [spec])
        if not placed:
            return self.unplaceable
        server.host, server.availability_zone = placed[0].host, placed[0].zone
        touch(server)
        if self.has_ports:
            networking.bind(self.session, server)
            self.wiring_since = clock.now().timestamp()
        if self.has_volumes:
            return self.map_block_devices
        if self.has_ports:
            return self.wait_for_ports
        self.show("spawn")  # at once: many servers are built at a time, and a step less is a third
        return self.spawn()

    @step(shows="scheduling")
    def unplaceable(self) -> Next:
        """Fail, now that the decision is kept."""
        raise placing.refusal(self.session, self.subject.id)

    @step(shows="block_device_mapping")
    def map_block_devices(self) -> Next:
        """One volume at a time is made, or connected to the host; then this looks again."""
        for disk in _volumes(disks_of(self.session, self.subject.id)):
            if disk.volume_id is None:
                return Child(volume.CreateVolume, self._ordered(disk), then=self.map_block_devices)
            if not disk.is_attached:
                return self._connected(disk)
        return self.wait_for_ports if self.has_ports else self.spawn

    @step(shows="networking")
    def wait_for_ports(self) -> Next:
        if networking.are_wired(self.session, self.subject):
            return self.spawn
        waited_s = clock.now().timestamp() - self.wiring_since
        if waited_s > WIRING_S:
            raise Failure("VirtualInterfaceCreateException", "Virtual Interface creation failed")
        return Sleep(LOOK_S)

    @step(shows="spawning")
    def spawn(self) -> Next:
        server = self.subject
        secrets = Secrets.opened(self.cloud, self.secrets)
        guest = spec_of(self.session, self.cloud, server, is_new=True, secrets=secrets)
        return Ask(
            agent_address(str(server.host), "hypervisor"), Hypervisor.create, {"guest": guest},
            then=self.activate, otherwise=self.clean_up, timeout_s=CREATE_S,
            is_secret=bool(self.secrets),
        )  # fmt: skip

    @step(shows="spawning")
    def activate(self, guest: Guest) -> Next:
        server = self.subject
        server.vm_state, server.launched_at = "active", clock.now()
        show_power(server, guest.power)
        touch(server)
        if self.has_volumes:
            for disk in _volumes(disks_of(self.session, server.id)):
                mark_attached(self, disk)
        instance_actions.finish(self.session, server)
        return None

    @step(shows="spawning")
    def clean_up(self, failure: Failure) -> Next:
        """The host could not; what it left goes, and perhaps another one can."""
        server = self.subject
        self.tried = [*self.tried, str(server.host)]
        self.cloud.get(Hosts).note_failure(str(server.host))
        self.last_failure = failure.text
        return Ask(
            agent_address(str(server.host), "hypervisor"), Hypervisor.destroy,
            {"guest_id": server.id}, then=self.reschedule, otherwise=self.reschedule,
        )  # fmt: skip

    @step(shows="scheduling")
    def reschedule(self) -> Next:
        server = self.subject
        if self.is_host_forced or len(self.tried) >= HOSTS_MAX:
            raise Failure("RescheduledException", self.last_failure, "spawn")
        if self.has_ports:
            networking.unbind(self.session, server)
        for disk in _volumes(disks_of(self.session, server.id)):
            disk.is_attached = False
        server.host = None
        return self.schedule

    def failed(self, failure: Failure) -> None:
        server = self.subject
        networking.unbind(self.session, server)
        placement.release(self.session, server.id)
        faults.fail(server, failure)
        server.host = None
        instance_actions.finish(self.session, server, failure)

    def describe(self) -> dict[str, Any]:
        return described(self.subject)

    def _ordered(self, disk: BlockDeviceRecord) -> Any:
        """A new volume's row, of which `CreateVolume` makes a volume."""
        server = self.subject
        wanted = volume.VolumeWanted(
            project_id=server.project_id, user_id=server.user_id, size=disk.size_gb or None,
            name="", volume_type=disk.volume_type, image_id=disk.image_id,
            snapshot_id=disk.snapshot_id, is_admin=self.is_admin,
        )  # fmt: skip
        made = wanted.enter(self.session)
        attachment = volume.reserve(
            self.session, made, server.id, is_of_server=True, is_made_for_it=True
        )
        disk.volume_id, disk.attachment_id, disk.size_gb = made.id, attachment.id, made.size
        return made

    def _connected(self, disk: BlockDeviceRecord) -> Next:
        """Have the volume exported to the host; it counts as attached from then on."""
        disk.is_attached = True
        found = volume.attachments_of(self.session, [self.subject.id])
        attachment = next(each for each in found if each.id == disk.attachment_id)
        state = {"connector": connector_of(self.session, str(self.subject.host))}
        return Child(volume.Connect, attachment, state=state, then=self.map_block_devices)


def mark_attached(flow: Flow[ServerRecord], disk: BlockDeviceRecord) -> None:
    """Tell the volume service that a server has the volume."""
    for each in volume.attachments_of(flow.session, [flow.subject.id]):
        if each.id == disk.attachment_id:
            volume.mark(flow.session, each, "attached", disk.device_name)
    disk.is_attached = True


def _volumes(disks: Any) -> list[BlockDeviceRecord]:
    return [each for each in disks if each.destination_type == "volume"]
