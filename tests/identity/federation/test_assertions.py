"""A user's way from this cloud to another, by an assertion that the other one checks."""

import json
from typing import Any

from lxml import etree
from signxml.verifier import XMLVerifier

from tests.cloud import Answer, Local
from tests.identity.federation.conftest import Trusting
from tests.identity.federation.partners import Partner, rescope, vouched
from tests.identity.stage import Stage

SP = "https://other.example/Shibboleth.sso/SAML2/ECP"
AUTH = "https://other.example/identity/v3/OS-FEDERATION/identity_providers/home"
NAMES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "ecp": "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp",
}
SAML = "/identity/v3/auth/OS-FEDERATION/saml2"


def provider(local: Local, name: str = "other", **more: Any) -> None:
    body = {"auth_url": AUTH, "sp_url": SP, "enabled": True, **more}
    path = f"/OS-FEDERATION/service_providers/{name}"
    local.admin.put(path, {"service_provider": body}, status=201)


def ask(local: Local, token: str, sp_id: str = "other", path: str = SAML) -> Answer:
    identity = {"methods": ["token"], "token": {"id": token}}
    scope = {"service_provider": {"id": sp_id}}
    return local.ask("POST", path, {"auth": {"identity": identity, "scope": scope}})


def find(root: etree._Element, path: str) -> list[Any]:
    found: list[Any] = root.xpath(path, namespaces=NAMES)
    return found


def metadata(local: Local) -> etree._Element:
    answer = local.ask("GET", "/identity/v3/OS-FEDERATION/saml2/metadata")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    return etree.fromstring(answer.content)


def verified(home: Local, xml: bytes) -> etree._Element:
    """The assertion that a response's signature covers, by the key that the metadata publish."""
    (published,) = find(metadata(home), "//ds:X509Certificate/text()")
    pem = f"-----BEGIN CERTIFICATE-----\n{published}\n-----END CERTIFICATE-----"
    result = XMLVerifier().verify(etree.fromstring(xml), x509_cert=pem, id_attribute="ID")
    assert not isinstance(result, list)
    assert result.signed_xml is not None
    return result.signed_xml


def attributes(assertion: etree._Element) -> dict[str, str]:
    """An assertion's attributes as web servers hand them on: several values in one text."""
    return {
        each.get("Name"): ";".join(value.text for value in each)
        for each in find(assertion, ".//saml:Attribute")
    }


