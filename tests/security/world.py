"""One of each thing that identity keeps, in one domain: what a stranger must not reach."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from onestack.core import clock
from onestack.core.api import Operation, Service
from onestack.identity.auth.oauth1_signature import OAuthRequest, sign
from tests.cloud import ROOT, As, Local

PASSWORD = "world-Password-1"


class UnknownParameter(Exception):
    """A path has a parameter that no world knows: add what it names to the world."""


class World:
    """A domain with one of each resource; `ids` names them as the paths' parameters do."""

    def __init__(self, local: Local, name: str, operations: set[tuple[str, str]]) -> None:
        self.local, self.name, self.operations = local, name, operations
        self.admin = local.admin
        self.roles: dict[str, str] = {
            role["name"]: role["id"] for role in self.admin.get("/roles")["roles"]
        }
        self.ids: dict[str, str] = {"service": "identity", "name": name}
        self._people()
        self._owned()
        self._grants()
        self._catalogue()
        self._limits()
        self._delegated()
        self._federated()

    def has(self, method: str, path: str) -> bool:
        """Whether the service has an operation."""
        return (method, f"/v3{path}") in self.operations

    def user(self, name: str) -> str:
        """A user of this domain."""
        body = {"name": f"{self.name}-{name}", "password": PASSWORD, "domain_id": self.domain}
        return self.made("user", body)

    def signed_in(self, user_id: str, scope: Any = "unscoped") -> As:
        """A user of this domain, with a new token."""
        who = {"id": user_id, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": who}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = self.local.ask("POST", "/identity/v3/auth/tokens", body)
        assert answer.status == 201, answer
        return As(self.local, answer.headers["x-subject-token"])

    def made(self, kind: str, body: Any, path: str | None = None, who: As | None = None) -> str:
        answer = (who or self.admin).post(path or f"/{kind}s", {kind: body})
        made_id: str = answer[kind]["id"]
        return made_id

    def path(self, operation: Operation, service: Service) -> str:
        """The operation's path with this world's ids in it."""
        return service.root + fill(operation.path, lambda name: self._id(operation, name))

    def _id(self, operation: Operation, name: str) -> str:
        if name == "credential_id" and "OS-EC2" in operation.path:
            return self.ids["access"]
        if name == "role_id" and "OS-TRUST" in operation.path:
            return self.roles["member"]
        if name not in self.ids:
            raise UnknownParameter(name)
        return self.ids[name]

    def _people(self) -> None:
        self.domain: str = self.made("domain", {"name": f"{self.name}-domain"})
        self.project: str = self.made(
            "project", {"name": f"{self.name}-project", "domain_id": self.domain, "tags": ["blue"]}
        )
        self.owner_id: str = self.user("owner")
        self.friend_id: str = self.user("friend")
        group = self.made("group", {"name": f"{self.name}-group", "domain_id": self.domain})
        role = self.made("role", {"name": f"{self.name}-role", "domain_id": self.domain})
        implied = self.made("role", {"name": f"{self.name}-implied", "domain_id": self.domain})
        self.admin.put(f"/groups/{group}/users/{self.owner_id}")
        self.admin.put(f"/roles/{role}/implies/{implied}", status=201)
        for each in ("member", "reader"):
            self.admin.put(
                f"/projects/{self.project}/users/{self.owner_id}/roles/{self.roles[each]}"
            )
        self.ids |= {
            "domain_id": self.domain, "project_id": self.project, "user_id": self.owner_id,
            "group_id": group, "role_id": role, "prior_role_id": role, "implied_role_id": implied,
            "value": "blue",
        }  # fmt: skip
        self.owner = self.signed_in(self.owner_id, {"project": {"id": self.project}})

    def _owned(self) -> None:
        """What belongs to a user: credentials of all kinds, and a trust."""
        rule = {"service": "identity", "method": "GET", "path": "/v3/users"}
        body = {"name": f"{self.name}-lent", "access_rules": [rule]}
        path = f"/users/{self.owner_id}/application_credentials"
        lent = self.made("application_credential", body, path, self.owner)
        rules = self.owner.get(f"/users/{self.owner_id}/access_rules")["access_rules"]
        ec2 = self.owner.post(
            f"/users/{self.owner_id}/credentials/OS-EC2", {"tenant_id": self.project}
        )
        trust = {
            "trustor_user_id": self.owner_id, "trustee_user_id": self.friend_id,
            "impersonation": True, "project_id": self.project, "roles": [{"name": "member"}],
        }  # fmt: skip
        body = {"type": "cert", "blob": "x", "user_id": self.owner_id, "project_id": self.project}
        self.ids |= {
            "application_credential_id": lent, "access_rule_id": rules[0]["id"],
            "access": ec2["credential"]["access"],
            "trust_id": self.made("trust", trust, "/OS-TRUST/trusts", self.owner),
            "credential_id": self.made("credential", body),
        }  # fmt: skip

    def _grants(self) -> None:
        """Every kind of grant of this domain's role, to its user and its group."""
        role = self.ids["role_id"]
        for actor in (f"users/{self.owner_id}", f"groups/{self.ids['group_id']}"):
            for target in (f"domains/{self.domain}", f"projects/{self.project}"):
                self.admin.put(f"/{target}/{actor}/roles/{role}")
                self.admin.put(f"/OS-INHERIT/{target}/{actor}/roles/{role}/inherited_to_projects")
            self.admin.put(f"/system/{actor}/roles/{self.roles['service']}")

    def _catalogue(self) -> None:
        region = self.made("region", {"id": f"{self.name}-region"})
        service = self.made("service", {"type": f"{self.name}-type", "name": self.name})
        endpoint = self.made("endpoint", {
            "service_id": service, "region_id": region, "interface": "public",
            "url": "http://127.0.0.1:1/",
        })  # fmt: skip
        group = self.made(
            "endpoint_group",
            {"name": f"{self.name}-endpoints", "filters": {"service_id": service}},
            "/OS-EP-FILTER/endpoint_groups",
        )
        policy = self.made("policy", {"type": "text/plain", "blob": self.name}, "/policies")
        self.admin.put(f"/OS-EP-FILTER/projects/{self.project}/endpoints/{endpoint}")
        self.admin.put(f"/OS-EP-FILTER/endpoint_groups/{group}/projects/{self.project}")
        association = f"/policies/{policy}/OS-ENDPOINT-POLICY"
        self.admin.put(f"{association}/endpoints/{endpoint}")
        self.admin.put(f"{association}/services/{service}")
        self.admin.put(f"{association}/services/{service}/regions/{region}")
        self.admin.put(
            f"/domains/{self.domain}/config",
            {"config": {"ldap": {"url": "ldap://127.0.0.1:1"}, "identity": {"driver": "sql"}}},
            status=201,
        )
        self.ids |= {
            "region_id": region, "service_id": service, "endpoint_id": endpoint,
            "endpoint_group_id": group, "policy_id": policy, "group": "ldap", "option": "url",
        }  # fmt: skip

    def _limits(self) -> None:
        of = {"service_id": self.ids["service_id"], "resource_name": "things"}
        registered = self.admin.post(
            "/registered_limits", {"registered_limits": [{**of, "default_limit": 10}]}
        )
        limit = {**of, "resource_limit": 5, "project_id": self.project}
        limits = self.admin.post("/limits", {"limits": [limit]})
        self.ids["registered_limit_id"] = registered["registered_limits"][0]["id"]
        self.ids["limit_id"] = limits["limits"][0]["id"]

    def _delegated(self) -> None:
        """OAuth 1.0a: a consumer, what it asked for and what it was given."""
        if not self.has("POST", "/OS-OAUTH1/consumers"):
            return
        consumer = self.admin.post("/OS-OAUTH1/consumers", {"consumer": {}})["consumer"]
        admin_id = self.admin.get("/users?name=admin")["users"][0]["id"]
        role = {"id": self.roles["reader"]}
        self.admin.put(f"/projects/{self.project}/users/{admin_id}/roles/{role['id']}")
        asked = self._signed("request_token", consumer)
        lent = self._signed("request_token", consumer)
        path = f"/OS-OAUTH1/authorize/{lent['oauth_token']}"
        verifier = self.admin.put(path, {"roles": [role]}, status=200)["token"]["oauth_verifier"]
        given = self._signed("access_token", consumer, lent, oauth_verifier=verifier)
        self.ids |= {
            "consumer_id": consumer["id"],
            "request_token_id": asked["oauth_token"],
            "access_token_id": given["oauth_token"],
        }

    def _signed(
        self, kind: str, consumer: Any, token: Mapping[str, str] | None = None, **more: str
    ) -> dict[str, str]:
        """What a consumer gets by a signed request."""
        oauth = {
            "oauth_consumer_key": consumer["id"], "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())), "oauth_nonce": clock.new_id(),
            "oauth_version": "1.0", **more,
        }  # fmt: skip
        secret = ""
        if token is None:
            oauth["oauth_callback"] = "oob"
        else:
            oauth["oauth_token"], secret = token["oauth_token"], token["oauth_token_secret"]
        path = f"/identity/v3/OS-OAUTH1/{kind}"
        oauth["oauth_signature"] = sign(
            OAuthRequest("POST", ROOT + path, oauth), consumer["secret"], secret
        )
        header = ",".join(f'{name}="{quote(value, safe="")}"' for name, value in oauth.items())
        headers = {"authorization": f"OAuth {header}", "requested-project-id": self.project}
        answer = self.local.ask("POST", path, headers=headers)
        assert answer.status == 201, answer
        return dict(parse_qsl(answer.content.decode()))

    def _federated(self) -> None:
        """An identity provider with a protocol and a mapping, and a service provider."""
        if not self.has("PUT", "/OS-FEDERATION/mappings/{mapping_id}"):
            return
        idp, mapping, sp = (f"{self.name}-{kind}" for kind in ("idp", "mapping", "sp"))
        rule = {
            "local": [{"user": {"name": "{0}"}, "group": {"id": self.ids["group_id"]}}],
            "remote": [{"type": "REMOTE_USER"}],
        }
        root = "/OS-FEDERATION"
        self.admin.put(
            f"{root}/identity_providers/{idp}",
            {"identity_provider": {"domain_id": self.domain, "enabled": True}},
            status=201,
        )
        self.admin.put(f"{root}/mappings/{mapping}", {"mapping": {"rules": [rule]}}, status=201)
        self.admin.put(
            f"{root}/identity_providers/{idp}/protocols/mapped",
            {"protocol": {"mapping_id": mapping}},
            status=201,
        )
        urls = {"auth_url": "https://127.0.0.1:1/v3/auth", "sp_url": "https://127.0.0.1:1/sp"}
        self.admin.put(f"{root}/service_providers/{sp}", {"service_provider": urls}, status=201)
        self.ids |= {"idp_id": idp, "protocol_id": "mapped", "mapping_id": mapping, "sp_id": sp}


def fill(path: str, value: Callable[[str], str]) -> str:
    """A path's template with a value for each parameter."""
    parts = path.split("/")
    return "/".join(value(part[1:-1]) if part.startswith("{") else part for part in parts)
