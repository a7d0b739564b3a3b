"""Groups that a provider's word keeps a user in for a time."""

import datetime as dt
from typing import Any

from onestack.core import clock
from onestack.core.db import Database
from onestack.identity.federation import memberships
from tests.cloud import Answer, Local
from tests.identity.federation.partners import Partner, authenticate, holder, rescope, shown
from tests.identity.stage import Stage

LATER_S = 600


class Member:
    """A federated user with a robot that works by the rights of its group."""

    def __init__(self, local: Local, name: str, minutes: int | None) -> None:
        self.local = local
        stage = Stage(local, name)
        self.project, self.group = stage.project(), stage.group()
        stage.give("member", f"groups/{self.group}", f"projects/{self.project}")
        remote = [{"type": "REMOTE_USER"}, {"type": "GROUPS"}]
        rules = [{"remote": remote, "local": [{"user": {"name": "{0}"}, "group_ids": "{1}"}]}]
        self.partner = Partner(local, name, rules, authorization_ttl=minutes)
        self.token = self.sign_in()
        self.id = shown(local, self.token)["user"]["id"]

    def sign_in(self, groups: str | None = None) -> str:
        return self.partner.token(Remote_User="jane", Groups=groups or self.group)

    def make_robot(self, status: int = 201) -> dict[str, str]:
        scope = {"project": {"id": self.project}}
        scoped = rescope(self.local, self.token, scope).headers["x-subject-token"]
        body = {"application_credential": {"name": "robot", "secret": "robot-secret"}}
        path = f"/users/{self.id}/application_credentials"
        made = holder(self.local, scoped).post(path, body, status=status)
        return {"id": made["application_credential"]["id"], "secret": "robot-secret"}

    def work(self, robot: dict[str, str]) -> Answer:
        return authenticate(self.local, "application_credential", robot, {})

    def groups(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.local.admin.get(f"/users/{self.id}/groups")["groups"]
        return found


def test_a_group_counts_for_so_long(trusting: Local) -> None:
    member = Member(trusting, "lasting", 5)
    (group,) = member.groups()
    assert group["id"] == member.group
    robot = member.make_robot()
    answer = member.work(robot)
    assert [each["name"] for each in answer.body["token"]["roles"]] == ["member", "reader"]
    working = answer.headers["x-subject-token"]
    until = dt.datetime.fromisoformat(group["membership_expires_at"].removesuffix("Z"))
    assert dt.timedelta(minutes=4) < until - clock.now() <= dt.timedelta(minutes=5)

    with clock.use(clock.Simulated(1, start=clock.now() + dt.timedelta(seconds=LATER_S))):
        assert member.work(robot).status == 401
        assert member.groups() == []
        with trusting.cloud.get(Database).transaction() as session:
            memberships.forget_ended(session)
        shown(trusting, working, status=404)
        member.sign_in()
        assert member.work(robot).status == 201


def test_without_a_time_only_tokens_hold_the_group(trusting: Local) -> None:
    for name, minutes in (("untimed", None), ("untimed-0", 0)):
        member = Member(trusting, name, minutes)
        assert member.groups() == []
        assert rescope(trusting, member.token, {"project": {"id": member.project}}).status == 201


def test_the_newest_login_decides(trusting: Local) -> None:
    member = Member(trusting, "newest", 60)
    robot = member.make_robot()
    working = member.work(robot).headers["x-subject-token"]
    shown(trusting, working)
    member.sign_in("none")
    shown(trusting, working, status=404)
    assert member.work(robot).status == 401
    member.sign_in()
    assert member.work(robot).status == 201


def test_what_goes_takes_its_memberships_along(trusting: Local) -> None:
    member = Member(trusting, "ending", 60)
    trusting.admin.delete(f"/groups/{member.group}")
    assert member.groups() == []
    other = Member(trusting, "ending-2", 60)
    trusting.admin.delete(other.partner.path)
    trusting.admin.get(f"/users/{other.id}", status=404)
    native = Member(trusting, "ending-3", 60)
    trusting.admin.put(f"/groups/{native.group}/users/{native.id}")
    (group,) = native.groups()
    assert group["membership_expires_at"] is None
