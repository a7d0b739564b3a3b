"""Extensions: the parts of the API that this cloud has, by the aliases that clients ask for."""

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.shapes import Shape
from onestack.network import rules

api = Operations("extensions")

UPDATED = "2026-11-25T00:00:00-00:00"
# By alias: what it is called, and what it gives.
EXTENSIONS: dict[str, tuple[str, str]] = {
    "address-group": ("Address group", "Named sets of prefixes."),
    "address-scope": ("Address scope", "Pools of a scope never overlap."),
    "agent": ("agent", "Who serves which host."),
    "allowed-address-pairs-atomic": (
        "Allowed address pairs atomic operations",
        "Address pairs of a port, some at a time.",
    ),
    "allowed-address-pairs": ("Allowed Address Pairs", "Addresses a port may also send from."),
    "auto-allocated-topology": ("Auto Allocated Topology Services", "A network for who has none."),
    "availability_zone": ("Availability Zone", "The zones of hosts."),
    "binding": ("Port Binding", "Which host a port is on."),
    "default-subnetpools": ("Default Subnetpools", "Pools that are taken when none is named."),
    "dhcp_agent_scheduler": ("DHCP Agent Scheduler", "Which host serves DHCP on a network."),
    "dns-integration": ("DNS Integration", "Names of ports and floating IPs."),
    "empty-string-filtering": ("Empty String Filtering", "Filters by attributes that are empty."),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Gateways without SNAT."),
    "external-net": ("Neutron external network", "Networks that lead outside."),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "DHCP options of a port."),
    "extraroute": ("Neutron Extra Route", "Routes of a router."),
    "extraroute-atomic": ("Atomically add/remove extra routes", "Routes, some at a time."),
    "filter-validation": ("Filter parameters validation", "Unknown filters are refused."),
    "fip-port-details": ("Floating IP Port Details Extension", "Where a floating IP leads."),
    "floating-ip-port-forwarding": (
        "Floating IP Port Forwarding",
        "Ports of a floating IP that lead to several servers.",
    ),
    "floating-ip-port-forwarding-description": (
        "Floating IP Port Forwarding new attributes: description",
        "Port forwardings have descriptions.",
    ),
    "floating-ip-port-forwarding-detail": (
        "Floating IP Port Forwarding Extension",
        "Floating IPs show their port forwardings.",
    ),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by parts of addresses."),
    "l3_agent_scheduler": ("L3 Agent Scheduler", "Which host a router is on."),
    "l2_adjacency": ("L2 Adjacency", "Whether all ports of a network reach each other."),
    "net-mtu": ("Network MTU", "How large packets may be."),
    "net-mtu-writable": ("Network MTU (writable)", "How large packets may be, as one says."),
    "network-ip-availability": ("Network IP Availability", "How many addresses are taken."),
    "network_availability_zone": ("Network Availability Zone", "The zones of networks."),
    "pagination": ("Pagination support", "Lists come in pages."),
    "port-security": ("Port Security", "Ports that nothing guards."),
    "project-id": ("project_id field enabled", "Projects are called by their name."),
    "provider": ("Provider Network", "How a network travels."),
    "quota-check-limit": ("Quota engine limit check", "Quotas not below what is used."),
    "quota_details": ("Quota details management support", "What of a quota is used."),
    "quotas": ("Quota management support", "What each project may have."),
    "rbac-address-group": ("Add address_group type to RBAC", "Shares address groups."),
    "rbac-address-scope": ("Add address_scope type to RBAC", "Shares address scopes."),
    "rbac-policies": ("RBAC Policies", "Shares networks with some projects."),
    "rbac-security-groups": ("Add security_group type to network RBAC", "Shares groups."),
    "rbac-subnetpool": ("Add subnetpool type to RBAC", "Shares subnet pools."),
    "router": ("Neutron L3 Router", "Routers and floating IPs."),
    "router_availability_zone": ("Router Availability Zone", "The zones of routers."),
    "security-group": ("security-group", "What may reach a port, and leave it."),
    "security-groups-normalized-cidr": (
        "Normalized CIDR field for security group rules",
        "Prefixes as they count.",
    ),
    "security-groups-remote-address-group": (
        "Remote address group id field for security group rules",
        "Rules on address groups.",
    ),
    "security-groups-rules-belongs-to-default-sg": (
        "Security group rule belongs to default SG",
        "Rules say whether their group is default.",
    ),
    "security-groups-shared-filtering": (
        "Security group filtering on the shared field",
        "Groups by whether they are shared.",
    ),
    "service-type": ("Neutron Service Type Management", "What there is of each service."),
    "sorting": ("Sorting support", "Lists come in an order."),
    "standard-attr-description": ("standard-attr-description", "Everything has a description."),
    "standard-attr-revisions": ("Resource revision numbers", "Everything counts its changes."),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Tags."),
    "standard-attr-timestamp": ("Resource timestamps", "Everything says when it changed."),
    "stateful-security-group": ("Stateful security group", "Groups with or without a state."),
    "tag": ("Tag support", "Networks have tags."),
    "tag-ext": ("Tag support for resources: subnet, subnetpool, port, router", "So have others."),
    "subnet-service-types": ("Subnet service types", "Subnets for some kinds of ports only."),
    "subnet_allocation": ("Subnet Allocation", "Subnets that are cut from pools."),
    "subnetpool-prefix-ops": ("Subnet Pool Prefix Operations", "Prefixes come and go one by one."),
}


class ExtensionNotFound(NotFound):
    message = "Extension with alias {alias} does not exist"


class ExtensionView(Shape):
    """A part of the API."""

    alias: str
    name: str
    description: str
    updated: str
    links: list[str]


GET = rules.rule("get_extensions", rules.ANYONE)


@api.get("/v2.0/extensions", GET, key="extensions")
def index(ctx: Context) -> Page[ExtensionView]:
    """List the parts of the API that there are."""
    ctx.allow()
    return Page([_view(alias) for alias in EXTENSIONS])


@api.get("/v2.0/extensions/{alias}", GET, key="extension")
def show(ctx: Context, alias: str) -> ExtensionView:
    """Show a part of the API."""
    ctx.allow()
    if alias not in EXTENSIONS:
        raise ExtensionNotFound(alias=alias[:64])
    return _view(alias)


def _view(alias: str) -> ExtensionView:
    name, description = EXTENSIONS[alias]
    return ExtensionView(alias=alias, name=name, description=description, updated=UPDATED, links=[])
