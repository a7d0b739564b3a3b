"""Trusts: rights lent to another user."""

from typing import Any

from tests.cloud import As, Local

DEFAULT = {"domain": {"id": "default"}}


class Parties:
    """A trustor with a project, and a trustee with nothing."""

    def __init__(self, local: Local, name: str) -> None:
        self.local = local
        admin = local.admin
        made = admin.post("/projects", {"project": {"name": f"{name}-p"}})
        self.project_id = made["project"]["id"]
        self.trustor_id = self.user(f"{name}-trustor")
        self.trustee_id = self.user(f"{name}-trustee")
        roles = admin.get("/roles")["roles"]
        self.role_ids = {role["name"]: role["id"] for role in roles}
        self.grant = f"/projects/{self.project_id}/users/{self.trustor_id}/roles/"
        admin.put(self.grant + self.role_ids["member"])
        scope = {"project": {"id": self.project_id}}
        answer = local.login(f"{name}-trustor", "secret", scope)
        self.trustor = As(local, answer.headers["x-subject-token"])
        answer = local.login(f"{name}-trustee", "secret")
        self.trustee = As(local, answer.headers["x-subject-token"])

    def user(self, name: str) -> str:
        made = self.local.admin.post("/users", {"user": {"name": name, "password": "secret"}})
        user_id: str = made["user"]["id"]
        return user_id

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "trust": {
                "trustor_user_id": self.trustor_id,
                "trustee_user_id": self.trustee_id,
                "project_id": self.project_id,
                "impersonation": False,
                "roles": [{"name": "member"}],
                **more,
            }
        }

    def trust(self, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.trustor.post("/OS-TRUST/trusts", self.body(**more))["trust"]
        return made

    def use(self, trust_id: str, by: As | None = None) -> Any:
        token = (by or self.trustee).token
        identity = {"methods": ["token"], "token": {"id": token}}
        auth = {"auth": {"identity": identity, "scope": {"OS-TRUST:trust": {"id": trust_id}}}}
        return self.local.ask("POST", "/identity/v3/auth/tokens", auth)


def test_a_trust_lends_roles(local: Local) -> None:
    parties = Parties(local, "lends")
    trust = parties.trust(expires_at="2099-01-02T03:04:05.000000Z")
    assert trust["expires_at"] == "2099-01-02T03:04:05.000000Z"
    assert [role["name"] for role in trust["roles"]] == ["member"]
    assert local.admin.get(f"/OS-TRUST/trusts/{trust['id']}")["trust"] == trust
    answer = parties.use(trust["id"])
    assert answer.status == 201, answer
    token = answer.body["token"]
    assert token["user"]["id"] == parties.trustee_id
    assert token["project"]["id"] == parties.project_id
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert token["OS-TRUST:trust"]["trustor_user"]["id"] == parties.trustor_id
    role_path = f"/OS-TRUST/trusts/{trust['id']}/roles"
    assert len(parties.trustee.get(role_path)["roles"]) == 1
    parties.trustee.get(f"{role_path}/{parties.role_ids['member']}")
    parties.trustee.get(f"{role_path}/{parties.role_ids['admin']}", status=404)


def test_impersonation_acts_as_the_trustor(local: Local) -> None:
    parties = Parties(local, "acts")
    answer = parties.use(parties.trust(impersonation=True)["id"])
    assert answer.body["token"]["user"]["id"] == parties.trustor_id


def test_a_trust_ends_at_once(local: Local) -> None:
    parties = Parties(local, "ends")
    trust = parties.trust()
    lent = As(local, parties.use(trust["id"]).headers["x-subject-token"])
    lent.get("/auth/tokens", X_Subject_Token=str(lent.token))
    parties.trustee.delete(f"/OS-TRUST/trusts/{trust['id']}", status=403)
    parties.trustor.delete(f"/OS-TRUST/trusts/{trust['id']}")
    lent.get("/auth/tokens", status=401, X_Subject_Token=str(lent.token))
    assert parties.use(trust["id"]).status == 401


def test_rights_that_the_trustor_loses_are_lent_no_more(local: Local) -> None:
    parties = Parties(local, "loses")
    trust = parties.trust()
    lent = As(local, parties.use(trust["id"]).headers["x-subject-token"])
    local.admin.delete(parties.grant + parties.role_ids["member"])
    lent.get("/auth/tokens", status=401, X_Subject_Token=str(lent.token))
    assert parties.use(trust["id"]).status == 401


def test_a_disabled_trustor_lends_nothing(local: Local) -> None:
    parties = Parties(local, "disabled")
    trust = parties.trust()
    token = parties.use(trust["id"]).headers["x-subject-token"]
    local.admin.patch(f"/users/{parties.trustor_id}", {"user": {"enabled": False}})
    local.admin.get("/auth/tokens", status=404, X_Subject_Token=token)
    assert parties.use(trust["id"]).status == 401


def test_uses_are_counted(local: Local) -> None:
    parties = Parties(local, "uses")
    trust = parties.trust(remaining_uses=2)
    assert [parties.use(trust["id"]).status for _ in range(3)] == [201, 201, 401]
    shown = parties.trustor.get(f"/OS-TRUST/trusts/{trust['id']}")["trust"]
    assert shown["remaining_uses"] == 0


def test_wrong_trusts_are_refused(local: Local) -> None:
    parties = Parties(local, "wrong")
    for more, status in (
        ({"roles": [{"name": "admin"}]}, 403),
        ({"roles": []}, 403),
        ({"roles": [{"name": "no such role"}]}, 404),
        ({"expires_at": "bad.123Z"}, 400),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"remaining_uses": 0}, 400),
        ({"remaining_uses": 1, "allow_redelegation": True}, 400),
        ({"trustee_user_id": "nobody"}, 404),
        ({"trustor_user_id": parties.trustee_id}, 403),
        ({"impersonation": "yes"}, 400),
    ):
        parties.trustor.post("/OS-TRUST/trusts", parties.body(**more), status=status)
    mine = parties.trustor.get("/OS-TRUST/trusts")["trusts"]
    assert mine == []


