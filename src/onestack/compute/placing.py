"""Placing: a host is chosen for a server and what the server takes is claimed, in one transaction.

    placed = placing.place(session, cloud, [spec])
    if not placed:
        return self.unplaceable     # a step, which raises placing.refusal(session, server_id)

That nowhere is room is no error here, so that the decision is kept and can be explained.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from onestack import placement
from onestack.compute import decisions, server_groups
from onestack.compute.hosts import CANDIDATES_MAX, Found, Hosts
from onestack.compute.scheduler import Decision, Group, RequestSpec, Rules, choose
from onestack.compute.server_groups import ServerGroupRecord
from onestack.compute.servers.record import ServerRecord
from onestack.core import clock, trace
from onestack.core.context import Cloud
from onestack.core.errors import BadRequest, Conflict
from onestack.placement import Claim

TRAIT, RESOURCES = "trait:", "resources:"
MB_IN_GB = 1024


class NoValidHost(BadRequest):
    message = "No valid host was found. {reason}"


class Placed(NamedTuple):
    """Where a server goes."""

    server_id: str
    host: str
    zone: str


class Size(NamedTuple):
    """What a server takes of its host; disks that are volumes are not counted."""

    vcpus: int
    memory_mb: int
    disk_gb: int
    extra_specs: Mapping[str, str]


def size_of(server: ServerRecord, *, is_volume_backed: bool) -> Size:
    """What a server takes now."""
    root_gb = 0 if is_volume_backed else server.root_gb
    taken_gb = disk_gb(root_gb, server.ephemeral_gb, server.swap_mb)
    return Size(server.vcpus, server.memory_mb, taken_gb, server.extra_specs)


def disk_gb(root_gb: int, ephemeral_gb: int, swap_mb: int) -> int:
    """What disks of these sizes take of a host."""
    return root_gb + ephemeral_gb + math.ceil(swap_mb / MB_IN_GB)


def spec_of(
    session: Session, server: ServerRecord, size: Size, *, host: str | None = None,
    is_forced: bool = False, avoid: Collection[str] = (),
) -> RequestSpec:  # fmt: skip
    """What a server asks of its host: one host, if it is named, and none that is to be avoided."""
    hints = server.scheduler_hints or {}
    plain = spec_of_size(
        size, server.image_properties, server_id=server.id, project_id=server.project_id,
        user_id=server.user_id, zone=server.pinned_zone, host=host,
    )  # fmt: skip
    return replace(
        plain,
        is_forced=is_forced,
        avoid=frozenset(avoid),
        same_host=_hosts_of(session, hints, "same_host") if "same_host" in hints else None,
        different_host=_hosts_of(session, hints, "different_host"),
        group=_group_of(session, server.id) if "group" in hints else None,
    )


def spec_of_size(  # noqa: PLR0913 - what is asked and for whom, each by its name
    size: Size, image_properties: Mapping[str, str], *, server_id: str, project_id: str,
    user_id: str, zone: str | None, host: str | None,
) -> RequestSpec:  # fmt: skip
    """What a server of this size asks of its host, by its flavour and its image alone."""
    resources, required, forbidden = _wanted(size, image_properties)
    return RequestSpec(
        server_id=server_id,
        project_id=project_id,
        user_id=user_id,
        vcpus=size.vcpus,
        memory_mb=size.memory_mb,
        disk_gb=size.disk_gb,
        resources=resources,
        required=required,
        forbidden=forbidden,
        extra_specs=size.extra_specs,
        image_properties=image_properties,
        zone=zone,
        host=host,
    )


def place(session: Session, cloud: Cloud, specs: Sequence[RequestSpec]) -> list[Placed]:
    """Choose hosts for servers that are alike, and claim what they take: for all of them, or for
    none. What a server held before is let go, unless it is another consumer's by now."""
    hosts = cloud.get(Hosts)
    with trace.span("scheduler", "place"):
        found = {each.option.host.name: each for each in hosts.candidates(session, specs[0])}
        rules = _rules(hosts.rules, specs)
        placed: list[Placed] = []
        for spec in specs:
            present = _with_members(spec, placed)
            decision, host = _decided(session, present, found, rules)
            if host is None and len(found) == CANDIDATES_MAX:
                # None of those that were compared: then all the others too.
                others = hosts.candidates(session, present, most=None)
                found = {**{each.option.host.name: each for each in others}, **found}
                decision, host = _decided(session, present, found, rules)
            if host is None:
                _give_up(session, hosts, present, placed, found)
                return []
            decisions.keep(session, present, decision, host, (), hosts.rules)
            placed.append(Placed(spec.server_id, host, found[host].option.host.zone))
            if len(specs) > 1:
                _take(found, host)
    return placed


def refusal(session: Session, server_id: str) -> NoValidHost:
    """Why a server was placed nowhere, in the words that Nova's clients know."""
    return NoValidHost(reason=decisions.reason(session, server_id))


