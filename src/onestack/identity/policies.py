"""Policies: documents that the cloud keeps for services, and the endpoints that each is for."""

from typing import Annotated, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Meta, Shape, Short, UnsetType
from onestack.identity import events
from onestack.identity.catalog import endpoints, regions, services
from onestack.identity.catalog.endpoints import EndpointView
from onestack.identity.catalog.record import EndpointRecord, RegionRecord
from onestack.identity.policy_records import ANY, PolicyAssociationRecord, PolicyRecord
from onestack.identity.rules import ADMIN, READ
from onestack.identity.style import links

api = Operations("policies")

ONE = "/v3/policies/{policy_id}"
FOR = f"{ONE}/OS-ENDPOINT-POLICY"
FOR_ENDPOINT = f"{FOR}/endpoints/{{endpoint_id}}"
FOR_SERVICE = f"{FOR}/services/{{service_id}}"
FOR_REGION = f"{FOR_SERVICE}/regions/{{region_id}}"

Blob = Annotated[str, Meta(max_length=512_000)]
Place = tuple[str, str, str]  # of an association: its endpoint, service and region


class PolicyNotFound(NotFound):
    message = "Could not find policy: {policy_id}."


class AssociationNotFound(NotFound):
    message = "Could not find policy association."


class NoPolicyForEndpoint(NotFound):
    message = "No policy is associated with endpoint {endpoint_id}."


class PolicyCreate(Shape):
    """A policy to make."""

    blob: Blob
    type: Short
    extra: Annotated[dict[str, Any], Extras] = {}


class PolicyUpdate(Shape):
    """What to change of a policy."""

    blob: Blob | UnsetType = UNSET
    type: Short | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class PolicyQuery(PageQuery):
    """Which policies to list."""

    type: str | None = None


class PolicyView(Shape):
    """A policy."""

    id: str
    type: str
    blob: str
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/policies", Rule("identity:list_policies", READ), key="policies")
def index(ctx: Context, query: PolicyQuery) -> Page[PolicyView]:
    """List policies."""
    return page(ctx, select(PolicyRecord), PolicyRecord, query, view)


@api.post("/v3/policies", Rule("identity:create_policy", ADMIN), key="policy", status=201)
def create(ctx: Context, body: PolicyCreate) -> PolicyView:
    """Create a policy."""
    record = PolicyRecord(id=clock.new_id(), type=body.type, blob=body.blob, extra=body.extra)
    ctx.session.add(record)
    events.emit(ctx.session, "policy.created", record.id)
    return view(ctx, record)


@api.get(ONE, Rule("identity:get_policy", READ), key="policy")
def show(ctx: Context, policy_id: str) -> PolicyView:
    """Show a policy."""
    return view(ctx, find(ctx.session, policy_id))


