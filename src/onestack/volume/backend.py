"""The contract of a storage backend: where volumes and their snapshots are kept, and how a guest
reaches them."""

from typing import Any, Protocol

import msgspec

from onestack.core.download import Source


class Pool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place with room for volumes."""

    name: str
    total_gb: float
    free_gb: float
    provisioned_gb: float = 0.0
    protocol: str = "iSCSI"
    is_thin: bool = True
    capabilities: dict[str, Any] = {}


class BackendDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend has to offer."""

    driver: str
    pools: list[Pool]


class Connector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who wants to reach a volume."""

    host: str
    address: str = ""
    initiator: str = ""


class Connection(msgspec.Struct, frozen=True):
    """How a volume is reached, in the words of the block storage API (`iscsi`, `simulated`).

    For `iscsi`, `data` has target_portal, target_iqn, target_lun, auth_method, auth_username,
    auth_password.
    """

    driver_volume_type: str
    data: dict[str, Any]


class Have(msgspec.Struct, frozen=True, order=True):
    """Something that a backend keeps."""

    kind: str  # volume, snapshot or export
    id: str
    size_gb: int = 0


class Backend(Protocol):
    """Driver of a backend. Every method may be called again with the same effect; what a guest may
    read of a new volume was never anybody else's."""

    def describe(self) -> BackendDescription: ...
    def create(self, volume_id: str, size_gb: int) -> None: ...
    def create_from_image(self, volume_id: str, size_gb: int, source: Source) -> None: ...
    def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str) -> None: ...
    def clone(self, volume_id: str, size_gb: int, source_id: str) -> None: ...
    def delete(self, volume_id: str) -> None: ...
    def extend(self, volume_id: str, size_gb: int) -> None: ...
    def revert(self, volume_id: str, snapshot_id: str) -> None: ...
    def snapshot(self, snapshot_id: str, volume_id: str) -> None: ...
    def delete_snapshot(self, snapshot_id: str) -> None: ...
    def export(
        self, volume_id: str, attachment_id: str, connector: Connector, is_shared: bool = False
    ) -> Connection:
        """Let a host reach a volume by an attachment, and nobody else any more; `is_shared` lets
        whoever reaches it already go on, as while a guest moves."""

    def unexport(self, volume_id: str, attachment_id: str) -> None: ...
    def upload(self, volume_id: str, url: str, disk_format: str) -> None:
        """PUT the volume's content, as an image of this format, to a signed address."""

    def inventory(self) -> list[Have]: ...