def test_only_the_trustee_uses_a_trust(local: Local) -> None:
    parties = Parties(local, "only")
    trust = parties.trust()
    assert parties.use(trust["id"], by=local.demo).status == 403
    local.demo.get(f"/OS-TRUST/trusts/{trust['id']}", status=403)
    assert local.demo.get("/OS-TRUST/trusts")["trusts"] == []
    listed = local.admin.get(f"/OS-TRUST/trusts?trustor_user_id={parties.trustor_id}")["trusts"]
    assert [each["id"] for each in listed] == [trust["id"]]


def test_a_token_for_a_trust_is_not_widened(local: Local) -> None:
    parties = Parties(local, "widened")
    token = parties.use(parties.trust()["id"]).headers["x-subject-token"]
    identity = {"methods": ["token"], "token": {"id": token}}
    answer = local.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    assert answer.status == 403


def test_redelegation_never_widens(local: Local) -> None:
    parties = Parties(local, "passes")
    third = parties.user("passes-third")
    end = "2098-01-01T00:00:00.000000Z"
    first = parties.trust(
        impersonation=True, allow_redelegation=True, redelegation_count=1, expires_at=end
    )
    lent = As(local, parties.use(first["id"]).headers["x-subject-token"])
    onward = parties.body(trustee_user_id=third, impersonation=True)["trust"]
    for more, status in (
        ({"roles": [{"name": "admin"}]}, 403),
        ({"expires_at": "2099-01-01T00:00:00.000000Z"}, 403),
        ({"redelegation_count": 1, "allow_redelegation": True}, 403),
        ({"project_id": None, "roles": []}, 403),
    ):
        lent.post("/OS-TRUST/trusts", {"trust": {**onward, **more}}, status=status)
    second = lent.post("/OS-TRUST/trusts", {"trust": onward})["trust"]
    assert second["redelegated_trust_id"] == first["id"]
    assert second["expires_at"] == end
    assert second["redelegation_count"] == 0
    parties.trustor.delete(f"/OS-TRUST/trusts/{first['id']}")
    local.admin.get(f"/OS-TRUST/trusts/{second['id']}", status=404)
