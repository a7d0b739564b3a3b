"""Segments: how a network travels between hosts, chosen for it or given by an administrator."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import agents, clock
from onestack.core.errors import BadRequest, Conflict
from onestack.network.attributes import InvalidInput
from onestack.network.networks.record import NetworkRecord
from onestack.network.switch import Segment

KINDS = ("local", "flat", "vlan", "vxlan", "gre")
TUNNELS = ("vxlan", "gre")
VLAN_MAX = 4094
TUNNEL_MAX = 2**24 - 1
OVERHEAD = {"vxlan": 50, "gre": 42}
MTU = 1500
MTU_MIN = 68
TRIES = 20


class InvalidNetworkType(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: network_type value '{kind}' not supported. Supported are "
        "local, flat, vlan, vxlan, gre."
    )


class FlatNetworkInUse(Conflict):
    message = "Unable to create the flat network. Physical network {physical_network} is in use."


class VlanIdInUse(Conflict):
    message = (
        "Unable to create the network. The VLAN {segmentation_id} on physical network "
        "{physical_network} is in use."
    )


class TunnelIdInUse(Conflict):
    message = "Unable to create the network. The tunnel ID {segmentation_id} is in use."


class NoNetworkAvailable(Conflict):
    message = (
        "Unable to create the network. No available network found in maximum allowed attempts."
    )


def chosen(session: Session) -> Segment:
    """A segment for a network of which nothing was said: a tunnel where hosts can make one."""
    offered = [each.description.get("segments", ()) for each in agents.of_kind(session, "switch")]
    kind = next((e for e in TUNNELS if all(e in each for each in offered)), "local")
    return given(session, Segment(kind))  # type: ignore[arg-type]


def given(session: Session, wanted: Segment) -> Segment:
    """A segment as it was asked for, completed with what was left open."""
    if wanted.kind not in KINDS:
        raise InvalidNetworkType(kind=str(wanted.kind)[:32])
    physical, number = wanted.physical_network, wanted.segmentation_id
    if wanted.kind in ("flat", "vlan"):
        physical = _checked_physical(session, physical, wanted.kind)
    elif physical is not None:
        raise InvalidInput(reason=f"provider:physical_network specified for {wanted.kind} network")
    if wanted.kind in ("flat", "local"):
        if number is not None:
            raise InvalidInput(
                reason=f"provider:segmentation_id cannot be specified for {wanted.kind} network"
            )
        return Segment(wanted.kind, physical)
    most = VLAN_MAX if wanted.kind == "vlan" else TUNNEL_MAX
    if number is not None and not 1 <= number <= most:
        raise InvalidInput(reason=f"segmentation_id out of range (1 through {most})")
    if number is None:
        number = _free_number(session, Segment(wanted.kind, physical), most)
    return Segment(wanted.kind, physical, number)


def key_of(segment: Segment) -> str | None:
    """What no two networks share; local networks share nothing."""
    if segment.kind == "local":
        return None
    parts = (segment.kind, segment.physical_network, segment.segmentation_id)
    return ":".join(str(each) for each in parts if each is not None)


def refuse_twin(session: Session, segment: Segment) -> None:
    """Refuse a segment that another network has."""
    key = key_of(segment)
    if key is None:
        return
    if session.scalar(select(NetworkRecord.id).where(NetworkRecord.segment == key)) is None:
        return
    physical, number = segment.physical_network, segment.segmentation_id
    if segment.kind == "flat":
        raise FlatNetworkInUse(physical_network=physical)
    if segment.kind == "vlan":
        raise VlanIdInUse(segmentation_id=number, physical_network=physical)
    raise TunnelIdInUse(segmentation_id=number)


def mtu_of(kind: str, wanted: int | None) -> int:
    """How large a packet may be: what was asked for, as far as the segment carries it."""
    most = MTU - OVERHEAD.get(kind, 0)
    if not wanted:
        return most
    if wanted > most:
        raise InvalidInput(reason=f"Requested MTU is too big, maximum is {most}")
    if wanted < MTU_MIN:
        raise InvalidInput(reason=f"Requested MTU is too small, minimum is {MTU_MIN}")
    return wanted


def _checked_physical(session: Session, name: str | None, kind: str) -> str:
    if not name:
        raise InvalidInput(reason=f"physical_network required for {kind} provider network")
    hosts = agents.of_kind(session, "switch")
    known = {each for host in hosts for each in host.description.get("physical_networks", ())}
    if hosts and name not in known:
        raise InvalidInput(
            reason=f"physical_network '{name[:64]}' unknown for {kind} provider network"
        )
    return name


def _free_number(session: Session, segment: Segment, most: int) -> int:
    """A number by chance: so many at once seldom want the same one."""
    chance = clock.randomness()
    for _ in range(TRIES):
        number = 1 + chance.randrange(most)
        key = key_of(Segment(segment.kind, segment.physical_network, number))
        if session.scalar(select(NetworkRecord.id).where(NetworkRecord.segment == key)) is None:
            return number
    raise NoNetworkAvailable
