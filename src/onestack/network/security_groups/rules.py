"""Security group rules: what a group lets through, one by one."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import Id, Shape, Short
from onestack.network import address_groups, lists, quotas, rbac, rules
from onestack.network.security_groups import groups
from onestack.network.security_groups.attributes import Traffic, number_of, traffic
from onestack.network.security_groups.record import (
    SecurityGroupNotFound,
    SecurityGroupRecord,
    SecurityGroupRuleRecord,
)
from onestack.network.security_groups.view import RuleView, rule_view
from onestack.network.standard import new_id, touch
from onestack.network.wirings import change

api = Operations("security group rules")

ROOT = "/v2.0/security-group-rules"
ONE = f"{ROOT}/{{rule_id}}"


class RuleNotFound(NotFound):
    type = "SecurityGroupRuleNotFound"
    message = "Security group rule {id} does not exist"


class RuleExists(Conflict):
    type = "SecurityGroupRuleExists"
    message = "Security group rule already exists. Rule id is {id}."


class DuplicateRule(Conflict):
    type = "DuplicateSecurityGroupRuleInPost"
    message = "Duplicate Security Group Rule in POST."


class SeveralRemotes(BadRequest):
    type = "SecurityGroupMultipleRemoteEntites"
    message = "Only one of remote_ip_prefix, remote_group_id and remote_address_group_id is taken."


class RuleCreate(Shape, forbid_unknown_fields=True):
    """Something that a group is to let through."""

    security_group_id: Id
    direction: Literal["ingress", "egress"]
    ethertype: str = "IPv4"
    protocol: str | int | None = None
    port_range_min: int | str | None = None
    port_range_max: int | str | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: Id | None = None
    remote_address_group_id: Id | None = None
    description: Short | None = None
    project_id: str | None = None
    tenant_id: str | None = None


class RulesCreate(Shape, forbid_unknown_fields=True):
    """One rule, or several that are made together or not at all."""

    security_group_rule: RuleCreate | None = None
    security_group_rules: list[RuleCreate] | None = None


class RulesView(Shape, omit_defaults=True):
    """The rule, or rules, that were made."""

    security_group_rule: RuleView | None = None
    security_group_rules: list[RuleView] | None = None


class RuleUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a rule: nothing else may."""

    description: Short


READ = rules.rule("get_security_group_rule", rules.READ)


@api.get(ROOT, READ, key="security_group_rules")
def index(ctx: Context) -> Page[RuleView]:
    """List the rules of security groups."""
    return lists.page(ctx, NOUN, {"project_id": NOUN.table.c.project_id})


@api.get(ONE, READ, key="security_group_rule")
def show(ctx: Context, rule_id: str) -> RuleView:
    """Show a rule."""
    return lists.shown(ctx, NOUN, _own(ctx, rule_id))


@api.post(ROOT, rules.rule("create_security_group_rule", rules.WRITE), status=201)
def create(ctx: Context, body: RulesCreate) -> RulesView:
    """Let something through."""
    if body.security_group_rule is not None:
        return RulesView(security_group_rule=_made(ctx, [body.security_group_rule])[0])
    if not body.security_group_rules:
        raise BadRequest("Unable to find 'security_group_rule' in request body")
    return RulesView(security_group_rules=_made(ctx, body.security_group_rules))


@api.put(ONE, rules.rule("update_security_group_rule", rules.WRITE), key="security_group_rule")
def update(ctx: Context, rule_id: str, body: RuleUpdate) -> RuleView:
    """Describe a rule."""
    record = _own(ctx, rule_id)
    record.description, record.updated_at = body.description, clock.now()
    record.revision_number += 1
    return views(ctx, [record])[0]


@api.delete(ONE, rules.rule("delete_security_group_rule", rules.WRITE))
def delete(ctx: Context, rule_id: str) -> None:
    """Let something through no longer."""
    record = _own(ctx, rule_id)
    group = ctx.session.get_one(SecurityGroupRecord, record.security_group_id, with_for_update=True)
    ctx.session.delete(record)
    touch(group)
    ctx.session.flush()
    change.touch(ctx.session, "group", [group.id])
    _emit(ctx.session, "delete", record)


def views(ctx: Context, rows: Sequence[Any]) -> list[RuleView]:
    """Rules as clients see them."""
    wanted = {row.security_group_id for row in rows}
    found = select(SecurityGroupRecord.id).where(
        SecurityGroupRecord.id.in_(wanted), SecurityGroupRecord.default_of.is_not(None)
    )
    defaults = set(ctx.session.scalars(found))
    return [rule_view(row, row.security_group_id in defaults) for row in rows]


