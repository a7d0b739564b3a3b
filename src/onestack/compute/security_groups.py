"""Security groups, for clients of versions before 2.36 who ask the compute service for them: those
of the network service, as far as they concern what comes in."""

from typing import Annotated, Any

from onestack import network
from onestack.compute import rules
from onestack.compute.lenient import Number
from onestack.compute.paging import Limit
from onestack.compute.proxy import ask
from onestack.compute.servers import access
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.shapes import Meta, Shape

api = Operations("security groups")

READ = rules.rule("os-security-groups", rules.ANYONE)
UNTIL = "2.35"
GROUPS, RULES = "/v2.0/security-groups", "/v2.0/security-group-rules"
PORT_MAX = 65535
PROTOCOLS = ("tcp", "udp", "icmp")

Name = Annotated[str, Meta(min_length=1, max_length=255)]


UUID = r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"
GroupId = Annotated[str, Meta(pattern=UUID)]


class InUse(BadRequest):
    message = "Security group is still in use"


class BadRule(BadRequest):
    message = "Invalid security group rule: {reason}"


class GroupQuery(Shape):
    """Which groups to list."""

    limit: Limit | None = None
    offset: Limit = 0
    all_tenants: str | None = None


class GroupBody(Shape):
    """A group to make, or what to change of one."""

    name: Name
    description: Annotated[str, Meta(max_length=255)] | None = ""


class RuleBody(Shape):
    """A rule to make: who may send what."""

    parent_group_id: GroupId
    ip_protocol: str | None = None
    from_port: Number | None = None
    to_port: Number | None = None
    cidr: str | None = None
    group_id: str | None = None


class RuleView(Shape):
    """A rule."""

    id: str
    parent_group_id: str
    ip_protocol: str | None
    from_port: int | None
    to_port: int | None
    ip_range: dict[str, str]
    group: dict[str, str]


class GroupView(Shape):
    """A group and its rules."""

    id: str
    name: str
    description: str
    tenant_id: str
    rules: list[RuleView]


@api.get("/v2.1/os-security-groups", READ, key="security_groups", until=UNTIL, kept=False)
def index(ctx: Context, query: GroupQuery) -> Page[GroupView]:
    """List the security groups of the project."""
    asked = {} if query.all_tenants and rules.is_admin(ctx) else _own(ctx)
    found = _groups(ctx, asked)
    last = None if query.limit is None else query.offset + query.limit
    return Page([_view(each, found) for each in list(found.values())[query.offset : last]])


@api.post("/v2.1/os-security-groups", READ, key="security_group", until=UNTIL)
def create(ctx: Context, body: GroupBody) -> GroupView:
    """Make a security group."""
    wanted = {"name": body.name, "description": body.description or ""}
    made = ask(ctx, network.SERVICE, "POST", GROUPS, body={"security_group": wanted})
    return _view(made["security_group"], {})


@api.get("/v2.1/os-security-groups/{group_id}", READ, key="security_group", until=UNTIL, kept=False)
def show(ctx: Context, group_id: str) -> GroupView:
    """Show a security group."""
    found = ask(ctx, network.SERVICE, "GET", f"{GROUPS}/{group_id}")["security_group"]
    return _view(found, _groups(ctx, _own(ctx)))


@api.put("/v2.1/os-security-groups/{group_id}", READ, key="security_group", until=UNTIL)
def update(ctx: Context, group_id: str, body: GroupBody) -> GroupView:
    """Change a security group's name and description."""
    wanted = {"name": body.name, "description": body.description or ""}
    path = f"{GROUPS}/{group_id}"
    changed = ask(ctx, network.SERVICE, "PUT", path, body={"security_group": wanted})
    return _view(changed["security_group"], _groups(ctx, _own(ctx)))


@api.delete("/v2.1/os-security-groups/{group_id}", READ, until=UNTIL, status=202)
def delete(ctx: Context, group_id: str) -> None:
    """Delete a security group that nothing uses, and that is not the project's first one."""
    try:
        ask(ctx, network.SERVICE, "DELETE", f"{GROUPS}/{group_id}")
    except Conflict:
        raise InUse from None


