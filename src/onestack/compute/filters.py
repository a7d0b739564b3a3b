"""Filters: what a host must be like, under the names that Nova's operators know. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from onestack.compute.scheduler import Filter, Option, RequestSpec

SERVERS_MAX, BUSY_MAX = 50, 8  # of NumInstancesFilter and IoOpsFilter
AGGREGATE_SCOPE = "aggregate_instance_extra_specs"
CAPABILITIES_SCOPE = "capabilities"
COMPARISON = re.compile(r"^\s*(s==|s!=|s>=|s<=|s>|s<|==|!=|>=|<=|=|<in>|<all-in>|<or>)\s*(.*)$")
IMAGE_ARCHITECTURE = ("hw_architecture", "architecture")
IMAGE_HYPERVISOR = ("img_hv_type", "hypervisor_type")
# What the hosts of each kind run besides what is called like themselves.
RUNS = {"qemu": frozenset(("qemu", "kvm")), "kvm": frozenset(("kvm", "qemu"))}


class Always:
    """What concerns every server."""

    def concerns(self, _spec: RequestSpec) -> bool:
        return True


class ComputeFilter(Always):
    """The host is up, and takes new servers."""

    def refuses(self, option: Option, _spec: RequestSpec) -> str | None:
        return option.trouble or None


class Room(Always):
    """The host has what the server takes. Placement found the hosts by this; it says so here."""

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        lacks = [
            f"{amount} of {name} wanted, {option.room.get(name, 0)} left"
            for name, amount in spec.resources.items()
            if option.room.get(name, 0) < amount
        ]
        lacks += [
            f"trait {' or '.join(sorted(each))} required"
            for each in spec.required
            if each.isdisjoint(option.traits)
        ]
        lacks += [f"trait {each} forbidden" for each in sorted(spec.forbidden & option.traits)]
        return "; ".join(lacks) or None


class OfClass:
    """One class of resources, checked once more where an operator lists this filter."""

    def __init__(self, resource_class: str) -> None:
        self.resource_class = resource_class

    def concerns(self, spec: RequestSpec) -> bool:
        return self.resource_class in spec.resources

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        wanted = spec.resources[self.resource_class]
        left = option.room.get(self.resource_class, 0)
        return None if wanted <= left else f"{wanted} wanted, {left} left"


class AvailabilityZoneFilter:
    """The host is in the zone that was asked for."""

    def concerns(self, spec: RequestSpec) -> bool:
        return spec.zone is not None

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        zone = option.host.zone
        return None if zone == spec.zone else f"in zone {zone}, {spec.zone} wanted"


class RequestedHost:
    """The host is the one that was asked for, and none on which the server has failed."""

    def concerns(self, spec: RequestSpec) -> bool:
        return spec.host is not None or bool(spec.avoid)

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        name = option.host.name
        if spec.host is not None and name != spec.host:
            return f"{spec.host} was asked for"
        return "the server is to leave it, or has failed there" if name in spec.avoid else None


class ComputeCapabilitiesFilter:
    """The host has the capabilities that the flavour names."""

    def concerns(self, spec: RequestSpec) -> bool:
        return bool(_scoped(spec.extra_specs, CAPABILITIES_SCOPE))

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        for key, wanted in _scoped(spec.extra_specs, CAPABILITIES_SCOPE).items():
            held = _at(option.host.capabilities, key)
            if held is None:
                return f"has no capability {key}"
            if not matches(str(held), wanted):
                return f"{key} is {held}, {wanted} wanted"
        return None


class ImagePropertiesFilter:
    """The host can run what the image holds."""

    def concerns(self, spec: RequestSpec) -> bool:
        named = spec.image_properties.keys()
        return not named.isdisjoint(IMAGE_ARCHITECTURE + IMAGE_HYPERVISOR)

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        host = option.host
        architecture = _first(spec.image_properties, IMAGE_ARCHITECTURE)
        if architecture and architecture.lower() != host.architecture.lower():
            return f"is {host.architecture}, the image is for {architecture}"
        hypervisor = _first(spec.image_properties, IMAGE_HYPERVISOR)
        own = host.hypervisor_type.lower()
        if hypervisor and hypervisor.lower() not in RUNS.get(own, {own}):
            return f"runs {host.hypervisor_type}, the image is for {hypervisor}"
        return None


class ServerGroupAffinityFilter:
    """The host has the group's servers, where they shall be on one."""

    def concerns(self, spec: RequestSpec) -> bool:
        return spec.group is not None and spec.group.policy == "affinity"

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        hosts = spec.group.members if spec.group else {}
        if not hosts or option.host.name in hosts:
            return None
        return f"the group is on {', '.join(sorted(hosts))}"


class ServerGroupAntiAffinityFilter:
    """The host has none of the group's servers, or not as many as it may have."""

    def concerns(self, spec: RequestSpec) -> bool:
        return spec.group is not None and spec.group.policy == "anti-affinity"

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        group = spec.group
        present = group.members.get(option.host.name, 0) if group else 0
        if group is None or present < group.most_per_host:
            return None
        return f"has {present} of the group's servers already"


class SameHostFilter:
    """The host has one of the servers that were named."""

    def concerns(self, spec: RequestSpec) -> bool:
        return spec.same_host is not None

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        hosts = spec.same_host or ()
        return None if option.host.name in hosts else "has none of the servers of same_host"


