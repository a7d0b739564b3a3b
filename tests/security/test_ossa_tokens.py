"""Rights that were lent never grow, and end with what they came from: each advisory's own case."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from onestack.core.db import Database
from onestack.identity.tokens.revocation import revoke
from tests.cloud import As, Local
from tests.conftest import Clouds
from tests.identity.consumers import Consumer, authorize
from tests.identity.people import change_password, make_domain, make_user, role_id, sign_in
from tests.identity.programs import Person, authenticate

NUMBERS = count(1)


class Lent:
    """Every kind of token that lends a person's rights; each was used, so that it is cached."""

    def __init__(self, local: Local, name: str) -> None:
        self.local = local
        self.trustor = Person(local, name, ("admin", "member"))
        self.trustee = Person(local, f"{name}-trustee")
        self.by_trust = [self.trust(impersonation=each)[1] for each in (True, False)]
        program = self.trustor.program("program")
        self.consumer = Consumer(local)
        self.consumer.obtain(self.trustor, "member")
        self.others = [self.trustor.acting(program), self.consumer.acting]
        self.rescoped = [rescope(local, self.trustor.me, self.trustor.scope)]
        for token in self.all:
            token.get("/auth/projects")

    @property
    def all(self) -> list[As]:
        return [*self.by_trust, *self.others, *self.rescoped]

    def trust(self, caller: As | None = None, **changes: Any) -> tuple[str, As]:
        """A new trust's id, and the trustee acting by it."""
        body = {
            "trustor_user_id": self.trustor.id,
            "trustee_user_id": self.trustee.id,
            "project_id": self.trustor.project,
            "impersonation": False,
            "roles": [{"name": "member"}],
            **changes,
        }
        made = (caller or self.trustor.me).post("/OS-TRUST/trusts", {"trust": body})["trust"]
        return made["id"], self.use(made["id"])

    def use(self, trust_id: str) -> As:
        scope = {"OS-TRUST:trust": {"id": trust_id}}
        answer = sign_in(self.local, self.trustee.user, scope=scope)
        assert answer.status == 201, answer
        return As(self.local, answer.headers["x-subject-token"])


@pytest.fixture
def lent(local: Local) -> Lent:
    return Lent(local, f"ossa-tokens-{next(NUMBERS)}")


def rescope(local: Local, token: As, scope: Any) -> As:
    """The same user, by a token got for another token."""
    answer = authenticate(local, {"token": {"id": token.token}}, scope)
    assert answer.status == 201, answer
    return As(local, answer.headers["x-subject-token"])


def shown(local: Local, token: As) -> dict[str, Any]:
    answer: dict[str, Any] = local.admin.get("/auth/tokens", X_Subject_Token=str(token.token))
    found: dict[str, Any] = answer["token"]
    return found


def role_names(local: Local, token: As) -> set[str]:
    return {role["name"] for role in shown(local, token)["roles"]}


def refused(local: Local, token: As) -> None:
    token.get("/auth/projects", status=401)
    local.admin.get("/auth/tokens", status=404, X_Subject_Token=str(token.token))
    assert authenticate(local, {"token": {"id": token.token}}).status in (401, 404)


def disable_user(lent: Lent) -> None:
    lent.local.admin.patch(f"/users/{lent.trustor.id}", {"user": {"enabled": False}})


def delete_user(lent: Lent) -> None:
    lent.local.admin.delete(f"/users/{lent.trustor.id}")


def change_own_password(lent: Lent) -> None:
    old = str(lent.trustor.by_password["user"]["password"])
    assert change_password(lent.local, lent.trustor.user, old, "another one").status == 204


def disable_project(lent: Lent) -> None:
    lent.local.admin.patch(f"/projects/{lent.trustor.project}", {"project": {"enabled": False}})


def delete_project(lent: Lent) -> None:
    lent.local.admin.delete(f"/projects/{lent.trustor.project}")


