"""What a request for servers asks for, checked against all that it names, and against quotas."""

from collections.abc import Callable
from typing import Any

import msgspec

from onestack.compute import keypairs, quotas, rules, server_groups
from onestack.compute.flavors import record as flavors
from onestack.compute.flavors.record import FlavorNotFound, FlavorRecord
from onestack.compute.keypairs import KeypairNotFound, KeypairRecord
from onestack.compute.lenient import whole
from onestack.compute.rules import is_admin
from onestack.compute.servers import disks, networking, sources, zones
from onestack.compute.servers.disks import Disk
from onestack.compute.servers.texts import (
    check_address,
    check_user_data,
    decoded,
    drawn,
    new_password,
)
from onestack.compute.servers.wanted import NewServer, NewServerBody
from onestack.compute.servers.zones import Whereabouts
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden
from onestack.network import Requested

ATTACH_NETWORK = rules.rule("servers:create:attach_network", rules.MEMBER)
ATTACH_VOLUME = rules.rule("servers:create:attach_volume", rules.MEMBER)
TRUSTED_CERTIFICATES = rules.rule("servers:create:trusted_certs", rules.MEMBER)
ZERO_DISK = rules.rule("servers:create:zero_disk_flavor")
AT_ONCE_MAX = 1000  # servers of one request, which are all entered in one transaction
JUDGED_TOO = (
    ATTACH_NETWORK, ATTACH_VOLUME, TRUSTED_CERTIFICATES, ZERO_DISK,
    zones.FORCED_HOST, zones.REQUESTED_HOST,
)  # fmt: skip


class InvalidKey(BadRequest):
    message = "Invalid key_name provided."


class TooMuchMetadata(Forbidden):
    message = "Maximum number of metadata items exceeds {most}"


class TooManyFiles(Forbidden):
    message = "Personality file limit exceeded. {reason}"


class Order(msgspec.Struct, kw_only=True):
    """A request for servers, checked."""

    wanted: NewServer
    flavor: FlavorRecord
    extra_specs: dict[str, str]
    image_properties: dict[str, str]
    disks: list[Disk]
    ports: list[Requested]
    where: Whereabouts
    hints: dict[str, Any]
    group_id: str | None
    key: KeypairRecord | None
    password: str
    count_min: int = 1
    count: int = 1
    reservation_id: str = msgspec.field(default_factory=lambda: f"r-{drawn(8)}")


def read(ctx: Context, body: NewServerBody) -> Order:
    """What is wanted, refused if it cannot be."""
    wanted, session, project_id = body.server, ctx.session, ctx.caller.project_id
    _check_texts(wanted)
    flavor = _flavor(ctx, str(wanted.flavor_ref))
    if not (wanted.image_ref or wanted.disks or wanted.old_disks):
        raise BadRequest("Missing imageRef attribute")
    found = sources.image_of(ctx, wanted.image_ref or None)
    planned = disks.plan(
        wanted.disks, wanted.old_disks, found.id if found else None, sources.disks_of(found)
    )
    if any(each.destination_type == "volume" for each in planned):
        rules.allow_own(ctx, rule=ATTACH_VOLUME)
    disks.check_sources(session, planned, project_id)
    root = planned[0]
    found, properties = sources.of_root(ctx, root, found)
    if root.destination_type == "local":
        sources.check_room(found, flavor)
        if flavor.root_gb == 0:
            rules.allow_own(ctx, rule=ZERO_DISK)
    least, most = _counts(wanted)
    if most > 1 and any(each.source_type == "volume" for each in planned):
        raise BadRequest("Cannot attach one or more volumes to multiple instances")
    hints = {**(body.old_hints or {}), **(body.hints or {})}
    if wanted.trusted_image_certificates is not None:
        rules.allow_own(ctx, rule=TRUSTED_CERTIFICATES)
    return Order(
        wanted=wanted, flavor=flavor, image_properties=properties,
        extra_specs=flavors.extra_specs_of(session, flavor.id),
        disks=disks.with_flavor(planned, flavor), ports=_ports(ctx, wanted, most),
        where=zones.read(
            ctx, wanted.availability_zone, wanted.host, wanted.hypervisor_hostname
        ),
        hints=hints, group_id=_group(ctx, hints), key=_key(ctx, wanted.key_name),
        password=wanted.admin_password or new_password(), count_min=least, count=most,
    )  # fmt: skip


