"""Tags: words by which servers are found again."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from onestack.compute import rules
from onestack.compute.servers import access
from onestack.compute.servers.record import ServerRecord, ServerTagRecord, tags_of, touch
from onestack.compute.servers.states import check_state
from onestack.compute.servers.wanted import Tag
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.policy import Rule
from onestack.core.shapes import Meta, Shape

api = Operations("server tags")

TAGS_MAX = 50
CHANGEABLE = ("active", "paused", "suspended", "stopped")
PATH = "/v2.1/servers/{server_id}/tags"


class TagNotFound(NotFound):
    message = "Server {server_id} has no tag '{tag}'"


class TooManyTags(BadRequest):
    message = "The number of tags exceeded the per-server limit 50"


class BadTag(BadRequest):
    message = "Invalid input for field/attribute tag. Value: {tag}."


class TagList(Shape, forbid_unknown_fields=True):
    """A server's tags."""

    tags: Annotated[list[Tag], Meta(max_length=TAGS_MAX)]


def _rule(name: str, check: str = rules.MEMBER) -> Rule:
    return rules.rule(f"os-server-tags:{name}", check)


@api.get(PATH, _rule("index", rules.READER), since="2.26")
def index(ctx: Context, server_id: str) -> TagList:
    """List a server's tags."""
    server = access.owned(ctx, server_id)
    return TagList(tags=tags_of(ctx.session, [server.id]).get(server.id, []))


@api.put(PATH, _rule("update_all"), since="2.26")
def replace(ctx: Context, server_id: str, body: TagList) -> TagList:
    """Give a server these tags, and no others."""
    server = _changeable(ctx, server_id)
    _clear(ctx, server)
    wanted = sorted(set(body.tags))
    ctx.session.add_all(ServerTagRecord(server_id=server.id, tag=each) for each in wanted)
    return TagList(tags=wanted)


@api.delete(PATH, _rule("delete_all"), since="2.26")
def clear(ctx: Context, server_id: str) -> None:
    """Take all tags off a server."""
    _clear(ctx, _changeable(ctx, server_id))


@api.get(PATH + "/{tag}", _rule("show", rules.READER), status=204, since="2.26")
def show(ctx: Context, server_id: str, tag: str) -> None:
    """Say whether a server has a tag."""
    server = access.owned(ctx, server_id)
    if ctx.session.get(ServerTagRecord, (server.id, tag)) is None:
        raise TagNotFound(server_id=server.id, tag=tag[:80])


@api.put(PATH + "/{tag}", _rule("update"), status=204, since="2.26")
def add(ctx: Context, server_id: str, tag: str) -> Reply:
    """Put a tag on a server."""
    server = _changeable(ctx, server_id)
    try:
        msgspec.convert(tag, Tag)
    except msgspec.ValidationError:
        raise BadTag(tag=tag[:80]) from None
    held = set(tags_of(ctx.session, [server.id]).get(server.id, []))
    if tag in held:
        return Reply(status=204)
    if len(held) >= TAGS_MAX:
        raise TooManyTags
    ctx.session.add(ServerTagRecord(server_id=server.id, tag=tag))
    request = ctx.request
    return Reply(status=201, headers={"Location": f"{request.base_url}{quote(request.path)}"})


@api.delete(PATH + "/{tag}", _rule("delete"), since="2.26")
def delete(ctx: Context, server_id: str, tag: str) -> None:
    """Take a tag off a server."""
    server = _changeable(ctx, server_id)
    found = ctx.session.scalar(
        select(ServerTagRecord).where(
            ServerTagRecord.server_id == server.id, ServerTagRecord.tag == tag
        )
    )
    if found is None:
        raise TagNotFound(server_id=server.id, tag=tag[:80])
    ctx.session.delete(found)


def _changeable(ctx: Context, server_id: str) -> ServerRecord:
    server = access.held(ctx, server_id)
    check_state(server, "update tags", CHANGEABLE, None)
    touch(server)
    return server


def _clear(ctx: Context, server: ServerRecord) -> None:
    ctx.session.execute(delete_from(ServerTagRecord).where(ServerTagRecord.server_id == server.id))
