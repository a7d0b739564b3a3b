"""Tags: words by which projects sort what they have, on every kind of thing."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from onestack.core import event
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import Meta, Shape
from onestack.network import rbac, rules
from onestack.network.floating_ips.record import FloatingIpNotFound, FloatingIpRecord
from onestack.network.networks.record import NetworkNotFound, NetworkRecord
from onestack.network.ports.record import PortNotFound, PortRecord
from onestack.network.routers.record import RouterNotFound, RouterRecord
from onestack.network.security_groups.record import SecurityGroupNotFound, SecurityGroupRecord
from onestack.network.standard import touch
from onestack.network.subnetpools.prefixes import SubnetPoolNotFound
from onestack.network.subnetpools.record import SubnetPoolRecord
from onestack.network.subnets.record import SubnetNotFound, SubnetRecord

api = Operations("tags")

TAGS_MAX = 50
Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]


class TagNotFound(NotFound):
    message = "Tag {tag} could not be found."


class TooManyTags(BadRequest):
    message = "A thing may have {most} tags at most."


class Tagged(msgspec.Struct, frozen=True):
    """A kind of thing that has tags."""

    record: type[Any]
    missing: type[NotFound]
    word: str  # by which the error calls its id


KINDS: Mapping[str, Tagged] = {
    "networks": Tagged(NetworkRecord, NetworkNotFound, "id"),
    "subnets": Tagged(SubnetRecord, SubnetNotFound, "id"),
    "subnetpools": Tagged(SubnetPoolRecord, SubnetPoolNotFound, "id"),
    "ports": Tagged(PortRecord, PortNotFound, "id"),
    "routers": Tagged(RouterRecord, RouterNotFound, "router_id"),
    "floatingips": Tagged(FloatingIpRecord, FloatingIpNotFound, "floatingip_id"),
    "security-groups": Tagged(SecurityGroupRecord, SecurityGroupNotFound, "id"),
}


class TagsBody(Shape, forbid_unknown_fields=True):
    """The tags that a thing is to have, and no others."""

    tags: list[Tag]


class TagsView(Shape):
    """A thing's tags."""

    tags: list[str]


def _declare(kind: str) -> None:
    """The operations on the tags of one kind of thing."""
    all_of = f"/v2.0/{kind}/{{resource_id}}/tags"
    one_of = f"{all_of}/{{tag}}"
    names = f"{kind.replace('-', '_')}_tags"
    may_read = rules.rule(f"get_{names}", f"{rules.READ} or (role:reader and 'True':%(shared)s)")
    may_write = rules.rule(f"update_{names}", rules.WRITE)
    may_delete = rules.rule(f"delete_{names}", rules.WRITE)

    @api.get(all_of, may_read)
    def index(ctx: Context, resource_id: str) -> TagsView:
        """List the tags of a thing."""
        return TagsView(tags=_tags(_record(ctx, kind, resource_id)))

    @api.put(all_of, may_write)
    def replace(ctx: Context, resource_id: str, body: TagsBody) -> TagsView:
        """Let a thing have these tags, and no others."""
        record = _record(ctx, kind, resource_id)
        _keep(ctx, kind, record, body.tags)
        return TagsView(tags=_tags(record))

    @api.delete(all_of, may_delete)
    def clear(ctx: Context, resource_id: str) -> None:
        """Take all tags off a thing."""
        _keep(ctx, kind, _record(ctx, kind, resource_id), [])

    @api.get(one_of, may_read)
    def show(ctx: Context, resource_id: str, tag: str) -> Reply:
        """Say, by the status alone, whether a thing has a tag."""
        if _word(tag) not in _tags(_record(ctx, kind, resource_id)):
            raise TagNotFound(tag=tag[:80])
        return Reply(status=204)

    @api.put(one_of, may_write, status=201)
    def add(ctx: Context, resource_id: str, tag: str) -> Reply:
        """Put a tag on a thing; one that it has stays."""
        try:
            word = msgspec.convert(_word(tag), Tag)
        except msgspec.ValidationError as error:
            raise BadRequest(f"Invalid tag: {error}") from None
        record = _record(ctx, kind, resource_id)
        if word not in _tags(record):
            _keep(ctx, kind, record, [*_tags(record), word])
        return Reply(status=201)

    @api.delete(one_of, may_delete)
    def remove(ctx: Context, resource_id: str, tag: str) -> None:
        """Take a tag off a thing."""
        record, word = _record(ctx, kind, resource_id), _word(tag)
        if word not in _tags(record):
            raise TagNotFound(tag=tag[:80])
        _keep(ctx, kind, record, [each for each in _tags(record) if each != word])


for _kind in KINDS:
    _declare(_kind)


def _record(ctx: Context, kind: str, resource_id: str) -> Any:
    """The thing, if the caller may see it and do to its tags what the operation does."""
    about = KINDS[kind]
    record = ctx.session.get(about.record, resource_id, with_for_update=ctx.writes)
    if record is None:
        raise about.missing(**{about.word: resource_id[:64]})
    is_shared = _is_shared(ctx, record)
    if not is_shared and not rules.is_seen(ctx, record.project_id):
        raise about.missing(**{about.word: resource_id})
    ctx.allow(record, shared=is_shared)
    return record


def _is_shared(ctx: Context, record: Any) -> bool:
    """Whether the caller's project sees a thing, or the network that it is on, of another's."""
    if isinstance(record, SubnetRecord):
        return _is_shared(ctx, ctx.session.get_one(NetworkRecord, record.network_id))
    if getattr(record, "shared", False) or getattr(record, "external", False):
        return True
    return bool(rbac.shared_ids(ctx.session, ctx.caller.project_id, [record.id]))


def _tags(record: Any) -> list[str]:
    return list(record.tags or [])


def _keep(ctx: Context, kind: str, record: Any, tags: list[str]) -> None:
    wanted = sorted(set(tags))
    if wanted == sorted(_tags(record)):
        return
    if len(wanted) > TAGS_MAX:
        raise TooManyTags(most=TAGS_MAX)
    record.tags = wanted
    touch(record)
    payload = {"parent_resource": kind, "parent_resource_id": record.id, "tags": wanted}
    event.emit(ctx.session, "tag.update.end", payload, record.project_id, record.id)


def _word(tag: str) -> str:
    """A tag as a path has it: there an escaped slash is none that parts the path."""
    return unquote(tag)