def take_roles(lent: Lent) -> None:
    for role in ("admin", "member"):
        lent.trustor.take(role)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(disable_user, id="ossa_2014_006_trustor_disabled"),
        pytest.param(delete_user, id="ossa_2013_009_trustor_deleted"),
        pytest.param(change_own_password, id="ossa_2012_010_password_changed"),
        pytest.param(disable_project, id="ossa_2013_025_project_disabled"),
        pytest.param(delete_project, id="ossa_2013_025_project_deleted"),
        pytest.param(take_roles, id="ossa_2012_014_roles_taken"),
    ],
)
def test_every_lent_token_ends(local: Local, lent: Lent, act: Callable[[Lent], None]) -> None:
    bystander = Lent(local, f"ossa-tokens-{next(NUMBERS)}")
    act(lent)
    for token in lent.all:
        refused(local, token)
    for token in bystander.all:
        token.get("/auth/projects")


def test_ossa_2014_026_lent_tokens_stay_void(local: Local, lent: Lent) -> None:
    """CVE-2014-5251: what was void came back once its user or project was enabled again."""
    disable_user(lent)
    local.admin.patch(f"/users/{lent.trustor.id}", {"user": {"enabled": True}})
    for token in lent.all:
        refused(local, token)
    assert lent.consumer.authenticate().status == 201


