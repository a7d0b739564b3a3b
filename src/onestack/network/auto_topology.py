"""A network for who has none: with subnets of the default pools, behind a router to the outside."""

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.db import Database, Record
from onestack.core.errors import Conflict, NotFound
from onestack.core.shapes import Shape
from onestack.network import quotas, rules
from onestack.network.networks import operations as networks
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import addresses_of
from onestack.network.routers import gateway, interfaces
from onestack.network.routers import operations as routers
from onestack.network.routers.attributes import Gateway
from onestack.network.routers.events import changed
from onestack.network.routers.record import RouterRecord, interfaces_of
from onestack.network.standard import TOPIC
from onestack.network.subnetpools import prefixes
from onestack.network.subnetpools.record import SubnetPoolRecord
from onestack.network.subnets import operations as subnets

api = Operations("auto-allocated topologies")

ONE = "/v2.0/auto-allocated-topology/{project_id}"
NAME = "auto_allocated_network"
OWN = ("null", "None", "none")  # how clients call the project that they work for
NAMED = "project_id:%(wanted_project_id)s"  # of the path, or the caller's own


class TopologyRecord(Record):
    """The network and the router that were made for a project."""

    __tablename__ = "auto_allocated_topologies"
    topic = TOPIC

    project_id: Mapped[str] = mapped_column(primary_key=True)
    network_id: Mapped[str] = mapped_column(ForeignKey("networks.id", ondelete="CASCADE"))
    router_id: Mapped[str]


class AutoAllocationFailure(Conflict):
    message = "Deployment error: {reason}."


class TopologyNotFound(NotFound):
    type = "NotFound"
    message = "No auto-allocated topology of project {project_id} could be found."


class TopologyView(Shape):
    """A project's network."""

    id: str
    tenant_id: str
    project_id: str


@api.get(
    ONE,
    rules.rule("get_auto_allocated_topology", f"{rules.ADMIN} or (role:reader and {NAMED})"),
    key="auto_allocated_topology",
    kept=False,
)
def show(ctx: Context, project_id: str) -> TopologyView:
    """Show a project's network, which is made when it is not there; or say whether it could be."""
    owner = _allowed(ctx, project_id)
    if "dry-run" in ctx.request.query().get("fields", ()):
        _needed(ctx.session)
        return TopologyView(id="dry-run=pass", tenant_id=owner, project_id=owner)
    with ctx.cloud.get(Database).transaction() as session:  # this GET may write
        network_id = ensure(session, owner)
    return TopologyView(id=network_id, tenant_id=owner, project_id=owner)


@api.delete(
    ONE,
    rules.rule("delete_auto_allocated_topology", f"{rules.ADMIN} or (role:member and {NAMED})"),
)
def delete(ctx: Context, project_id: str) -> None:
    """Delete a project's network with its router, when nobody uses it."""
    owner = _allowed(ctx, project_id)
    session = ctx.session
    record = session.get(TopologyRecord, owner)
    if record is None:
        raise TopologyNotFound(project_id=owner)
    router = session.get(RouterRecord, record.router_id)
    if router is not None:
        for port in interfaces_of(session, router.id):
            own = [each.subnet_id for each in addresses_of(session, port.id)]
            interfaces.detach(session, port, own)
        routers.remove(session, router)
    network = session.get(NetworkRecord, record.network_id)
    session.delete(record)
    session.flush()
    if network is not None:
        networks.remove(session, network)


def ensure(session: Session, project_id: str) -> str:
    """The id of a project's network, which is made when it is not there."""
    known = session.get(TopologyRecord, project_id)
    if known is not None:
        return known.network_id
    outside, pools = _needed(session)
    quotas.check(session, project_id, {"network": 1, "subnet": len(pools), "router": 1})
    network = networks.add(session, project_id, name=NAME)
    router = routers.add(session, project_id, name="auto_allocated_router")
    gateway.keep(session, router, Gateway(network_id=outside.id))
    for pool in pools:
        subnet = subnets.add(
            session, network, project_id, name=f"auto_allocated_subnet_v{pool.ip_version}",
            cidr=prefixes.cut(session, pool, project_id, None, None), subnetpool_id=pool.id,
        )  # fmt: skip
        interfaces.attach(session, router, subnet)
    changed(session, router)
    session.add(TopologyRecord(project_id=project_id, network_id=network.id, router_id=router.id))
    session.flush()
    return network.id


def _allowed(ctx: Context, project_id: str) -> str:
    own = ctx.caller.project_id or ""
    owner = own if project_id in OWN else project_id
    ctx.allow({"wanted_project_id": owner})
    return owner


def _needed(session: Session) -> tuple[NetworkRecord, list[SubnetPoolRecord]]:
    """What a cloud must have for it: a default way outside, and default pools."""
    outside = session.scalar(
        select(NetworkRecord).where(NetworkRecord.external, NetworkRecord.is_default)
    )
    if outside is None:
        raise AutoAllocationFailure(reason="No default router:external network")
    wanted = select(SubnetPoolRecord).where(SubnetPoolRecord.is_default)
    pools = list(session.scalars(wanted.order_by(SubnetPoolRecord.ip_version).with_for_update()))
    if not pools:
        raise AutoAllocationFailure(reason="No default pools available")
    return outside, pools
