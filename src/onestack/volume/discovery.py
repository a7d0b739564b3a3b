"""What the volume service is, what is added to it, and where it is: zones, extensions, filters."""

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.shapes import Link, Shape, field
from onestack.volume import rules
from onestack.volume.places import ZONE
from onestack.volume.style import ROOT, VERSIONS

api = Operations("versions")

UPDATED = "2026-01-01T00:00:00Z"
EXTENSIONS = {
    "os-quota-sets": "Quotas", "os-quota-class-sets": "QuotaClasses",
    "os-types-extra-specs": "TypesExtraSpecs", "os-types-manage": "TypesManage",
    "os-volume-actions": "VolumeActions", "os-admin-actions": "AdminActions",
    "os-extended-snapshot-attributes": "ExtendedSnapshotAttributes",
    "os-vol-host-attr": "VolumeHostAttribute", "os-vol-tenant-attr": "VolumeTenantAttribute",
    "os-vol-mig-status-attr": "VolumeMigStatusAttribute",
    "os-vol-image-meta": "VolumeImageMetadata", "os-volume-transfer": "VolumeTransfer",
    "os-services": "Services", "os-hosts": "Hosts", "os-used-limits": "UsedLimits",
    "os-availability-zone": "AvailabilityZones", "os-volume-type-access": "VolumeTypeAccess",
    "qos-specs": "Qos_specs_manage", "scheduler-stats": "Scheduler_stats",
    "capabilities": "Capabilities", "OS-SCH-HNT": "SchedulerHints",
    "os-snapshot-actions": "SnapshotActions",
}  # fmt: skip
FILTERS = {
    "volume": [
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone",
        "group_id", "size", "description", "created_at", "updated_at", "consumes_quota",
        "volume_type_id", "multiattach", "user_id", "glance_metadata",
    ],
    "snapshot": [
        "status", "volume_id", "metadata", "name", "description", "volume_size", "created_at",
        "updated_at", "consumes_quota",
    ],
    "attachment": ["volume_id", "status", "instance_id", "attach_status"],
    "message": ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"],
    "pool": ["name", "volume_type"],
    "volume_type": ["is_public", "extra_specs", "name"],
}  # fmt: skip


class MediaType(Shape):
    """How answers are written."""

    base: str
    type: str


class VersionView(Shape):
    """The version of the API, and its microversions."""

    id: str
    status: str
    version: str
    min_version: str
    updated: str
    links: list[Link]
    media_types: list[MediaType] = field(name="media-types")


class Extension(Shape):
    """Something that was added to the first version of the API."""

    name: str
    alias: str
    description: str
    updated: str
    links: list[Link]


class ZoneState(Shape):
    """Whether volumes can be made there."""

    available: bool


class Zone(Shape):
    """An availability zone."""

    zoneName: str  # noqa: N815 - as clients call it
    zoneState: ZoneState  # noqa: N815


class FilterQuery(Shape):
    """Of which kind of thing."""

    resource: str | None = None


class Filters(Shape):
    """What a list of a kind of thing can be filtered by."""

    resource: str
    filters: list[str]


@api.get("/", PUBLIC, key="versions", status=300)
def choices(ctx: Context) -> list[VersionView]:
    """List the versions of the volume API, for a client to choose."""
    return [_version(ctx)]


@api.get("/v3", PUBLIC, key="versions")
def version(ctx: Context) -> list[VersionView]:
    """Show the version of the volume API."""
    return [_version(ctx)]


@api.get("/v3/extensions", rules.rule("volume:get_extensions", rules.ANYONE), key="extensions")
def extensions(_ctx: Context) -> list[Extension]:
    """List what was added to the first version of the API."""
    return [
        Extension(name=name, alias=alias, description=f"{name}.", updated=UPDATED, links=[])
        for alias, name in EXTENSIONS.items()
    ]


@api.get(
    "/v3/os-availability-zone",
    rules.rule("volume:availability_zone_list", rules.ANYONE),
    key="availabilityZoneInfo",
)
def zones(_ctx: Context) -> list[Zone]:
    """List availability zones."""
    return [Zone(zoneName=ZONE, zoneState=ZoneState(available=True))]


@api.get(
    "/v3/resource_filters",
    rules.rule("volume:get_resource_filters", rules.ANYONE),
    key="resource_filters",
    since="3.33",
)
def filters(_ctx: Context, query: FilterQuery) -> list[Filters]:
    """List what lists can be filtered by."""
    return [
        Filters(resource=kind, filters=names)
        for kind, names in FILTERS.items()
        if query.resource in (None, kind)
    ]


def _version(ctx: Context) -> VersionView:
    base = ctx.request.base_url
    return VersionView(
        id="v3.0",
        status="CURRENT",
        version=str(VERSIONS.highest),
        min_version=str(VERSIONS.lowest),
        updated=UPDATED,
        links=[
            Link(rel="describedby", href="https://docs.openstack.org/"),
            Link(rel="self", href=f"{base}{ROOT}/v3/"),
        ],
        media_types=[
            MediaType(
                base="application/json", type="application/vnd.openstack.volume+json;version=3"
            )
        ],
    )