def test_ossa_2014_026_lent_tokens_end_with_the_domain(local: Local) -> None:
    """CVE-2014-5253: tokens outlived the domain that they were of."""
    domain = make_domain(local, "ossa-tokens-domain")
    trustor = make_user(local, "ossa-tokens-of-domain", domain_id=domain)
    trustee = Person(local, "ossa-tokens-trustee-of-domain")
    member = role_id(local, "member")
    local.admin.put(f"/projects/{trustee.project}/users/{trustor['id']}/roles/{member}")
    signed_in = sign_in(local, trustor, scope=trustee.scope).headers["x-subject-token"]
    body = {
        "trustor_user_id": trustor["id"],
        "trustee_user_id": trustee.id,
        "project_id": trustee.project,
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    trust = As(local, signed_in).post("/OS-TRUST/trusts", {"trust": body})["trust"]
    answer = sign_in(local, trustee.user, scope={"OS-TRUST:trust": {"id": trust["id"]}})
    token = As(local, answer.headers["x-subject-token"])
    token.get("/auth/projects")
    for enabled in (False, True):
        local.admin.patch(f"/domains/{domain}", {"domain": {"enabled": enabled}})
        refused(local, token)


def test_ossa_2014_006_a_trustees_tokens_end_with_the_trustee(local: Local, lent: Lent) -> None:
    """CVE-2014-2237: the tokens of a trustee were not found when they had to be voided."""
    local.admin.patch(f"/users/{lent.trustee.id}", {"user": {"enabled": False}})
    for token in lent.by_trust:
        refused(local, token)
    for token in (*lent.others, *lent.rescoped):
        token.get("/auth/projects")


def test_ossa_2013_009_another_process_forgets_what_it_cached(local: Local, lent: Lent) -> None:
    """A revoked token counted for as long as a process that did not revoke it remembered it."""
    other = Local(local.data, local.environ)
    try:
        cached = [As(other, token.token) for token in lent.all]
        for token in cached:
            token.get("/auth/projects")
        disable_user(lent)
        for token in cached:
            refused(other, token)
        end = lent.trustee.me
        As(other, end.token).get("/auth/projects")
        end.ask("DELETE", "/auth/tokens", X_Subject_Token=str(end.token))
        refused(other, As(other, end.token))
    finally:
        other.close()


def test_ossa_2016_008_a_chain_of_rescoped_tokens_ends_as_one(local: Local) -> None:
    """CVE-2016-4911: a token that was rescoped twice had left the chain of the first."""
    person = Person(local, "ossa-tokens-chain")
    first = As(local, sign_in(local, person.user).headers["x-subject-token"])
    second = rescope(local, first, person.scope)
    third = rescope(local, second, "unscoped")
    chain = [shown(local, token)["audit_ids"] for token in (first, second, third)]
    assert [ids[-1] for ids in chain] == [chain[0][0]] * 3
    assert len({ids[0] for ids in chain}) == 3
    with local.cloud.get(Database).transaction() as session:
        revoke(session, audit_chain_id=chain[0][0])
    for token in (first, second, third):
        refused(local, token)


def test_ossa_2014_026_rescoping_wins_no_time(local: Local) -> None:
    """CVE-2014-5252: a token's age began anew with each rescoping, and so did its life."""
    person = Person(local, "ossa-tokens-time")
    first = As(local, sign_in(local, person.user).headers["x-subject-token"])
    second = rescope(local, first, person.scope)
    assert shown(local, second)["expires_at"] == shown(local, first)["expires_at"]


def test_ossa_2016_005_a_revoked_token_gives_no_other(local: Local) -> None:
    """CVE-2015-7546: what was revoked could still be exchanged."""
    person = Person(local, "ossa-tokens-exchange")
    first = person.me
    first.ask("DELETE", "/auth/tokens", X_Subject_Token=str(first.token))
    refused(local, first)


def test_ossa_2014_018_a_trust_is_not_passed_on_unless_it_says_so(lent: Lent) -> None:
    """CVE-2014-3476: a trustee made trusts of its own from a trust that was for it alone."""
    body = {
        "trustor_user_id": lent.trustor.id,
        "trustee_user_id": lent.trustee.id,
        "project_id": lent.trustor.project,
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    for token in lent.by_trust:
        token.post("/OS-TRUST/trusts", {"trust": body}, status=403)
    lent.consumer.acting.post("/OS-TRUST/trusts", {"trust": body}, status=403)


def test_ossa_2014_018_a_chain_of_trusts_never_widens(local: Local, lent: Lent) -> None:
    trustee = {"trustee_user_id": lent.trustee.id}
    depth: dict[str, Any] = {
        "allow_redelegation": True,
        "redelegation_count": 2,
        "impersonation": True,
    }
    top, by_top = lent.trust(**depth, expires_at="2090-01-01T00:00:00Z")
    depth["redelegation_count"] = 1
    middle, by_middle = lent.trust(by_top, **trustee, **depth)
    bottom, by_bottom = lent.trust(by_middle, **trustee)
    assert role_names(local, by_bottom) == {"member", "reader"}
    ends = local.admin.get(f"/OS-TRUST/trusts/{bottom}")["trust"]["expires_at"]
    assert ends == "2090-01-01T00:00:00.000000Z"
    onward = {
        "trustor_user_id": lent.trustor.id,
        "project_id": lent.trustor.project,
        "impersonation": True,
        "roles": [{"name": "member"}],
        **trustee,
    }
    for changes in (
        {"roles": [{"name": "admin"}]},
        {"expires_at": "2090-01-02T00:00:00Z"},
        {"project_id": lent.trustee.project},
        {"trustor_user_id": lent.trustee.id},
        {"allow_redelegation": True, "redelegation_count": 1},
    ):
        by_middle.post("/OS-TRUST/trusts", {"trust": {**onward, **changes}}, status=403)
    by_bottom.post("/OS-TRUST/trusts", {"trust": onward}, status=403)
    lent.trustor.me.delete(f"/OS-TRUST/trusts/{top}")
    for token in (by_top, by_middle, by_bottom):
        refused(local, token)
    local.admin.get(f"/OS-TRUST/trusts/{middle}", status=404)


def test_ossa_2014_018_without_impersonation_none_is_won(lent: Lent) -> None:
    _, plain = lent.trust(allow_redelegation=True)
    body = {
        "trustor_user_id": lent.trustor.id,
        "trustee_user_id": lent.trustee.id,
        "project_id": lent.trustor.project,
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    plain.post("/OS-TRUST/trusts", {"trust": body}, status=403)


def test_ossa_2014_022_lent_tokens_get_no_other_scope(local: Local, lent: Lent) -> None:
    """CVE-2014-3520: a trustee got a token for another project of the trustor."""
    other = local.admin.post("/projects", {"project": {"name": f"{lent.trustor.name}-2"}})
    project = other["project"]["id"]
    path = f"/projects/{project}/users/{lent.trustor.id}/roles/{role_id(local, 'member')}"
    local.admin.put(path)
    scopes: list[Any] = [
        {"project": {"id": project}},
        lent.trustor.scope,
        {"domain": {"id": "default"}},
        {"system": {"all": True}},
        "unscoped",
        None,
    ]
    for token in (*lent.by_trust, *lent.others):
        for scope in scopes:
            answer = authenticate(local, {"token": {"id": token.token}}, scope)
            assert answer.status in (401, 403), (scope, answer)


def test_ossa_2013_032_lent_tokens_make_no_key_pairs(lent: Lent) -> None:
    """CVE-2013-6391: an EC2 key pair made with a trust's token stood for all of the trustor."""
    tenant = {"tenant_id": lent.trustor.project}
    keys = {"user_id": lent.trustor.id, "type": "ec2", "project_id": lent.trustor.project}
    blob = json.dumps({"access": f"{lent.trustor.id}-access", "secret": "secret"})
    program = {"application_credential": {"name": "of lent rights"}}
    for token in (*lent.by_trust, *lent.others):
        mine = f"/users/{lent.trustor.id}"
        token.post(f"{mine}/credentials/OS-EC2", tenant, status=403)
        token.post("/credentials", {"credential": {**keys, "blob": blob}}, status=403)
        token.post(f"{mine}/application_credentials", program, status=403)


def test_ossa_2020_005_a_consumer_has_the_roles_that_were_named(local: Local, lent: Lent) -> None:
    """CVE-2020-12690: the roles named were ignored, and the consumer got all of the user's."""
    assert role_names(local, lent.consumer.acting) == {"member", "reader"}
    lent.consumer.acting.get("/users", status=403)
    lent.consumer.token = {}
    lent.consumer.take(lent.consumer.request(lent.trustor.project))
    verifier = authorize(lent.trustor.me, lent.consumer.token["oauth_token"], "reader")
    lent.consumer.take(lent.consumer.exchange(verifier))
    assert role_names(local, lent.consumer.acting) == {"reader"}


def test_remaining_uses_are_counted_also_at_once(another: Clouds) -> None:
    """Row 19: more uses than a trust had left were had by asking all at the same time."""
    cloud = another()
    lent = Lent(cloud, "ossa-tokens-uses")
    body = {
        "trustor_user_id": lent.trustor.id,
        "trustee_user_id": lent.trustee.id,
        "project_id": lent.trustor.project,
        "impersonation": False,
        "roles": [{"name": "member"}],
        "remaining_uses": 3,
    }
    trust = lent.trustor.me.post("/OS-TRUST/trusts", {"trust": body})["trust"]
    identity = {"methods": ["token"], "token": {"id": lent.trustee.me.token}}
    auth = {"identity": identity, "scope": {"OS-TRUST:trust": {"id": trust["id"]}}}
    content = json.dumps({"auth": auth}).encode()

    async def ask_all() -> list[int]:
        asked = (cloud._ask("POST", "/identity/v3/auth/tokens", content, {}) for _ in range(12))
        return [answer.status for answer in await asyncio.gather(*asked)]

    statuses = cloud.loop.run_until_complete(ask_all())
    assert sorted(statuses) == [201] * 3 + [401] * 9
    left = lent.trustor.me.get(f"/OS-TRUST/trusts/{trust['id']}")["trust"]["remaining_uses"]
    assert left == 0