@api.patch(ONE, Rule("identity:update_policy", ADMIN), key="policy")
def update(ctx: Context, policy_id: str, body: PolicyUpdate) -> PolicyView:
    """Change a policy."""
    record = find(ctx.session, policy_id)
    if body.blob is not UNSET:
        record.blob = body.blob
    if body.type is not UNSET:
        record.type = body.type
    record.extra = {**record.extra, **body.extra}
    events.emit(ctx.session, "policy.updated", policy_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_policy", ADMIN))
def delete(ctx: Context, policy_id: str) -> None:
    """Delete a policy, and its associations with it."""
    ctx.session.delete(find(ctx.session, policy_id))
    events.emit(ctx.session, "policy.deleted", policy_id)


@api.put(FOR_ENDPOINT, Rule("identity:create_policy_association_for_endpoint", ADMIN), status=204)
def associate_endpoint(ctx: Context, policy_id: str, endpoint_id: str) -> None:
    """Let an endpoint go by a policy, instead of the one that it went by."""
    endpoints.find(ctx.session, endpoint_id)
    _associate(ctx.session, policy_id, endpoint_id=endpoint_id)


@api.get(FOR_ENDPOINT, Rule("identity:check_policy_association_for_endpoint", READ), status=204)
def check_endpoint(ctx: Context, policy_id: str, endpoint_id: str) -> None:
    """Check that an endpoint goes by a policy."""
    endpoints.find(ctx.session, endpoint_id)
    _association(ctx.session, policy_id, endpoint_id=endpoint_id)


@api.delete(FOR_ENDPOINT, Rule("identity:delete_policy_association_for_endpoint", ADMIN))
def dissociate_endpoint(ctx: Context, policy_id: str, endpoint_id: str) -> None:
    """Let an endpoint go by a policy no more."""
    ctx.session.delete(_association(ctx.session, policy_id, endpoint_id=endpoint_id))


@api.put(FOR_SERVICE, Rule("identity:create_policy_association_for_service", ADMIN), status=204)
def associate_service(ctx: Context, policy_id: str, service_id: str) -> None:
    """Let a service's endpoints go by a policy, where nothing nearer is said."""
    services.find(ctx.session, service_id)
    _associate(ctx.session, policy_id, service_id=service_id)


@api.get(FOR_SERVICE, Rule("identity:check_policy_association_for_service", READ), status=204)
def check_service(ctx: Context, policy_id: str, service_id: str) -> None:
    """Check that a service goes by a policy."""
    services.find(ctx.session, service_id)
    _association(ctx.session, policy_id, service_id=service_id)


@api.delete(FOR_SERVICE, Rule("identity:delete_policy_association_for_service", ADMIN))
def dissociate_service(ctx: Context, policy_id: str, service_id: str) -> None:
    """Let a service go by a policy no more."""
    ctx.session.delete(_association(ctx.session, policy_id, service_id=service_id))


@api.put(
    FOR_REGION,
    Rule("identity:create_policy_association_for_region_and_service", ADMIN),
    status=204,
)
def associate_region(ctx: Context, policy_id: str, service_id: str, region_id: str) -> None:
    """Let a service's endpoints in a region, and below it, go by a policy."""
    services.find(ctx.session, service_id)
    regions.find(ctx.session, region_id)
    _associate(ctx.session, policy_id, service_id=service_id, region_id=region_id)


@api.get(
    FOR_REGION,
    Rule("identity:check_policy_association_for_region_and_service", READ),
    status=204,
)
def check_region(ctx: Context, policy_id: str, service_id: str, region_id: str) -> None:
    """Check that a service in a region goes by a policy."""
    services.find(ctx.session, service_id)
    regions.find(ctx.session, region_id)
    _association(ctx.session, policy_id, service_id=service_id, region_id=region_id)


@api.delete(FOR_REGION, Rule("identity:delete_policy_association_for_region_and_service", ADMIN))
def dissociate_region(ctx: Context, policy_id: str, service_id: str, region_id: str) -> None:
    """Let a service in a region go by a policy no more."""
    found = _association(ctx.session, policy_id, service_id=service_id, region_id=region_id)
    ctx.session.delete(found)


@api.get(
    "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy",
    Rule("identity:get_policy_for_endpoint", READ),
    key="policy",
)
def of_endpoint(ctx: Context, endpoint_id: str) -> PolicyView:
    """Show the policy that an endpoint goes by: the nearest that is said of it."""
    endpoint = endpoints.find(ctx.session, endpoint_id)
    policy_id = _effective(endpoint, _said(ctx.session), _parents(ctx.session))
    if policy_id is None:
        raise NoPolicyForEndpoint(endpoint_id=endpoint_id)
    return view(ctx, find(ctx.session, policy_id))


@api.get(f"{FOR}/endpoints", Rule("identity:list_endpoints_for_policy", READ), key="endpoints")
def endpoints_of(ctx: Context, policy_id: str) -> Page[EndpointView]:
    """List the endpoints that go by a policy."""
    find(ctx.session, policy_id)
    said, parents = _said(ctx.session), _parents(ctx.session)
    every = ctx.session.scalars(select(EndpointRecord))
    found = [each for each in every if _effective(each, said, parents) == policy_id]
    return Page([endpoints.view(ctx, each) for each in found])


def find(session: Session, policy_id: str) -> PolicyRecord:
    """The policy with this id."""
    record = session.get(PolicyRecord, policy_id)
    if record is None:
        raise PolicyNotFound(policy_id=policy_id)
    return record


def view(ctx: Context, record: PolicyRecord) -> PolicyView:
    """A policy as clients see it."""
    return PolicyView(
        id=record.id,
        type=record.type,
        blob=record.blob,
        links=dict(links(ctx, f"policies/{record.id}")),
        extra=record.extra,
    )


def _associate(
    session: Session,
    policy_id: str,
    endpoint_id: str = ANY,
    service_id: str = ANY,
    region_id: str = ANY,
) -> None:
    find(session, policy_id)
    session.merge(
        PolicyAssociationRecord(
            endpoint_id=endpoint_id,
            service_id=service_id,
            region_id=region_id,
            policy_id=policy_id,
        )
    )


def _association(
    session: Session,
    policy_id: str,
    endpoint_id: str = ANY,
    service_id: str = ANY,
    region_id: str = ANY,
) -> PolicyAssociationRecord:
    find(session, policy_id)
    found = session.get(PolicyAssociationRecord, (endpoint_id, service_id, region_id))
    if found is None or found.policy_id != policy_id:
        raise AssociationNotFound
    return found


def _said(session: Session) -> dict[Place, str]:
    """The policy of every place that has one."""
    said = PolicyAssociationRecord
    statement = select(said.endpoint_id, said.service_id, said.region_id, said.policy_id)
    return {(row[0], row[1], row[2]): row[3] for row in session.execute(statement)}


def _parents(session: Session) -> dict[str, str | None]:
    """Every region, with the one above it."""
    statement = select(RegionRecord.id, RegionRecord.parent_region_id)
    return {row[0]: row[1] for row in session.execute(statement)}


def _effective(
    endpoint: EndpointRecord, said: dict[Place, str], parents: dict[str, str | None]
) -> str | None:
    """What is said of the endpoint itself; else of its service in the nearest region above."""
    places = [(endpoint.id, ANY, ANY)]
    region_id = endpoint.region_id
    while region_id is not None:
        places.append((ANY, endpoint.service_id, region_id))
        region_id = parents.get(region_id)
    places.append((ANY, endpoint.service_id, ANY))
    return next((said[place] for place in places if place in said), None)
