"""What a client may say of the server that it wants."""

from typing import Annotated, Any, Literal

from onestack.compute.lenient import Description, Flag, Name, Number
from onestack.core.shapes import UNSET, Meta, Named, Shape, UnsetType, field, since, until

UUID = r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"

Uuid = Annotated[str, Meta(pattern=UUID)]
Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^,/]*$")]
HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]
Domain = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9-._]*$")]
DeviceName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._/-]*$")]
Text = Annotated[str, Meta(max_length=255)]
MetadataKey = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")]
Metadata = dict[MetadataKey, Text]
Password = Annotated[str, Meta(max_length=4096)]
UserData = Annotated[str, Meta(max_length=65535, pattern=r"^[A-Za-z0-9+/=\s]*$")]
DiskConfig = Literal["AUTO", "MANUAL"]
Certificates = Annotated[
    list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1, max_length=50)
]


class WantedNic(Shape, forbid_unknown_fields=True):
    """A network, or a port, that the server shall be on."""

    uuid: Uuid | None = None
    port: Uuid | None = None
    fixed_ip: str | None = None
    tag: Annotated[Tag | None, since("2.32")] = None


class WantedDisk(Shape, forbid_unknown_fields=True):
    """A disk that the server shall have."""

    source_type: Literal["volume", "image", "snapshot", "blank"] | None = None
    destination_type: Literal["local", "volume"] | None = None
    uuid: Text | None = None
    volume_id: Uuid | None = None
    snapshot_id: Uuid | None = None
    image_id: Uuid | None = None
    volume_size: Number | None = None
    volume_type: Annotated[Text | None, since("2.67")] = None
    boot_index: Number | None = None
    device_name: DeviceName | None = None
    device_type: Text | None = None
    disk_bus: Text | None = None
    guest_format: Text | None = None
    virtual_name: Text | None = None
    connection_info: str | None = None
    no_device: Any = None
    delete_on_termination: Flag | None = None
    tag: Annotated[Tag | None, since("2.32")] = None


class GroupWanted(Shape, forbid_unknown_fields=True):
    """A security group, by its name or id."""

    name: Name


class InjectedFile(Shape, forbid_unknown_fields=True):
    """A file that the server shall find when it starts."""

    path: str
    contents: str


class NewServer(Shape, forbid_unknown_fields=True):
    """The server that a client wants."""

    name: Name
    flavor_ref: str | int = field(name="flavorRef")
    networks: Annotated[list[WantedNic] | Literal["auto", "none"], since("2.37"), Named("networks")]
    image_ref: Text | None = field(default=None, name="imageRef")
    admin_password: Password | None = field(default=None, name="adminPass")
    metadata: Metadata = {}
    few_networks: Annotated[list[WantedNic] | None, until("2.36"), Named("networks")] = None
    disk_config: DiskConfig | None = field(default=None, name="OS-DCF:diskConfig")
    access_ip_v4: str | None = field(default=None, name="accessIPv4")
    access_ip_v6: str | None = field(default=None, name="accessIPv6")
    availability_zone: Name | None = None
    old_disks: list[WantedDisk] | None = field(default=None, name="block_device_mapping")
    disks: list[WantedDisk] | None = field(default=None, name="block_device_mapping_v2")
    config_drive: Flag | None = None
    key_name: Name | None = None
    min_count: Number | None = None
    max_count: Number | None = None
    return_reservation_id: Flag = False
    security_groups: list[GroupWanted] | None = None
    user_data: UserData | None = None
    personality: Annotated[list[InjectedFile], until("2.56")] = []
    description: Annotated[Description | None, since("2.19")] = None
    tags: Annotated[list[Tag], Meta(max_length=50), since("2.52")] = []
    trusted_image_certificates: Annotated[Certificates | None, since("2.63")] = None
    host: Annotated[HostName | None, since("2.74")] = None
    hypervisor_hostname: Annotated[HostName | None, since("2.74")] = None
    hostname: Annotated[HostName | None, since("2.90")] = None


class NewServerBody(Shape, forbid_unknown_fields=True):
    """A server, and hints on where it should be."""

    server: NewServer
    hints: dict[str, Any] | None = field(default=None, name="os:scheduler_hints")
    old_hints: dict[str, Any] | None = field(default=None, name="OS-SCH-HNT:scheduler_hints")


class NewServerView(Shape):
    """What is known of a server at once."""

    id: str
    links: list[Any]
    disk_config: str = field(name="OS-DCF:diskConfig")
    security_groups: list[dict[str, str]]
    admin_password: str | UnsetType = field(default=UNSET, name="adminPass")