def check(session: Session, cloud: Cloud, spec: RequestSpec) -> None:
    """Refuse what a server must not be on the host that it is on already; nothing is claimed."""
    hosts = cloud.get(Hosts)
    here = [each for each in hosts.everything(session, spec) if each.host.name == spec.host]
    decision = choose(spec, here, _rules(hosts.rules, [spec]), clock.randomness())
    if not decision.ranked:
        raise NoValidHost(reason="; ".join(each.reason for each in decision.refusals))


def _rules(rules: Rules, specs: Sequence[RequestSpec]) -> Rules:
    """What candidates are asked: of a host that was forced, nothing; and what placement said
    already only where servers before this one have taken something since."""
    if specs[0].is_forced:
        return replace(rules, filters={"placement": rules.filters["placement"]})
    if len(specs) > 1:
        return rules
    return replace(
        rules, filters={name: each for name, each in rules.filters.items() if name != "placement"}
    )


def _give_up(
    session: Session, hosts: Hosts, spec: RequestSpec, placed: Sequence[Placed],
    found: Mapping[str, Found],
) -> None:  # fmt: skip
    """Let go of what the servers before this one claimed, and keep why it could be nowhere."""
    for each in placed:
        placement.release(session, each.server_id)
    options = [
        found[option.host.name].option if option.host.name in found else option
        for option in hosts.everything(session, spec)
    ]
    decisions.keep(session, spec, Decision([], []), None, options, hosts.rules)


def _decided(
    session: Session, spec: RequestSpec, found: Mapping[str, Found], rules: Rules
) -> tuple[Decision, str | None]:
    """The decision among some hosts, and the host that the server has claimed by it."""
    options = [each.option for each in found.values()]
    decision = choose(spec, options, rules, clock.randomness())
    return decision, _claimed(session, spec, decision, found)


def _claimed(
    session: Session, spec: RequestSpec, decision: Decision, found: Mapping[str, Found]
) -> str | None:
    """The best host that still has what the server takes, which is the server's from here on."""
    for option in decision.ranked:
        host = option.host.name
        claim = Claim(
            consumer_id=spec.server_id,
            amounts=found[host].resources,
            project_id=spec.project_id,
            user_id=spec.user_id,
            type="INSTANCE",
        )
        try:
            placement.replace(session, [claim])
        except Conflict:
            continue  # somebody was faster: the candidates were of a moment ago
        return host
    return None


def _take(found: dict[str, Found], host: str) -> None:
    """Note what a server has taken that is not committed yet."""
    taken = found[host]
    (amounts, *_) = taken.resources.values()
    room = {name: left - amounts.get(name, 0) for name, left in taken.option.room.items()}
    found[host] = taken._replace(option=taken.option._replace(room=room))


def _with_members(spec: RequestSpec, placed: Sequence[Placed]) -> RequestSpec:
    """The request, knowing where the servers before it went."""
    if spec.group is None or not placed:
        return spec
    members = dict(spec.group.members)
    for each in placed:
        members[each.host] = members.get(each.host, 0) + 1
    return replace(spec, group=replace(spec.group, members=members))


def _wanted(
    size: Size, image: Mapping[str, str]
) -> tuple[dict[str, int], tuple[frozenset[str], ...], frozenset[str]]:
    """What is claimed, and the traits that the host must have, or must not have."""
    resources = {"VCPU": size.vcpus, "MEMORY_MB": size.memory_mb, "DISK_GB": size.disk_gb}
    required: set[str] = set()
    forbidden: set[str] = set()
    for name, value in size.extra_specs.items():
        if name.startswith(RESOURCES) and value.isdigit():
            resources[name.removeprefix(RESOURCES)] = int(value)
        elif name.startswith(TRAIT):
            (forbidden if value == "forbidden" else required).add(name.removeprefix(TRAIT))
    required |= {
        name.removeprefix(TRAIT)
        for name, value in image.items()
        if name.startswith(TRAIT) and value == "required"
    }
    kept = {name: amount for name, amount in resources.items() if amount > 0}
    return kept, tuple(frozenset((each,)) for each in sorted(required)), frozenset(forbidden)


def _hosts_of(session: Session, hints: Mapping[str, Any], name: str) -> frozenset[str]:
    """The hosts of the servers that a hint names."""
    given = hints.get(name, ())
    ids = [given] if isinstance(given, str) else list(given)
    if not ids:
        return frozenset()
    rows = session.scalars(select(ServerRecord.host).where(ServerRecord.id.in_(ids)))
    return frozenset(host for host in rows if host)


def _group_of(session: Session, server_id: str) -> Group | None:
    """The group that a server is in, held until the commit: its servers are placed in turns."""
    found = server_groups.of_server(session, server_id)
    if found is None:
        return None
    session.execute(
        select(ServerGroupRecord.id).where(ServerGroupRecord.id == found.id).with_for_update()
    )
    members = server_groups.members_of(session, [found.id]).get(found.id, [])
    rows = session.execute(
        select(ServerRecord.host, func.count())
        .where(ServerRecord.id.in_(members), ServerRecord.id != server_id)
        .where(ServerRecord.host.is_not(None))
        .group_by(ServerRecord.host)
    )
    return Group(
        id=found.id,
        policy=found.policy,
        most_per_host=int(found.rules.get(server_groups.PER_HOST, 1)),
        members={str(host): count for host, count in rows},
    )