class DifferentHostFilter:
    """The host has none of the servers that were named."""

    def concerns(self, spec: RequestSpec) -> bool:
        return bool(spec.different_host)

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        is_there = option.host.name in spec.different_host
        return "has a server of different_host" if is_there else None


class AggregateInstanceExtraSpecsFilter:
    """The host's aggregates say what the flavour asks of them, under this filter's scope; what has
    no scope is for `ComputeCapabilitiesFilter`, so that both may be used."""

    def concerns(self, spec: RequestSpec) -> bool:
        return bool(_scoped(spec.extra_specs, AGGREGATE_SCOPE, takes_bare=False))

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        specs = _scoped(spec.extra_specs, AGGREGATE_SCOPE, takes_bare=False)
        for key, wanted in specs.items():
            held = option.host.said.get(key)
            if not held:
                return f"no aggregate says anything of {key}"
            if not any(matches(each, wanted) for each in held):
                return f"its aggregates say {key} is {', '.join(sorted(held))}, {wanted} wanted"
        return None


class AggregateMultiTenancyIsolation(Always):
    """The host is kept for nobody, or for the server's project."""

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        kept_for: set[str] = set()
        for key, values in option.host.said.items():
            if key.startswith("filter_tenant_id"):
                kept_for |= values
        is_others = bool(kept_for) and spec.project_id not in kept_for
        return "is kept for other projects" if is_others else None


class AggregateImagePropertiesIsolation:
    """What the host's aggregates say of images is true of this one."""

    def concerns(self, spec: RequestSpec) -> bool:
        return bool(spec.image_properties)

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        for key, values in option.host.said.items():
            value = spec.image_properties.get(key)
            if value is not None and value not in values:
                return f"takes images whose {key} is {', '.join(sorted(values))}"
        return None


class NumInstancesFilter(Always):
    """The host has not too many servers."""

    def refuses(self, option: Option, _spec: RequestSpec) -> str | None:
        return None if option.servers < SERVERS_MAX else f"has {option.servers} servers"


class IoOpsFilter(Always):
    """The host is not too busy with building and moving servers."""

    def refuses(self, option: Option, _spec: RequestSpec) -> str | None:
        return None if option.busy < BUSY_MAX else f"is busy with {option.busy} servers"


# Hosts that placement found are asked about nothing else by these: they come first, always.
NECESSARY: dict[str, Filter] = {"RequestedHost": RequestedHost(), "placement": Room()}
KNOWN: dict[str, Filter] = {
    "ComputeFilter": ComputeFilter(),
    "AvailabilityZoneFilter": AvailabilityZoneFilter(),
    "ComputeCapabilitiesFilter": ComputeCapabilitiesFilter(),
    "ImagePropertiesFilter": ImagePropertiesFilter(),
    "ServerGroupAffinityFilter": ServerGroupAffinityFilter(),
    "ServerGroupAntiAffinityFilter": ServerGroupAntiAffinityFilter(),
    "SameHostFilter": SameHostFilter(),
    "DifferentHostFilter": DifferentHostFilter(),
    "AggregateInstanceExtraSpecsFilter": AggregateInstanceExtraSpecsFilter(),
    "AggregateMultiTenancyIsolation": AggregateMultiTenancyIsolation(),
    "AggregateImagePropertiesIsolation": AggregateImagePropertiesIsolation(),
    "NumInstancesFilter": NumInstancesFilter(),
    "IoOpsFilter": IoOpsFilter(),
    "RamFilter": OfClass("MEMORY_MB"),
    "CoreFilter": OfClass("VCPU"),
    "DiskFilter": OfClass("DISK_GB"),
}


def matches(held: str, wanted: str) -> bool:
    """Whether a value is what a flavour wants of it, in the little language of extra specs."""
    found = COMPARISON.match(wanted)
    if found is None:
        return held == wanted
    operator, rest = found[1], found[2].strip()
    if operator == "<in>":
        return rest in held
    if operator == "<all-in>":
        return all(each in held for each in rest.split())
    if operator == "<or>":
        return held in [each.strip() for each in wanted.split("<or>") if each.strip()]
    if operator.startswith("s"):
        return _compared(held, operator[1:], rest)
    try:
        return _compared(float(held), operator, float(rest))
    except ValueError:
        return False


def _compared(held: Any, operator: str, wanted: Any) -> bool:
    match operator:
        case "==":
            return bool(held == wanted)
        case "!=":
            return bool(held != wanted)
        case ">=" | "=":  # Nova's "=" means at least, for what its history is
            return bool(held >= wanted)
        case "<=":
            return bool(held <= wanted)
        case ">":
            return bool(held > wanted)
        case _:
            return bool(held < wanted)


def _scoped(extra_specs: Mapping[str, str], scope: str, takes_bare: bool = True) -> dict[str, str]:
    """The extra specs that are meant for one filter: under its name, or under none."""
    found = {}
    for key, value in extra_specs.items():
        named, separator, rest = key.partition(":")
        if not separator:
            if takes_bare:
                found[key] = value
        elif named == scope:
            found[rest] = value
    return found


def _at(held: Any, path: str) -> Any:
    """What is at the end of a path such as `cpu_info:topology:cores`."""
    for part in path.split(":"):
        if not isinstance(held, Mapping):
            return None
        held = held.get(part)
    return held


def _first(properties: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((properties[name] for name in names if properties.get(name)), None)
