"""What fuzzing makes of each kind, so that odd requests reach things that exist; and their names.

A step's path and body may name, as `$kind`, the ids of what earlier steps made.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from string import Template
from typing import Any

SERVICES = ("identity", "placement", "image", "network", "volume", "compute", "onestack")


@dataclass(frozen=True)
class Step:
    """One request that makes a resource of a kind, or does something to one."""

    service: str
    kind: str
    path: str
    body: Any = None
    method: str = "POST"
    found_at: str = ""  # where the answer has the id, as `server.id`; without, it is the kind's
    until: str = ""  # the status that it is waited for to have
    version: str = ""  # the microversion to ask in
    content_type: str = "application/json"

    @property
    def makes(self) -> bool:
        """Whether the id of something new comes of it, which is removed at the end."""
        return bool(self.found_at) and self.method == "POST"

    @property
    def noun(self) -> str:
        """How the answer calls it."""
        return self.found_at.partition(".")[0]

    def filled(self, ids: Mapping[str, str], mark: str) -> tuple[str, Any]:
        """The path and the body with the ids that are known."""
        known = {**ids, "mark": mark}
        body = json.loads(Template(json.dumps(self.body)).safe_substitute(known))
        return Template(self.path).safe_substitute(known), body


GIVEN = {"trait": "CUSTOM_FUZZ", "resource_class": "CUSTOM_FUZZ"}  # what is named, not numbered
NAMED = {"name": "fuzz-$mark"}
COMPUTE, VOLUME = "compute 2.96", "volume 3.70"

STEPS = (
    Step("identity", "domain", "/identity/v3/domains", {"domain": NAMED}, found_at="domain.id"),
    Step("identity", "project", "/identity/v3/projects",
         {"project": {**NAMED, "domain_id": "$domain"}}, found_at="project.id"),
    Step("identity", "user", "/identity/v3/users",
         {"user": {**NAMED, "domain_id": "$domain", "password": "Aa1-$mark"}}, found_at="user.id"),
    Step("identity", "group", "/identity/v3/groups",
         {"group": {**NAMED, "domain_id": "$domain"}}, found_at="group.id"),
    Step("identity", "role", "/identity/v3/roles", {"role": NAMED}, found_at="role.id"),
    Step("identity", "other_role", "/identity/v3/roles", {"role": {"name": "fuzz-other-$mark"}},
         found_at="role.id"),
    Step("identity", "region", "/identity/v3/regions", {"region": {"description": "fuzz"}},
         found_at="region.id"),
    Step("identity", "service", "/identity/v3/services",
         {"service": {**NAMED, "type": "fuzz-$mark"}}, found_at="service.id"),
    Step("identity", "endpoint", "/identity/v3/endpoints",
         {"endpoint": {"service_id": "$service", "region_id": "$region", "interface": "public",
                       "url": "http://example.com"}}, found_at="endpoint.id"),
    Step("identity", "endpoint_group", "/identity/v3/OS-EP-FILTER/endpoint_groups",
         {"endpoint_group": {**NAMED, "filters": {"service_id": "$service"}}},
         found_at="endpoint_group.id"),
    Step("identity", "policy", "/identity/v3/policies",
         {"policy": {"blob": "{}", "type": "application/json"}}, found_at="policy.id"),
    Step("identity", "credential", "/identity/v3/credentials",
         {"credential": {"user_id": "$user", "project_id": "$project", "type": "cert",
                         "blob": "x"}}, found_at="credential.id"),
    Step("identity", "registered_limit", "/identity/v3/registered_limits",
         {"registered_limits": [{"service_id": "$service", "resource_name": "fuzz-$mark",
                                 "default_limit": 1}]}, found_at="registered_limits.id"),
    Step("placement", "provider", "/placement/resource_providers", NAMED,
         found_at="uuid", version="placement 1.39"),
    Step("placement", "trait", "/placement/traits/CUSTOM_FUZZ", method="PUT",
         version="placement 1.39"),
    Step("placement", "resource_class", "/placement/resource_classes/CUSTOM_FUZZ", method="PUT",
         version="placement 1.39"),
    Step("placement", "provider", "/placement/resource_providers/$provider/inventories",
         {"resource_provider_generation": 0,
          "inventories": {"VCPU": {"total": 64}, "CUSTOM_FUZZ": {"total": 9}}},
         method="PUT", version="placement 1.39"),
    Step("placement", "consumer", "/placement/allocations/$consumer",
         {"allocations": {"$provider": {"resources": {"VCPU": 1}}}, "project_id": "fuzz",
          "user_id": "fuzz", "consumer_generation": None, "consumer_type": "FUZZ"},
         method="PUT", version="placement 1.39"),
    Step("image", "image", "/image/v2/images",
         {**NAMED, "disk_format": "raw", "container_format": "bare", "visibility": "shared"},
         found_at="id"),
    Step("image", "image", "/image/v2/images/$image/file", "$mark", method="PUT",
         content_type="application/octet-stream"),
    Step("image", "member", "/image/v2/images/$image/members", {"member": "$project"}),
    Step("network", "network", "/network/v2.0/networks", {"network": NAMED},
         found_at="network.id"),
    Step("network", "subnet", "/network/v2.0/subnets",
         {"subnet": {"network_id": "$network", "ip_version": 4, "cidr": "10.77.0.0/16"}},
         found_at="subnet.id"),
    Step("network", "outside", "/network/v2.0/networks",
         {"network": {**NAMED, "router:external": True}}, found_at="network.id"),
    Step("network", "outer_subnet", "/network/v2.0/subnets",
         {"subnet": {"network_id": "$outside", "ip_version": 4, "cidr": "172.31.0.0/16"}},
         found_at="subnet.id"),
    Step("network", "port", "/network/v2.0/ports", {"port": {"network_id": "$network"}},
         found_at="port.id"),
    Step("network", "router", "/network/v2.0/routers",
         {"router": {**NAMED, "external_gateway_info": {"network_id": "$outside"}}},
         found_at="router.id"),
    Step("network", "router", "/network/v2.0/routers/$router/add_router_interface",
         {"subnet_id": "$subnet"}, method="PUT"),
    Step("network", "floating_ip", "/network/v2.0/floatingips",
         {"floatingip": {"floating_network_id": "$outside"}}, found_at="floatingip.id"),
    Step("network", "port_forwarding", "/network/v2.0/floatingips/$floating_ip/port_forwardings",
         {"port_forwarding": {"internal_port_id": "$port", "internal_port": 80, "protocol": "tcp",
                              "external_port": 8080}}, found_at="port_forwarding.id"),
    Step("network", "security_group", "/network/v2.0/security-groups", {"security_group": NAMED},
         found_at="security_group.id"),
    Step("network", "rule", "/network/v2.0/security-group-rules",
         {"security_group_rule": {"security_group_id": "$security_group", "protocol": "tcp",
                                  "direction": "ingress"}}, found_at="security_group_rule.id"),
    Step("network", "address_scope", "/network/v2.0/address-scopes",
         {"address_scope": {**NAMED, "ip_version": 4}}, found_at="address_scope.id"),
    Step("network", "subnetpool", "/network/v2.0/subnetpools",
         {"subnetpool": {**NAMED, "prefixes": ["10.128.0.0/10"], "default_prefixlen": 24}},
         found_at="subnetpool.id"),
    Step("network", "address_group", "/network/v2.0/address-groups",
         {"address_group": {**NAMED, "addresses": ["10.1.0.0/16"]}}, found_at="address_group.id"),
    Step("network", "rbac", "/network/v2.0/rbac-policies",
         {"rbac_policy": {"object_type": "network", "object_id": "$network",
                          "action": "access_as_shared", "target_tenant": "$project"}},
         found_at="rbac_policy.id"),
    Step("network", "agent", "/network/v2.0/agents", method="GET", found_at="agents.id"),
    Step("network", "tag", "/network/v2.0/networks/$network/tags/fuzz", method="PUT"),
    Step("volume", "type", "/volume/v3/types", {"volume_type": NAMED}, found_at="volume_type.id"),
    Step("volume", "type", "/volume/v3/types/$type/extra_specs", {"extra_specs": {"fuzz": "x"}}),
    Step("volume", "specs", "/volume/v3/qos-specs", {"qos_specs": {**NAMED, "fuzz": "x"}},
         found_at="qos_specs.id"),
    Step("volume", "volume", "/volume/v3/volumes",
         {"volume": {**NAMED, "size": 1, "metadata": {"fuzz": "x"}}},
         found_at="volume.id", until="available", version=VOLUME),
    Step("volume", "snapshot", "/volume/v3/snapshots",
         {"snapshot": {**NAMED, "volume_id": "$volume", "metadata": {"fuzz": "x"}}},
         found_at="snapshot.id", until="available", version=VOLUME),
    Step("volume", "given_volume", "/volume/v3/volumes", {"volume": {**NAMED, "size": 1}},
         found_at="volume.id", until="available", version=VOLUME),
    Step("volume", "transfer", "/volume/v3/volume-transfers",
         {"transfer": {**NAMED, "volume_id": "$given_volume"}},
         found_at="transfer.id", version=VOLUME),
    Step("volume", "host", "/volume/v3/os-services", method="GET", found_at="services.host"),
    Step("compute", "flavor", "/compute/v2.1/flavors",
         {"flavor": {**NAMED, "ram": 64, "vcpus": 1, "disk": 1}}, found_at="flavor.id"),
    Step("compute", "flavor", "/compute/v2.1/flavors/$flavor/os-extra_specs",
         {"extra_specs": {"hw:fuzz": "x"}}),
    Step("compute", "keypair", "/compute/v2.1/os-keypairs", {"keypair": NAMED},
         found_at="keypair.name"),
    Step("compute", "server_group", "/compute/v2.1/os-server-groups",
         {"server_group": {**NAMED, "policy": "soft-affinity"}},
         found_at="server_group.id", version=COMPUTE),
    Step("compute", "aggregate", "/compute/v2.1/os-aggregates", {"aggregate": NAMED},
         found_at="aggregate.id", version=COMPUTE),
    Step("compute", "server", "/compute/v2.1/servers",
         {"server": {**NAMED, "imageRef": "$image", "flavorRef": "$flavor", "tags": ["fuzz"],
                     "metadata": {"fuzz": "x"}, "networks": [{"port": "$port"}],
                     "key_name": "$keypair"}},
         found_at="server.id", until="ACTIVE", version=COMPUTE),
    Step("compute", "attached", "/compute/v2.1/servers/$server/os-volume_attachments",
         {"volumeAttachment": {"volumeId": "$volume"}}, version=COMPUTE),
    Step("compute", "hypervisor", "/compute/v2.1/os-hypervisors", method="GET",
         found_at="hypervisors.id", version=COMPUTE),
    Step("compute", "nova_service", "/compute/v2.1/os-services?binary=nova-compute", method="GET",
         found_at="services.id", version=COMPUTE),
    Step("compute", "compute_host", "/compute/v2.1/os-services?binary=nova-compute", method="GET",
         found_at="services.host", version=COMPUTE),
    Step("compute", "action_request", "/compute/v2.1/servers/$server/os-instance-actions",
         method="GET", found_at="instanceActions.request_id", version=COMPUTE),
)  # fmt: skip

# Room for what odd requests make; not unlimited, or one of them makes a thousand servers.
QUOTAS = (
    Step("network", "quota", "/network/v2.0/quotas/$own",
         {"quota": dict.fromkeys(("network", "port", "router", "rbac_policy", "security_group",
                                  "security_group_rule", "floatingip", "subnet"), 2000)},
         method="PUT"),
    Step("volume", "quota", "/volume/v3/os-quota-sets/$own",
         {"quota_set": {"volumes": 200, "snapshots": 200}}, method="PUT"),
    Step("compute", "quota", "/compute/v2.1/os-quota-sets/$own",
         {"quota_set": {"instances": 60, "cores": 200}}, method="PUT"),
)  # fmt: skip

# What odd requests may have turned off.
MENDS = (
    Step("network", "agent", "/network/v2.0/agents/$agent", {"agent": {"admin_state_up": True}},
         method="PUT"),
    Step("volume", "host", "/volume/v3/os-services/enable",
         {"binary": "cinder-volume", "host": "$host"}, method="PUT"),
    Step("compute", "nova_service", "/compute/v2.1/os-services/$nova_service",
         {"status": "enabled", "forced_down": False}, method="PUT", version=COMPUTE),
)  # fmt: skip

# Kinds by the segment of a path that comes before the id; in identity, by the parameter's name.
COLLECTIONS = {
    ("placement", "resource_providers"): "provider",
    ("placement", "allocations"): "consumer",
    ("placement", "traits"): "trait",
    ("placement", "resource_classes"): "resource_class",
    ("placement", "inventories"): "resource_class",
    ("image", "images"): "image",
    ("image", "members"): "project",
    ("network", "networks"): "network",
    ("network", "dhcp-networks"): "network",
    ("network", "network-ip-availabilities"): "network",
    ("network", "subnets"): "subnet",
    ("network", "subnetpools"): "subnetpool",
    ("network", "address-scopes"): "address_scope",
    ("network", "address-groups"): "address_group",
    ("network", "ports"): "port",
    ("network", "routers"): "router",
    ("network", "l3-routers"): "router",
    ("network", "floatingips"): "floating_ip",
    ("network", "port_forwardings"): "port_forwarding",
    ("network", "agents"): "agent",
    ("network", "rbac-policies"): "rbac",
    ("network", "security-groups"): "security_group",
    ("network", "security-group-rules"): "rule",
    ("volume", "volumes"): "volume",
    ("volume", "snapshots"): "snapshot",
    ("volume", "types"): "type",
    ("volume", "qos-specs"): "specs",
    ("volume", "volume-transfers"): "transfer",
    ("volume", "os-volume-transfer"): "transfer",
    ("volume", "os-hosts"): "host",
    ("volume", "capabilities"): "host",
    ("compute", "flavors"): "flavor",
    ("compute", "os-keypairs"): "keypair",
    ("compute", "os-server-groups"): "server_group",
    ("compute", "os-aggregates"): "aggregate",
    ("compute", "os-hypervisors"): "hypervisor",
    ("compute", "os-services"): "nova_service",
    ("compute", "servers"): "server",
    ("compute", "explain"): "server",
    ("compute", "os-volume_attachments"): "volume",
    ("compute", "os-interface"): "port",
    ("compute", "os-instance-actions"): "action_request",
}

# Kinds, and words that mean something, by the names of parameters and attributes.
KINDS = {
    "user_id": "user", "trustor_user_id": "user", "trustee_user_id": "user", "group_id": "group",
    "project_id": "project", "default_project_id": "project", "tenant_id": "project",
    "domain_id": "domain", "role_id": "role", "prior_role_id": "role",
    "implied_role_id": "other_role", "region_id": "region", "parent_region_id": "region",
    "service_id": "service", "endpoint_id": "endpoint", "endpoint_group_id": "endpoint_group",
    "policy_id": "policy", "credential_id": "credential",
    "registered_limit_id": "registered_limit",
}  # fmt: skip
ATTRIBUTES = {
    **KINDS,
    "network_id": "network", "net_id": "network", "object_id": "network", "uuid": "network",
    "subnet_id": "subnet", "port_id": "port", "internal_port_id": "port", "port": "port",
    "floating_network_id": "outside", "router_id": "router", "security_group_id": "security_group",
    "remote_group_id": "security_group", "remote_address_group_id": "address_group",
    "address_scope_id": "address_scope", "subnetpool_id": "subnetpool",
    "volume_id": "volume", "volumeId": "volume", "source_volid": "volume",
    "snapshot_id": "snapshot", "volume_type": "type", "volume_type_id": "type",
    "imageRef": "image", "image_id": "image", "flavorRef": "flavor", "flavor_id": "flavor",
    "server_id": "server", "server_uuid": "server", "instance_uuid": "server",
    "device_id": "server", "key_name": "keypair", "group": "server_group",
    "host": "compute_host", "binding:host_id": "compute_host", "binary_host": "host",
    "parent_provider_uuid": "provider", "member": "project", "project": "project",
}  # fmt: skip
WORDS: Mapping[str, tuple[Any, ...]] = {
    "key": ("fuzz",), "tag": ("fuzz",), "alias": ("router", "os-agents"),
    "cidr": ("10.78.0.0/24", "10.77.5.0/24", "fd00::/64", "0.0.0.0/0", "10.0.0.1/33"),
    "ip_version": (4, 6), "gateway_ip": ("10.77.0.1", "10.77.255.255", None),
    "ip_address": ("10.77.0.9", "10.77.0.0", "fd00::1"),
    "fixed_ip_address": ("10.77.0.10",), "floating_ip_address": ("172.31.0.9",),
    "mac_address": ("fa:16:3e:00:00:01", "ff:ff:ff:ff:ff:ff"),
    "protocol": ("tcp", "udp", "icmp", "ipv6-icmp", "0", "255"),
    "direction": ("ingress", "egress"), "ethertype": ("IPv4", "IPv6"),
    "size": (1, 2, 0, 10**9), "new_size": (1, 2, 3), "status": ("available", "error", "in-use"),
    "state": ("active", "error"), "target_tenant": ("*",), "networks": ("auto", "none"),
    "availability_zone": ("nova", "nova:nowhere", ""), "type": ("SOFT", "HARD", "novnc"),
    "dns_nameservers": (["9.9.9.9"],), "port_range_min": (1, 80), "port_range_max": (80, 65535),
    "min_count": (1, 2), "max_count": (1, 2, 10**9), "adminPass": ("secret",),
    "source_type": ("image", "volume", "snapshot", "blank"),
    "destination_type": ("volume", "local"), "boot_index": (0, -1, None),
    "provider:network_type": ("vxlan", "flat", "local"), "provider:segmentation_id": (7, 2**24),
    "default_prefixlen": (24, 33), "prefixlen": (24,), "prefixes": (["10.128.0.0/10"],),
    "resources": ({"VCPU": 1}, "VCPU:1"), "user_data": ("ZnV6eg==", "%"),
    "limit": (1, 0, 1000), "sort_key": ("id", "name", "created_at"), "sort_dir": ("asc", "desc"),
    "fields": ("id", "name"), "marker": ("0" * 32,), "op": ("add", "replace", "remove"),
}  # fmt: skip


def kind_of(service: str, segment: str, parameter: str) -> str:
    """Of which kind the id is that a path takes at a place; nothing where none is known."""
    if service == "identity":
        return KINDS.get(parameter, "")
    found = COLLECTIONS.get((service, segment))
    return found or (KINDS.get(parameter, "") if parameter in ("project_id", "user_id") else "")


def steps_for(service: str) -> list[Step]:
    """What is made to fuzz a service: the resources of those below it, and its own."""
    known = SERVICES[: SERVICES.index(service) + 1] if service in SERVICES else SERVICES[:1]
    return [step for step in STEPS if step.service in known]


def id_in(document: Any, path: str) -> str:
    """The id that an answer has at a place, of the first where there are several."""
    for name in path.split("."):
        document = document[0] if isinstance(document, list) else document
        document = document[name]
    return str(document)


def kinds_of(service: str, template: str) -> dict[str, str]:
    """The kinds of a path's parameters, by name."""
    parts = template.split("/")
    found = {}
    for before, part in pairwise(parts):
        named = re.fullmatch(r"\{(\w+)\}", part)
        if named and (kind := kind_of(service, before, named[1])):
            found[named[1]] = kind
    return found