@api.get(
    "/v2.1/servers/{server_id}/os-security-groups",
    rules.rule("os-security-groups:list", rules.READER),
    key="security_groups",
    kept=False,
)
def of_server(ctx: Context, server_id: str) -> Page[GroupView]:
    """List the security groups that a server's ports are in."""
    server = access.owned(ctx, server_id)
    own = {"device_id": server_id, "project_id": server.project_id}
    ports = ask(ctx, network.SERVICE, "GET", "/v2.0/ports", query=own)["ports"]
    has = {group_id for port in ports for group_id in port["security_groups"]}
    groups = _groups(ctx, {"project_id": server.project_id})
    return Page([_view(each, groups) for each in groups.values() if each["id"] in has])


@api.post("/v2.1/os-security-group-rules", READ, key="security_group_rule", until=UNTIL)
def create_rule(ctx: Context, body: RuleBody) -> RuleView:
    """Make a rule for what comes in."""
    rule = {"direction": "ingress", "security_group_id": body.parent_group_id, **_traffic(body)}
    if body.group_id:
        rule["remote_group_id"] = body.group_id
    else:
        cidr = body.cidr or "0.0.0.0/0"
        rule |= {"remote_ip_prefix": cidr, "ethertype": "IPv6" if ":" in cidr else "IPv4"}
    try:
        made = ask(ctx, network.SERVICE, "POST", RULES, body={"security_group_rule": rule})
    except Conflict as error:
        raise BadRule(reason=error.text) from None
    return _rule(made["security_group_rule"], _groups(ctx, _own(ctx)))


@api.delete("/v2.1/os-security-group-rules/{rule_id}", READ, until=UNTIL, status=202)
def delete_rule(ctx: Context, rule_id: str) -> None:
    """Delete a rule."""
    ask(ctx, network.SERVICE, "DELETE", f"{RULES}/{rule_id}")


def _own(ctx: Context) -> dict[str, Any]:
    return {"project_id": ctx.caller.project_id}


def _groups(ctx: Context, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The groups that there are, by their ids."""
    found = ask(ctx, network.SERVICE, "GET", GROUPS, query=asked)["security_groups"]
    return {each["id"]: each for each in found}


def _traffic(body: RuleBody) -> dict[str, Any]:
    """What a rule is about: a protocol and its ports, all of them where there is no bound."""
    protocol = (body.ip_protocol or "").lower() or None
    if protocol is None and body.group_id:
        return {}
    if protocol not in PROTOCOLS:
        raise BadRule(reason=f"Invalid IP protocol {body.ip_protocol}")
    if body.from_port is None or body.to_port is None:
        raise BadRule(reason="from_port and to_port are required with a protocol")
    first, last = int(body.from_port), int(body.to_port)
    if (first, last) == (-1, -1):
        return {"protocol": protocol}
    least = -1 if protocol == "icmp" else 1
    if not (least <= first <= PORT_MAX and least <= last <= PORT_MAX):
        raise BadRule(reason=f"Invalid port range {first}:{last}")
    if protocol != "icmp" and first > last:
        raise BadRule(reason=f"Former value cannot be greater than the later: {first}:{last}")
    ports = {"port_range_min": first, "port_range_max": last}
    return {"protocol": protocol, **{name: port for name, port in ports.items() if port != -1}}


def _view(found: dict[str, Any], groups: dict[str, dict[str, Any]]) -> GroupView:
    return GroupView(
        id=found["id"],
        name=found["name"],
        description=found["description"],
        tenant_id=found["project_id"],
        rules=[
            _rule(each, groups)
            for each in found["security_group_rules"]
            if each["direction"] == "ingress"
        ],
    )


def _rule(found: dict[str, Any], groups: dict[str, dict[str, Any]]) -> RuleView:
    first, last = found["port_range_min"], found["port_range_max"]
    protocol = found["protocol"]
    if protocol is not None and first is None and last is None:
        first, last = (1, PORT_MAX) if protocol in ("tcp", "udp") else (-1, -1)
    remote = found["remote_group_id"]
    cidr = found["remote_ip_prefix"] or ("::/0" if found["ethertype"] == "IPv6" else "0.0.0.0/0")
    source = groups.get(remote or "", {})
    group = {"name": source["name"], "tenant_id": source["project_id"]} if source else {}
    return RuleView(
        id=found["id"],
        parent_group_id=found["security_group_id"],
        ip_protocol=protocol,
        from_port=first,
        to_port=last,
        ip_range={} if remote else {"cidr": cidr},
        group=group,
    )
