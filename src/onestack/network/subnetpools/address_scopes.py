"""Address scopes: list, show, create, change, delete."""

from sqlalchemy import select

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict, NotFound
from onestack.core.shapes import UNSET
from onestack.network import lists, rbac, rules
from onestack.network.attributes import InvalidInput, given_in, judge, said
from onestack.network.standard import new_id
from onestack.network.subnetpools import attributes
from onestack.network.subnetpools.attributes import (
    SCOPES,
    AddressScopeCreate,
    AddressScopeUpdate,
    AddressScopeView,
)
from onestack.network.subnetpools.record import AddressScopeRecord, SubnetPoolRecord

api = Operations("address scopes")

ONE = "/v2.0/address-scopes/{address_scope_id}"


class AddressScopeNotFound(NotFound):
    message = "Address scope {id} could not be found."


class AddressScopeInUse(Conflict):
    message = (
        "Unable to complete operation on address scope {id}. There are one or more subnet pools in "
        "use on the address scope."
    )


@api.get("/v2.0/address-scopes", attributes.GET_SCOPE, key="address_scopes")
def index(ctx: Context) -> Page[AddressScopeView]:
    """List the scopes that the caller's project has, or may use."""
    return lists.page(ctx, SCOPES, attributes.visible(ctx, SCOPES))


@api.get(ONE, attributes.GET_SCOPE, key="address_scope")
def show(ctx: Context, address_scope_id: str) -> AddressScopeView:
    """Show a scope."""
    record = usable_scope(ctx, address_scope_id)
    ctx.allow(_target(ctx, record))
    return lists.shown(ctx, SCOPES, record)


@api.post(
    "/v2.0/address-scopes",
    rules.rule("create_address_scope", rules.WRITE),
    key="address_scope",
    status=201,
)
def create(ctx: Context, body: AddressScopeCreate) -> AddressScopeView:
    """Create a scope."""
    given = given_in(body)
    project_id = rules.owner_of(ctx, given.pop("project_id", None), given.pop("tenant_id", None))
    target = {"project_id": project_id, "tenant_id": project_id}
    ctx.allow(target)
    judge(ctx, attributes.SCOPE_SHARED, said(given), target)
    version = given.get("ip_version")
    if version not in (4, 6):
        raise InvalidInput(reason=f"'{version}' is not in [4, 6]")
    record = AddressScopeRecord(
        id=new_id(), project_id=project_id, name=given.get("name", ""), ip_version=version,
        shared=given.get("shared", False),
    )  # fmt: skip
    ctx.session.add(record)
    ctx.session.flush()
    if record.shared:
        rbac.share(ctx.session, "address_scope", record.id, project_id, rbac.SHARED, True)
    return attributes.scope_views(ctx, [record])[0]


@api.put(ONE, rules.rule("update_address_scope", rules.WRITE), key="address_scope")
def update(ctx: Context, address_scope_id: str, body: AddressScopeUpdate) -> AddressScopeView:
    """Change a scope; what is shared stays so."""
    record = usable_scope(ctx, address_scope_id)
    target = _target(ctx, record)
    ctx.allow(target)
    if body.shared is not UNSET and body.shared != record.shared:
        judge(ctx, attributes.SCOPE_SHARED, ["shared"], target)
        if not body.shared:
            raise InvalidInput(reason="a shared address scope cannot be unshared")
        record.shared = True
        rbac.share(ctx.session, "address_scope", record.id, record.project_id, rbac.SHARED, True)
    if body.name is not UNSET:
        record.name = body.name
    return attributes.scope_views(ctx, [record])[0]


@api.delete(ONE, rules.rule("delete_address_scope", rules.WRITE))
def delete(ctx: Context, address_scope_id: str) -> None:
    """Delete a scope that no pool is of."""
    record = usable_scope(ctx, address_scope_id)
    ctx.allow(_target(ctx, record))
    pools = select(SubnetPoolRecord.id).where(SubnetPoolRecord.address_scope_id == record.id)
    if ctx.session.scalar(pools.limit(1)) is not None:
        raise AddressScopeInUse(id=record.id)
    rbac.forget(ctx.session, record.id)
    ctx.session.delete(record)


def usable_scope(ctx: Context, scope_id: str) -> AddressScopeRecord:
    """A scope that the caller may know of."""
    record = ctx.session.get(AddressScopeRecord, scope_id)
    if record is not None and (record.shared or rules.is_seen(ctx, record.project_id)):
        return record
    if record is None or not rbac.shared_ids(ctx.session, ctx.caller.project_id, [record.id]):
        raise AddressScopeNotFound(id=scope_id[:64])
    return record


def _target(ctx: Context, record: AddressScopeRecord) -> dict[str, object]:
    return {
        "project_id": record.project_id, "tenant_id": record.project_id,
        "shared": record.shared or record.project_id != ctx.caller.project_id,
    }  # fmt: skip
