"""Address groups: named sets of prefixes that security group rules refer to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType
from onestack.network import lists, rbac, rules
from onestack.network.attributes import Text, prefix
from onestack.network.security_groups.record import SecurityGroupRuleRecord
from onestack.network.standard import Standard, iso, new_id, touch
from onestack.network.wirings import change

api = Operations("address groups")

ROOT = "/v2.0/address-groups"
ONE = f"{ROOT}/{{address_group_id}}"
ADDRESSES_MAX = 1000

Addresses = Annotated[list[str], Meta(max_length=ADDRESSES_MAX)]


class AddressGroupRecord(Standard, Record):
    """A set of prefixes."""

    __tablename__ = "address_groups"

    addresses: Mapped[list[str]] = mapped_column(default=list)


class AddressGroupNotFound(NotFound):
    message = "Address group {id} could not be found."


class AddressGroupInUse(Conflict):
    message = "Address group {id} is in use on one or more security group rules."


class AddressesNotFound(NotFound):
    message = "Addresses {addresses} not found in the address group {id}."


class AddressesAlreadyExist(BadRequest):
    message = "Addresses {addresses} already exist in the address group {id}."


class TooManyAddresses(BadRequest):
    message = "An address group may have {most} addresses at most."


class AddressGroupUpdate(Shape, forbid_unknown_fields=True):
    """What to change of an address group."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class AddressGroupCreate(Shape, forbid_unknown_fields=True):
    """An address group to make."""

    name: Text = ""
    description: Text = ""
    addresses: Addresses = []
    project_id: str | None = None
    tenant_id: str | None = None


class AddressesGiven(Shape, forbid_unknown_fields=True):
    """Addresses to add or to remove."""

    addresses: Addresses


class AddressesBody(Shape, forbid_unknown_fields=True):
    """The same, as some clients send it and as others do."""

    addresses: Addresses | None = None
    address_group: AddressesGiven | None = None

    @property
    def given(self) -> list[str]:
        found = self.address_group.addresses if self.address_group else self.addresses
        if found is None:
            raise BadRequest("Expecting to find addresses in the request body.")
        return _canonical(found)


class AddressGroupView(Shape):
    """A set of prefixes."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    shared: bool
    addresses: list[str]
    created_at: str
    updated_at: str
    revision_number: int


class AddressGroupAnswer(Shape):
    """The group that was changed."""

    address_group: AddressGroupView


READ = rules.rule("get_address_group", f"{rules.READ} or (role:reader and 'True':%(shared)s)")
UPDATE = rules.rule("update_address_group", rules.WRITE)


@api.get(ROOT, READ, key="address_groups")
def index(ctx: Context) -> Page[AddressGroupView]:
    """List address groups."""
    shared = rbac.shared_with(ctx.caller.project_id, NOUN.table.c.id)
    return lists.page(ctx, NOUN, {"project_id": NOUN.table.c.project_id, "shared": shared})


@api.get(ONE, READ, key="address_group")
def show(ctx: Context, address_group_id: str) -> AddressGroupView:
    """Show an address group."""
    return lists.shown(ctx, NOUN, _judged(ctx, address_group_id))


@api.post(ROOT, rules.rule("create_address_group", rules.WRITE), key="address_group", status=201)
def create(ctx: Context, body: AddressGroupCreate) -> AddressGroupView:
    """Create an address group."""
    project_id = rules.owner_of(ctx, body.project_id, body.tenant_id)
    ctx.allow(project_id=project_id)
    now = clock.now()
    record = AddressGroupRecord(
        id=new_id(),
        project_id=project_id,
        name=body.name,
        description=body.description,
        addresses=_canonical(body.addresses),
        revision_number=1,
        created_at=now,
        updated_at=now,
    )
    ctx.session.add(record)
    ctx.session.flush()
    _emit(ctx.session, "create", record)
    return views(ctx, [record])[0]


@api.put(ONE, UPDATE, key="address_group")
def update(ctx: Context, address_group_id: str, body: AddressGroupUpdate) -> AddressGroupView:
    """Change what an address group is called."""
    record = _judged(ctx, address_group_id)
    for name in ("name", "description"):
        value = getattr(body, name)
        if value is not UNSET:
            setattr(record, name, value)
    return _changed(ctx, record)


@api.put(f"{ONE}/add_addresses", UPDATE)
def add(ctx: Context, address_group_id: str, body: AddressesBody) -> AddressGroupAnswer:
    """Add addresses to a group that has none of them."""
    record = _judged(ctx, address_group_id)
    given = body.given
    twins = [each for each in given if each in record.addresses]
    if twins:
        raise AddressesAlreadyExist(addresses=twins, id=record.id)
    if len(record.addresses) + len(given) > ADDRESSES_MAX:
        raise TooManyAddresses(most=ADDRESSES_MAX)
    record.addresses = [*record.addresses, *given]
    return AddressGroupAnswer(address_group=_changed(ctx, record))


@api.put(f"{ONE}/remove_addresses", UPDATE)
def remove(ctx: Context, address_group_id: str, body: AddressesBody) -> AddressGroupAnswer:
    """Remove addresses from a group that has all of them."""
    record = _judged(ctx, address_group_id)
    given = body.given
    missing = [each for each in given if each not in record.addresses]
    if missing:
        raise AddressesNotFound(addresses=missing, id=record.id)
    record.addresses = [each for each in record.addresses if each not in given]
    return AddressGroupAnswer(address_group=_changed(ctx, record))


@api.delete(ONE, rules.rule("delete_address_group", rules.WRITE))
def delete(ctx: Context, address_group_id: str) -> None:
    """Delete an address group that no rule refers to."""
    record = _judged(ctx, address_group_id)
    if _referring(ctx.session, record.id):
        raise AddressGroupInUse(id=record.id)
    ctx.session.delete(record)
    rbac.forget(ctx.session, record.id)
    _emit(ctx.session, "delete", record)


def check_seen(ctx: Context, address_group_id: str) -> None:
    """Refuse a group that the caller may not know of."""
    record = ctx.session.get(AddressGroupRecord, address_group_id)
    if record is not None and rules.is_seen(ctx, record.project_id):
        return
    if record is None or not _is_shared(ctx, address_group_id):
        raise AddressGroupNotFound(id=address_group_id)


def prefixes_of(session: Session, ids: Iterable[str]) -> Mapping[str, list[str]]:
    """The prefixes of address groups."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    columns = NOUN.table.c
    rows = session.execute(select(columns.id, columns.addresses).where(columns.id.in_(wanted)))
    return {row.id: row.addresses for row in rows}