NOUN = lists.Noun(SecurityGroupRuleRecord, RuleView, views)


def _own(ctx: Context, rule_id: str) -> SecurityGroupRuleRecord:
    record = ctx.session.get(SecurityGroupRuleRecord, rule_id)
    if record is None or not rules.is_seen(ctx, record.project_id):
        raise RuleNotFound(id=rule_id[:64])
    ctx.allow(record)
    return record


def _made(ctx: Context, bodies: Sequence[RuleCreate]) -> list[RuleView]:
    """Make rules, all or none, and let the hosts know."""
    by_group = {each: groups.own(ctx, each) for each in {b.security_group_id for b in bodies}}
    for project_id in {each.project_id for each in by_group.values()}:
        count = sum(by_group[b.security_group_id].project_id == project_id for b in bodies)
        quotas.check(ctx.session, project_id, {"security_group_rule": count})
    made: list[SecurityGroupRuleRecord] = []
    for body in bodies:
        record = _record(ctx, body, by_group[body.security_group_id])
        _refuse_twin(ctx.session, record, made)
        made.append(record)
    ctx.session.add_all(made)
    for group in by_group.values():
        touch(group)
    ctx.session.flush()
    change.touch(ctx.session, "group", by_group)
    for each in made:
        _emit(ctx.session, "create", each)
    return views(ctx, made)


def _record(ctx: Context, body: RuleCreate, group: SecurityGroupRecord) -> SecurityGroupRuleRecord:
    remotes = (body.remote_group_id, body.remote_ip_prefix, body.remote_address_group_id)
    if sum(map(bool, remotes)) > 1:
        raise SeveralRemotes
    ports = (body.port_range_min, body.port_range_max)
    wanted: Traffic = traffic(body.ethertype, body.protocol, ports, body.remote_ip_prefix)
    if body.remote_group_id:
        _check_remote(ctx, body.remote_group_id)
    if body.remote_address_group_id:
        address_groups.check_seen(ctx, body.remote_address_group_id)
    now = clock.now()
    return SecurityGroupRuleRecord(
        id=new_id(),
        security_group_id=group.id,
        project_id=group.project_id,
        direction=body.direction,
        ethertype=wanted.ethertype,
        protocol=wanted.protocol,
        port_range_min=wanted.port_min,
        port_range_max=wanted.port_max,
        remote_ip_prefix=wanted.prefix,
        remote_group_id=body.remote_group_id,
        remote_address_group_id=body.remote_address_group_id,
        description=body.description or "",
        revision_number=0,
        created_at=now,
        updated_at=now,
    )


def _check_remote(ctx: Context, group_id: str) -> None:
    """The group whose members are let through is one that the caller may see."""
    record = ctx.session.get(SecurityGroupRecord, group_id)
    if record is not None and rules.is_seen(ctx, record.project_id):
        return
    if record is None or not rbac.shared_ids(ctx.session, ctx.caller.project_id, [group_id]):
        raise SecurityGroupNotFound(id=group_id)


def _refuse_twin(
    session: Session, record: SecurityGroupRuleRecord, others: Sequence[SecurityGroupRuleRecord]
) -> None:
    """A rule that lets through what another one of its group does is one too many."""
    if any(_key(each) == _key(record) for each in others):
        raise DuplicateRule
    same = ("security_group_id", "direction", "ethertype", "port_range_min", "port_range_max",
            "remote_ip_prefix", "remote_group_id", "remote_address_group_id")  # fmt: skip
    table = NOUN.table.c
    known = select(table.id, table.protocol).where(
        *(table[name].is_not_distinct_from(getattr(record, name)) for name in same)
    )
    with session.no_autoflush:
        for row in session.execute(known).all():
            if number_of(row.protocol) == number_of(record.protocol):
                raise RuleExists(id=row.id)


def _key(record: SecurityGroupRuleRecord) -> tuple[object, ...]:
    """What a rule lets through, however it is written."""
    return (
        record.security_group_id,
        record.direction,
        record.ethertype,
        number_of(record.protocol),
        record.port_range_min,
        record.port_range_max,
        record.remote_ip_prefix,
        record.remote_group_id,
        record.remote_address_group_id,
    )


def _emit(session: Session, what: str, record: SecurityGroupRuleRecord) -> None:
    payload = {"id": record.id, "security_group_id": record.security_group_id}
    name = f"security_group_rule.{what}.end"
    event.emit(session, name, payload, record.project_id, record.id)
