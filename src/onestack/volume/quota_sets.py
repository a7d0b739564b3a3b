"""Quotas, as administrators set them and projects see them."""

from typing import Any

from sqlalchemy import delete as remove
from sqlalchemy import select

from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import Shape
from onestack.volume import quotas, rules
from onestack.volume.quotas import COUNTED, DEFAULT_SCOPE, QuotaRecord
from onestack.volume.types.record import VolumeTypeRecord

api = Operations("quotas")

PATH = "/v3/os-quota-sets/{project_id}"
LIMIT_MAX = 2**31 - 1
SHOW = rules.rule("volume_extension:quotas:show", rules.READ)
UPDATE = rules.rule("volume_extension:quotas:update", rules.ADMIN)
DELETE = rules.rule("volume_extension:quotas:delete", rules.ADMIN)
CLASSES = rules.rule("volume_extension:quota_classes", rules.ADMIN)

Limits = dict[str, Any]


class UsageQuery(Shape):
    """Whether usage is told too."""

    usage: bool = False


class BadLimit(BadRequest):
    message = "Invalid input for field/attribute {name}. Value: {value}. It must be an integer " \
              "between -1 and 2147483647."  # fmt: skip


class BelowUsage(BadRequest):
    message = "{name} limit {limit} is less than {used}, which is in use."


@api.get(PATH, SHOW, key="quota_set", kept=False)
def show(ctx: Context, project_id: str, query: UsageQuery) -> Limits:
    """Show what a project may have, and what it has."""
    ctx.allow({"project_id": project_id})
    limits = _limits(ctx, project_id)
    if not query.usage:
        return {"id": project_id, **limits}
    used = _used(ctx, project_id)
    return {
        "id": project_id,
        **{
            name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0, "allocated": 0}
            for name, limit in limits.items()
        },
    }


@api.get(f"{PATH}/defaults", SHOW, key="quota_set")
def defaults(ctx: Context, project_id: str) -> Limits:
    """Show what a project may have when nobody says otherwise."""
    ctx.allow({"project_id": project_id})
    return {"id": project_id, **_limits(ctx, DEFAULT_SCOPE)}


@api.put(PATH, UPDATE, key="quota_set")
def update(ctx: Context, project_id: str, body: Limits) -> Limits:
    """Say what a project may have."""
    ctx.allow()
    given = {name: each for name, each in body.items() if name not in ("tenant_id", "force")}
    used = _used(ctx, project_id) if body.get("skip_validation") in (False, "false") else {}
    given.pop("skip_validation", None)
    _keep(ctx, project_id, given, used)
    return _limits(ctx, project_id)


@api.delete(PATH, DELETE, status=200)
def delete(ctx: Context, project_id: str) -> Raw:
    """Let a project have what others have."""
    ctx.allow()
    if project_id != DEFAULT_SCOPE:
        ctx.session.execute(remove(QuotaRecord).where(QuotaRecord.scope == project_id))
    return Raw(b"")


@api.get("/v3/os-quota-class-sets/{class_name}", CLASSES, key="quota_class_set")
def show_class(ctx: Context, class_name: str) -> Limits:
    """Show what projects may have that have no limits of their own."""
    ctx.allow()
    _check_class(class_name)
    return {"id": class_name, **_limits(ctx, DEFAULT_SCOPE)}


@api.put("/v3/os-quota-class-sets/{class_name}", CLASSES, key="quota_class_set")
def update_class(ctx: Context, class_name: str, body: Limits) -> Limits:
    """Say what projects may have that have no limits of their own."""
    ctx.allow()
    _check_class(class_name)
    _keep(ctx, DEFAULT_SCOPE, body, {})
    return _limits(ctx, DEFAULT_SCOPE)


def _check_class(name: str) -> None:
    if name != DEFAULT_SCOPE:
        raise NotFound(f"Quota class {name[:64]} could not be found.")


def _limits(ctx: Context, scope: str) -> Limits:
    """All limits; those of types are there whether anybody set them or not."""
    names = ctx.session.scalars(select(VolumeTypeRecord.name).order_by(VolumeTypeRecord.name))
    of_types = {f"{what}_{name}": -1 for name in names for what in COUNTED}
    return {**of_types, **quotas.limits_of(ctx.session, scope)}


def _used(ctx: Context, project_id: str) -> dict[str, int]:
    used = quotas.usage_of(project_id).counted(ctx.session)
    for kind in ctx.session.scalars(select(VolumeTypeRecord)):
        of_type = quotas.usage_of(project_id, kind.id).counted(ctx.session)
        used |= {f"{name}_{kind.name}": each for name, each in of_type.items()}
    return used


def _keep(ctx: Context, scope: str, given: Limits, used: dict[str, int]) -> None:
    known = _limits(ctx, scope)
    unknown = sorted(set(given) - set(known) - {"id"})
    if unknown:
        raise BadRequest(f"Bad key(s) in quota set: {', '.join(unknown)[:200]}")
    for name, value in given.items():
        if name == "id":
            continue
        limit = _limit(name, value)
        if 0 <= limit < used.get(name, 0):
            raise BelowUsage(name=name, limit=limit, used=used[name])
        ctx.session.merge(QuotaRecord(scope=scope, resource=name, hard_limit=limit))
    ctx.session.flush()


def _limit(name: str, value: object) -> int:
    text = str(value)
    is_number = isinstance(value, int | str) and not isinstance(value, bool)
    if not is_number or not text.removeprefix("-").isdigit() or not text.isascii():
        raise BadLimit(name=name[:80], value=text[:80])
    if not -1 <= int(text) <= LIMIT_MAX:
        raise BadLimit(name=name[:80], value=text[:80])
    return int(text)
