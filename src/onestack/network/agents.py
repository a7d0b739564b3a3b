"""Agents as Neutron shows them: the switches of hosts, and what they have been given to serve."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from onestack.core.agents import AgentRecord
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict, NotFound
from onestack.core.shapes import UNSET, Id, Shape, UnsetType
from onestack.network import dhcp, lists, rules
from onestack.network.attributes import Text
from onestack.network.networks import attributes as networks
from onestack.network.networks.attributes import NetworkView
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import PortRecord
from onestack.network.ports.remove import remove
from onestack.network.wirings.record import DhcpServerRecord

api = Operations("agents")

KIND = "switch"
TYPE = "Linux bridge agent"
BINARY = "onestack"
GET = rules.rule("get_agent", rules.ADMIN)
LIST = rules.rule("get_agents", rules.ANYONE)
GET_DHCP_AGENTS = rules.rule("get_dhcp-agents", rules.ADMIN)
GET_DHCP_NETWORKS = rules.rule("get_dhcp-networks", rules.ADMIN)


class AgentNotFound(NotFound):
    message = "Agent {id} could not be found."


class NotHosted(Conflict):
    type = "NetworkNotHostedByDhcpAgent"
    message = "The network {network_id} is not hosted by the DHCP agent {agent_id}."


class HostedAlready(Conflict):
    type = "NetworkHostedByDHCPAgent"
    message = "The network {network_id} has been already hosted by the DHCP Agent {agent_id}."


class AgentUpdate(Shape, forbid_unknown_fields=True):
    """What to change of an agent."""

    admin_state_up: bool | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NetworkToServe(Shape, forbid_unknown_fields=True):
    """A network that an agent is to answer DHCP on."""

    network_id: Id


class AgentView(Shape):
    """A host's switch."""

    id: str
    agent_type: str
    binary: str
    topic: str
    host: str
    admin_state_up: bool
    alive: bool
    created_at: str
    started_at: str
    heartbeat_timestamp: str
    description: str | None
    availability_zone: str
    resources_synced: bool | None
    configurations: dict[str, Any]


@api.get("/v2.0/agents", LIST, key="agents", kept=False)
def index(ctx: Context) -> Page[AgentView]:
    """List the switches of all hosts; whom they do not concern, sees none."""
    ctx.allow()
    if not rules.is_admin(ctx):
        return Page([])
    found = select(AgentRecord).where(AgentRecord.kind == KIND).order_by(AgentRecord.id)
    views = [view(each) for each in ctx.session.scalars(found)]
    given = ctx.request.query()
    return Page([each for each in views if _fits(each, given)])


@api.get("/v2.0/agents/{agent_id}", GET, key="agent", kept=False)
def show(ctx: Context, agent_id: str) -> AgentView:
    """Show a host's switch."""
    ctx.allow()
    return view(find(ctx, agent_id))


@api.put("/v2.0/agents/{agent_id}", rules.rule("update_agent", rules.ADMIN), key="agent")
def update(ctx: Context, agent_id: str, body: AgentUpdate) -> AgentView:
    """Let a switch be given more to serve, or no more."""
    ctx.allow()
    record = find(ctx, agent_id)
    if body.admin_state_up is not UNSET:
        record.is_enabled = body.admin_state_up
    if body.description is not UNSET:
        record.disabled_reason = body.description
    return view(record)


@api.delete("/v2.0/agents/{agent_id}", rules.rule("delete_agent", rules.ADMIN))
def delete(ctx: Context, agent_id: str) -> None:
    """Forget a switch; one that lives reports again."""
    ctx.allow()
    ctx.session.delete(find(ctx, agent_id))


@api.get("/v2.0/networks/{network_id}/dhcp-agents", GET_DHCP_AGENTS, key="agents", kept=False)
def of_network(ctx: Context, network_id: str) -> Page[AgentView]:
    """List who answers DHCP on a network."""
    ctx.allow()
    networks.seen(ctx, network_id)
    server = ctx.session.get(DhcpServerRecord, network_id)
    host = "" if server is None else server.host
    found = select(AgentRecord).where(AgentRecord.kind == KIND, AgentRecord.host == host)
    return Page([view(each) for each in ctx.session.scalars(found)])


@api.get("/v2.0/agents/{agent_id}/dhcp-networks", GET_DHCP_NETWORKS, key="networks")
def networks_of(ctx: Context, agent_id: str) -> Page[NetworkView]:
    """List the networks that a host answers DHCP on."""
    ctx.allow()
    host = find(ctx, agent_id).host
    served = select(DhcpServerRecord.network_id).where(DhcpServerRecord.host == host)
    found = select(NetworkRecord).where(NetworkRecord.id.in_(served)).order_by(NetworkRecord.id)
    return Page(networks.views(ctx, ctx.session.scalars(found).all()))


@api.post(
    "/v2.0/agents/{agent_id}/dhcp-networks",
    rules.rule("create_dhcp-network", rules.ADMIN),
    status=201,
)
def serve(ctx: Context, agent_id: str, body: NetworkToServe) -> None:
    """Let a host answer DHCP on a network, instead of the one that does."""
    ctx.allow()
    host = find(ctx, agent_id).host
    networks.seen(ctx, body.network_id)
    server = ctx.session.get(DhcpServerRecord, body.network_id)
    if server is None:
        dhcp.ensure(ctx.session, body.network_id, host)
    elif server.host == host:
        raise HostedAlready(network_id=body.network_id, agent_id=agent_id)
    else:
        dhcp.move_to(ctx.session, server, host)


@api.delete(
    "/v2.0/agents/{agent_id}/dhcp-networks/{network_id}",
    rules.rule("delete_dhcp-network", rules.ADMIN),
)
def serve_no_more(ctx: Context, agent_id: str, network_id: str) -> None:
    """Let a host answer DHCP on a network no more; while the network is in use, another one does,
    or this one again when there is no other."""
    ctx.allow()
    host = find(ctx, agent_id).host
    server = ctx.session.get(DhcpServerRecord, network_id)
    if server is None or server.host != host:
        raise NotHosted(network_id=network_id[:64], agent_id=agent_id[:64])
    port = ctx.session.get(PortRecord, server.port_id)
    ctx.session.delete(server)
    ctx.session.flush()
    remove(ctx.session, [] if port is None else [port])


def view(record: AgentRecord) -> AgentView:
    """A switch as clients see an agent."""
    return AgentView(
        id=record.id,
        agent_type=TYPE,
        binary=BINARY,
        topic="N/A",
        host=record.host,
        admin_state_up=record.is_enabled,
        alive=record.is_alive,
        created_at=_moment(record.created_at),
        started_at=_moment(record.started_at),
        heartbeat_timestamp=_moment(record.seen_at),
        description=record.disabled_reason,
        availability_zone="nova",
        resources_synced=None,
        configurations=record.description,
    )


def find(ctx: Context, agent_id: str) -> AgentRecord:
    """The switch with this id."""
    record = ctx.session.get(AgentRecord, agent_id)
    if record is None or record.kind != KIND:
        raise AgentNotFound(id=agent_id[:64])
    return record


def _fits(each: AgentView, given: Mapping[str, list[str]]) -> bool:
    for name in ("id", "agent_type", "binary", "host", "availability_zone", "topic"):
        if name in given and getattr(each, name) not in given[name]:
            return False
    for name in ("alive", "admin_state_up"):
        if name in given and getattr(each, name) is not lists.flag(given[name][-1], name):
            return False
    return True


def _moment(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%d %H:%M:%S"))