def check_quotas(ctx: Context, order: Order) -> None:
    """Refuse what is too much; where a range is asked for, as many as there may be are made."""
    project_id, user_id = str(ctx.caller.project_id), ctx.caller.user_id
    wanted = order.wanted
    if wanted.metadata or wanted.personality:
        limits = quotas.limits_of(ctx.session, project_id)
        if 0 <= limits["metadata_items"] < len(wanted.metadata):
            raise TooMuchMetadata(most=limits["metadata_items"])
        _check_files(wanted, limits)

    def check(count: int) -> None:
        asked = {
            "instances": count, "cores": count * order.flavor.vcpus,
            "ram": count * order.flavor.memory_mb,
        }  # fmt: skip
        quotas.check(ctx.session, project_id, user_id, asked)

    order.count = _most(check, order.count_min, order.count)
    if order.group_id is not None:
        quotas.check_members(ctx.session, project_id, order.group_id, order.count)


def _most(check: Callable[[int], None], least: int, wanted: int) -> int:
    """The greatest number of a range that `check` does not refuse."""
    try:
        check(wanted)
    except Forbidden:
        check(least)
    else:
        return wanted
    refused = wanted
    while refused - least > 1:
        middle = (least + refused) // 2
        try:
            check(middle)
        except Forbidden:
            refused = middle
        else:
            least = middle
    return least


def _check_files(wanted: NewServer, limits: dict[str, int]) -> None:
    if 0 <= limits["injected_files"] < len(wanted.personality):
        raise TooManyFiles(reason="Reduce the number of files.")
    for each in wanted.personality:
        refusal = BadRequest(f"Personality content for {each.path} cannot be decoded")
        content = decoded(each.contents, refusal)
        if 0 <= limits["injected_file_content_bytes"] < len(content):
            raise TooManyFiles(reason="Reduce the size of file contents.")
        if 0 <= limits["injected_file_path_bytes"] < len(each.path):
            raise TooManyFiles(reason="Reduce the length of file paths.")


def _check_texts(wanted: NewServer) -> None:
    if wanted.user_data is not None:
        check_user_data(wanted.user_data)
    for name, address, version in (
        ("accessIPv4", wanted.access_ip_v4, 4), ("accessIPv6", wanted.access_ip_v6, 6),
    ):  # fmt: skip
        check_address(name, address, version)


def _flavor(ctx: Context, flavor_id: str) -> FlavorRecord:
    try:
        return flavors.find(ctx.session, flavor_id, ctx.caller.project_id, is_admin=is_admin(ctx))
    except FlavorNotFound as error:
        raise BadRequest(error.text) from None


def _counts(wanted: NewServer) -> tuple[int, int]:
    """How many servers there shall be at least, and at most."""
    least = whole(wanted.min_count if wanted.min_count is not None else 1, "min_count", least=1)
    given = wanted.max_count
    most = max(least, 1) if given is None else whole(given, "max_count", least=1)
    if least > most:
        raise BadRequest("min_count must be <= max_count")
    if least > AT_ONCE_MAX:
        raise BadRequest(f"min_count must be <= {AT_ONCE_MAX}")
    most = min(most, AT_ONCE_MAX)
    if most > 1 and wanted.hostname:
        raise BadRequest("A hostname cannot be specified for several servers at once.")
    return least, most


def _ports(ctx: Context, wanted: NewServer, count: int) -> list[Requested]:
    """The ports that each server shall have."""
    asked = wanted.networks if ctx.version >= (2, 37) else wanted.few_networks
    if isinstance(asked, list) and asked:
        rules.allow_own(ctx, rule=ATTACH_NETWORK)
    return networking.planned(ctx, asked, count)


def _group(ctx: Context, hints: dict[str, Any]) -> str | None:
    group_id = hints.get("group")
    if group_id is None:
        return None
    if not isinstance(group_id, str):
        raise BadRequest("Invalid input for field/attribute group.")
    try:
        return server_groups.find(ctx.session, group_id, ctx.caller.project_id).id
    except server_groups.ServerGroupNotFound as error:
        raise BadRequest(error.text) from None


def _key(ctx: Context, name: str | None) -> KeypairRecord | None:
    if name is None:
        return None
    try:
        return keypairs.find(ctx.session, ctx.caller.user_id, name)
    except KeypairNotFound:
        raise InvalidKey from None