class Home:
    """A cloud with a user who has a role and a group."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.stage = Stage(local, "k2k")
        user_id = self.stage.user()
        self.user = local.admin.get(f"/users/{user_id}")["user"]
        self.project_id = self.stage.project()
        self.stage.give("member", f"users/{user_id}", f"projects/{self.project_id}")
        self.group = local.admin.get(f"/groups/{self.stage.group(user_id)}")["group"]
        self.token = self.stage.token(user_id, project={"id": self.project_id})


def test_a_user_takes_its_rights_to_another_cloud(make_trusting: Trusting) -> None:
    home_cloud, away = make_trusting(), make_trusting()
    home = Home(home_cloud)
    provider(home_cloud)
    answer = ask(home_cloud, home.token)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    assert (answer.headers["x-sp-url"], answer.headers["x-auth-url"]) == (SP, AUTH)
    assertion = verified(home_cloud, answer.content)
    (entity,) = find(metadata(home_cloud), "/md:EntityDescriptor/@entityID")
    assert find(assertion, "saml:Issuer/text()") == [entity]
    said = attributes(assertion)
    assert said["openstack_user"] == home.user["name"]
    assert said["openstack_roles"] == "member;reader"
    domain = home_cloud.admin.get(f"/domains/{home.stage.domain}")["domain"]["name"]
    assert json.loads(said["openstack_groups"].removeprefix("JSON:")) == {
        "name": home.group["name"],
        "domain": {"name": domain},
    }

    there = Stage(away, "k2k-away")
    project = there.project()
    body = {"name": domain, "description": "the same domain here"}
    domain_id = away.admin.post("/domains", {"domain": body})["domain"]["id"]
    body = {"name": home.group["name"], "domain_id": domain_id}
    group_id = away.admin.post("/groups", {"group": body})["group"]["id"]
    there.give("reader", f"groups/{group_id}", f"projects/{project}")
    remote = [{"type": "openstack_user"}, {"type": "openstack_groups"}]
    rules = [{"remote": remote, "local": [{"user": {"name": "{0}"}, "groups": "{1}"}]}]
    partner = Partner(away, "home", rules, protocol="saml2", remote_ids=[entity])
    token = partner.token(HTTP_Oidc_Iss=entity, **said)
    scoped = rescope(away, token, {"project": {"id": project}})
    assert scoped.status == 201, scoped
    assert scoped.body["token"]["user"]["name"] == home.user["name"]
    assert [each["name"] for each in scoped.body["token"]["roles"]] == ["reader"]


def test_the_envelope_holds_the_same_assertion(trusting: Local) -> None:
    home = Home(trusting)
    provider(trusting, "enveloped", relay_state_prefix="ss:test:")
    answer = ask(trusting, home.token, "enveloped", f"{SAML}/ecp")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    assert (answer.headers["x-sp-url"], answer.headers["x-auth-url"]) == (SP, AUTH)
    envelope = etree.fromstring(answer.content)
    (state,) = find(envelope, "/soap:Envelope/soap:Header/ecp:RelayState/text()")
    assert state.startswith("ss:test:")
    assert len(find(envelope, "/soap:Envelope/soap:Body/*/saml:Assertion")) == 1
    assert attributes(verified(trusting, answer.content))["openstack_user"] == home.user["name"]


def test_an_assertion_ends_with_its_token(trusting: Local) -> None:
    home_token = trusting.token("demo")
    provider(trusting, "ending")
    answer = ask(trusting, home_token, "ending")
    (ends,) = find(etree.fromstring(answer.content), "//saml:Conditions/@NotOnOrAfter")
    shown = trusting.admin.get("/auth/tokens", X_Subject_Token=home_token)["token"]
    assert ends <= shown["expires_at"]


def test_the_issuer_is_what_the_catalogue_says_whatever_the_client_does(trusting: Local) -> None:
    path = "/identity/v3/OS-FEDERATION/saml2/metadata"
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    answer = trusting.ask("GET", path, headers=headers)
    assert b"evil" not in answer.content
    (entity,) = find(etree.fromstring(answer.content), "/md:EntityDescriptor/@entityID")
    assert entity == "http://127.0.0.1:5000/identity/v3/OS-FEDERATION/saml2/idp"
    trusting.admin.head("/OS-FEDERATION/saml2/metadata")


def test_who_may_not_have_an_assertion(trusting: Local) -> None:
    provider(trusting, "picky")
    provider(trusting, "picky-off", enabled=False)
    who = trusting.accounts["demo"]
    unscoped = trusting.login("demo", who["password"], "unscoped").headers["x-subject-token"]
    for token, sp_id, status in (
        (unscoped, "picky", 403),
        (trusting.token("admin", {"system": {"all": True}}), "picky", 403),
        ("rubbish", "picky", 404),
        (trusting.token("demo"), "nothing", 404),
        (trusting.token("demo"), "picky-off", 403),
    ):
        for path in (SAML, f"{SAML}/ecp"):
            assert ask(trusting, token, sp_id, path).status == status
    answer = ask(trusting, trusting.token("demo"), "picky-off")
    assert answer.message == "Service Provider picky-off is disabled."


def test_rights_that_were_lent_stay_in_this_cloud(trusting: Local) -> None:
    provider(trusting, "lent")
    user = trusting.admin.get("/auth/tokens", X_Subject_Token=trusting.token("demo"))["token"]
    path = f"/users/{user['user']['id']}/application_credentials"
    body = {"application_credential": {"name": "k2k", "secret": "k2k-secret"}}
    made = trusting.demo.post(path, body)["application_credential"]
    given = {"id": made["id"], "secret": "k2k-secret"}
    identity = {"methods": ["application_credential"], "application_credential": given}
    answer = trusting.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    assert ask(trusting, answer.headers["x-subject-token"], "lent").status == 403


def test_bad_requests_are_refused(trusting: Local) -> None:
    token = {"methods": ["token"], "token": {"id": trusting.token("demo")}}
    scope = {"service_provider": {"id": "other"}}
    password = {"methods": ["password"], "password": {}, "token": token["token"]}
    for auth in (
        {},
        {"identity": token},
        {"scope": scope},
        {"identity": token, "scope": {}},
        {"identity": token, "scope": {"service_provider": {}}},
        {"identity": password, "scope": scope},
        {"identity": {"methods": ["token"]}, "scope": scope},
    ):
        for path in (SAML, f"{SAML}/ecp"):
            assert trusting.ask("POST", path, {"auth": auth}).status == 400
    for path in (SAML, f"{SAML}/ecp"):
        answer = trusting.ask("GET", path)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_federated_user_goes_on_with_its_groups(trusting: Local) -> None:
    stage = Stage(trusting, "onward")
    project, group = stage.project(), stage.group()
    stage.give("member", f"groups/{group}", f"projects/{project}")
    local = [{"user": {"name": "{0}"}, "group": {"id": group}}]
    partner = Partner(trusting, "onward", [{"remote": [{"type": "REMOTE_USER"}], "local": local}])
    scoped = rescope(trusting, partner.token(Remote_User="jane"), {"project": {"id": project}})
    provider(trusting, "onward")
    answer = ask(trusting, scoped.headers["x-subject-token"], "onward")
    said = attributes(verified(trusting, answer.content))
    assert said["openstack_user"] == "jane"
    name = trusting.admin.get(f"/groups/{group}")["group"]["name"]
    assert json.loads(said["openstack_groups"].removeprefix("JSON:"))["name"] == name


def test_an_unsigned_word_is_nobodys(trusting: Local) -> None:
    """What an assertion says counts only when the front-end, which checks it, hands it on."""
    partner = Partner(trusting, "unsigned")
    headers = vouched(Remote_User="admin")
    del headers["X-Federation-Secret"]
    path = f"/identity/v3{partner.path}/protocols/mapped/auth"
    assert trusting.ask("POST", path, headers=headers).status == 401
