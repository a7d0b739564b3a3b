"""Which host a router is on, as Neutron's clients ask for it: by its agent."""

from sqlalchemy import select

from onestack.core.agents import AgentRecord
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.core.shapes import Id, Shape
from onestack.network import agents, rules
from onestack.network.agents import AgentView
from onestack.network.routers import attributes, placing
from onestack.network.routers.attributes import ONE, RouterView
from onestack.network.routers.record import RouterRecord, find

api = Operations("agents")

ROUTERS = "/v2.0/agents/{agent_id}/l3-routers"


class HostedAlready(Conflict):
    type = "RouterHostedByL3Agent"
    message = "The router {router_id} has been already hosted by the L3 Agent {agent_id}."


class NotHosted(Conflict):
    type = "RouterNotHostedByL3Agent"
    message = "The router {router_id} is not hosted by L3 agent {agent_id}."


class InvalidAgent(Conflict):
    type = "InvalidL3Agent"
    message = "Agent {agent_id} is not a L3 Agent or has been disabled"


class RouterToServe(Shape, forbid_unknown_fields=True):
    """A router that an agent is to have."""

    router_id: Id


@api.get(f"{ONE}/l3-agents", rules.rule("get_l3-agents", rules.ADMIN), key="agents", kept=False)
def of_router(ctx: Context, router_id: str) -> Page[AgentView]:
    """List who has a router."""
    ctx.allow()
    host = find(ctx.session, router_id).host
    found = select(AgentRecord).where(
        AgentRecord.kind == agents.KIND, AgentRecord.host == host, AgentRecord.host != ""
    )
    return Page([agents.view(each) for each in ctx.session.scalars(found)])


@api.get(ROUTERS, rules.rule("get_l3-routers", rules.ADMIN), key="routers")
def routers_of(ctx: Context, agent_id: str) -> Page[RouterView]:
    """List the routers that a host has."""
    ctx.allow()
    host = agents.find(ctx, agent_id).host
    found = select(RouterRecord).where(RouterRecord.host == host).order_by(RouterRecord.id)
    return Page(attributes.views(ctx, ctx.session.scalars(found).all()))


@api.post(ROUTERS, rules.rule("create_l3-router", rules.ADMIN), status=201)
def serve(ctx: Context, agent_id: str, body: RouterToServe) -> None:
    """Let a host have a router, instead of the one that has it."""
    ctx.allow()
    agent = agents.find(ctx, agent_id)
    router = find(ctx.session, body.router_id)
    if not agent.is_enabled or agent.host not in placing.hosts(ctx.session):
        raise InvalidAgent(agent_id=agent_id)
    if router.host == agent.host:
        raise HostedAlready(router_id=router.id, agent_id=agent_id)
    placing.move(ctx.session, router, agent.host)


@api.delete(f"{ROUTERS}/{{router_id}}", rules.rule("delete_l3-router", rules.ADMIN))
def serve_no_more(ctx: Context, agent_id: str, router_id: str) -> None:
    """Let a host have a router no more; while it is on a network, a host is found for it again,
    which is this one when there is no other."""
    ctx.allow()
    agent, router = agents.find(ctx, agent_id), find(ctx.session, router_id)
    if router.host != agent.host:
        raise NotHosted(router_id=router_id, agent_id=agent_id)
    placing.unplace(ctx.session, router)