def views(ctx: Context, rows: Sequence[Any]) -> list[AddressGroupView]:
    """Address groups as clients see them."""
    shared = rbac.shared_ids(ctx.session, ctx.caller.project_id, [row.id for row in rows])
    return [
        AddressGroupView(
            id=row.id,
            name=row.name,
            description=row.description,
            project_id=row.project_id,
            tenant_id=row.project_id,
            shared=row.id in shared,
            addresses=row.addresses,
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
            revision_number=row.revision_number,
        )
        for row in rows
    ]


NOUN = lists.Noun(AddressGroupRecord, AddressGroupView, views)


def _judged(ctx: Context, address_group_id: str) -> AddressGroupRecord:
    """The group, if the caller may see it and do to it what the operation does."""
    record = ctx.session.get(AddressGroupRecord, address_group_id, with_for_update=ctx.writes)
    if record is None:
        raise AddressGroupNotFound(id=address_group_id[:64])
    is_shared = _is_shared(ctx, record.id)
    if not is_shared and not rules.is_seen(ctx, record.project_id):
        raise AddressGroupNotFound(id=address_group_id)
    ctx.allow(record, shared=is_shared)
    return record


def _is_shared(ctx: Context, address_group_id: str) -> bool:
    return bool(rbac.shared_ids(ctx.session, ctx.caller.project_id, [address_group_id]))


def _canonical(addresses: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(prefix(each) for each in addresses))


def _referring(session: Session, address_group_id: str) -> list[str]:
    """The security groups that have a rule on an address group."""
    found = select(SecurityGroupRuleRecord.security_group_id).where(
        SecurityGroupRuleRecord.remote_address_group_id == address_group_id
    )
    return list(session.scalars(found.distinct()))


def _changed(ctx: Context, record: AddressGroupRecord) -> AddressGroupView:
    touch(record)
    ctx.session.flush()
    change.touch(ctx.session, "group", _referring(ctx.session, record.id))
    _emit(ctx.session, "update", record)
    return views(ctx, [record])[0]


def _emit(session: Session, what: str, record: AddressGroupRecord) -> None:
    payload = {"id": record.id, "name": record.name}
    event.emit(session, f"address_group.{what}.end", payload, record.project_id, record.id)
