"""The commands of identity and what each must print, step by step."""

import json
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openstack_client import Client

PASSWORD = "Old-Secret-1a"
NEW_PASSWORD = "New-Secret-2b"


def fresh(kind: str) -> str:
    """A name that nothing has yet."""
    return f"{kind}-{token_hex(4)}"


def column(rows: Iterable[dict[str, Any]], name: str) -> set[Any]:
    """All values of a column."""
    return {row[name] for row in rows}


def written(client: "Client", content: object) -> str:
    """A file with a JSON document in it."""
    file = client.folder / fresh("document")
    file.write_text(json.dumps(content))
    return str(file)


def made(client: "Client", noun: str, *words: str, key: str = "id") -> dict[str, Any]:
    """Create something that is deleted at the end of the step."""
    answer = client.show(f"{noun} create", *words)
    client.later(f"{noun} delete", str(answer[key]))
    return answer


def made_user(client: "Client", *words: str) -> dict[str, Any]:
    """A user with a known password."""
    return made(client, "user", fresh("user"), "--password", PASSWORD, *words)


def tokens_and_catalog(client: "Client") -> None:
    """Tokens, the catalog and what the cloud says of itself."""
    issued = client.show("token issue")
    assert issued["id"]
    assert issued["project_id"]
    user = client.show("user show", issued["user_id"])
    assert user["name"] == client.variables["OS_USERNAME"]
    client.do("token revoke", client.show("token issue")["id"])
    assert "identity" in column(client.rows("catalog list"), "Type")
    shown = client.show("catalog show", "identity")
    assert shown["type"] == "identity"
    versions = client.rows("versions show", "--service", "identity")
    assert any(row["Version"].startswith("3") for row in versions)
    configured = client.show("configuration show")
    assert configured["auth.project_name"] == client.variables["OS_PROJECT_NAME"]


def projects(client: "Client") -> None:
    """Projects, their trees and tags."""
    name = fresh("project")
    parent = made(client, "project", name, "--description", "first", "--tag", "blue")
    assert parent["enabled"] is True
    assert parent["tags"] == ["blue"]
    child = made(client, "project", fresh("child"), "--parent", parent["id"])
    assert child["parent_id"] == parent["id"]
    client.do("project set", parent["id"], "--description", "second", "--tag", "red")
    shown = client.show("project show", name)
    assert shown["description"] == "second"
    assert set(shown["tags"]) == {"blue", "red"}
    client.do("project set", parent["id"], "--remove-tag", "blue")
    tagged = client.rows("project list", "--tags", "red")
    assert column(tagged, "ID") == {parent["id"]}
    assert child["id"] in column(client.rows("project list", "--parent", parent["id"]), "ID")
    assert child["id"] in str(client.show("project show", parent["id"], "--children"))
    assert parent["id"] in str(client.show("project show", child["id"], "--parents"))
    client.do("project set", child["id"], "--disable")
    assert client.show("project show", child["id"])["enabled"] is False
    client.do("project delete", child["id"])
    assert child["id"] in client.refused("project show", child["id"])
    assert "409" in client.refused("project create", name)


def domains(client: "Client") -> None:
    """Domains, which must be disabled before they can go."""
    name = fresh("domain")
    domain = made(client, "domain", name, "--description", "first")
    assert domain["description"] == "first"
    client.do("domain set", domain["id"], "--description", "second")
    assert client.show("domain show", name)["description"] == "second"
    assert domain["id"] in column(client.rows("domain list"), "ID")
    user = client.show("user create", fresh("user"), "--domain", domain["id"])
    assert user["domain_id"] == domain["id"]
    assert "403" in client.refused("domain delete", domain["id"])
    client.do("domain set", domain["id"], "--disable")
    assert client.show("domain show", domain["id"])["enabled"] is False
    client.do("domain delete", domain["id"])
    assert user["id"] in client.refused("user show", user["id"])


def users_and_groups(client: "Client") -> None:
    """Users, groups and who belongs to which."""
    user = made_user(client, "--email", "one@example.com", "--description", "first")
    assert user["email"] == "one@example.com"
    client.do("user set", user["id"], "--email", "two@example.com", "--disable")
    shown = client.show("user show", user["name"])
    assert (shown["email"], shown["enabled"]) == ("two@example.com", False)
    client.do("user set", user["id"], "--enable")
    assert user["id"] in column(client.rows("user list"), "ID")
    group = made(client, "group", fresh("group"), "--description", "first")
    client.do("group set", group["id"], "--description", "second")
    assert client.show("group show", group["name"])["description"] == "second"
    assert group["id"] in column(client.rows("group list"), "ID")
    client.do("group add user", group["id"], user["id"])
    assert "in group" in client.do("group contains user", group["id"], user["id"])
    assert column(client.rows("user list", "--group", group["id"]), "ID") == {user["id"]}
    assert column(client.rows("group list", "--user", user["id"]), "ID") == {group["id"]}
    client.do("group remove user", group["id"], user["id"])
    assert client.rows("user list", "--group", group["id"]) == []
    client.do("group delete", group["id"])
    client.do("user delete", user["id"])
    assert user["id"] in client.refused("user show", user["id"])


def roles_and_assignments(client: "Client") -> None:
    """Roles, what they imply, and who has which where."""
    prior = made(client, "role", fresh("role"))
    implied = made(client, "role", fresh("role"))
    client.do("role set", prior["id"], "--description", "prior")
    assert client.show("role show", prior["name"])["description"] == "prior"
    assert {prior["id"], implied["id"]} <= column(client.rows("role list"), "ID")
    rule = client.show("implied role create", prior["id"], "--implied-role", implied["id"])
    assert (rule["prior_role"], rule["implies"]) == (prior["id"], implied["id"])
    assert implied["id"] in column(client.rows("implied role list"), "Implied Role ID")
    project = made(client, "project", fresh("project"))
    user = made_user(client)
    where = ("--user", user["id"], "--project", project["id"])
    client.do("role add", prior["id"], *where)
    direct = client.rows("role assignment list", *where)
    assert column(direct, "Role") == {prior["id"]}
    effective = client.rows("role assignment list", *where, "--effective")
    assert column(effective, "Role") == {prior["id"], implied["id"]}
    named = client.rows("role assignment list", *where, "--names")
    assert column(named, "Role") == {prior["name"]}
    client.do("implied role delete", prior["id"], "--implied-role", implied["id"])
    effective = client.rows("role assignment list", *where, "--effective")
    assert column(effective, "Role") == {prior["id"]}
    client.do("role remove", prior["id"], *where)
    assert client.rows("role assignment list", *where) == []
    client.do("role add", prior["id"], "--user", user["id"], "--system", "all")
    system = client.rows("role assignment list", "--user", user["id"], "--system", "all")
    assert column(system, "Role") == {prior["id"]}
    client.do("role remove", prior["id"], "--user", user["id"], "--system", "all")
    client.do("role delete", implied["id"])
    assert implied["id"] in client.refused("role show", implied["id"])


def regions_services_endpoints(client: "Client") -> None:
    """The catalog's parts."""
    region = made(client, "region", fresh("region"), "--description", "first", key="region")
    client.do("region set", region["region"], "--description", "second")
    assert client.show("region show", region["region"])["description"] == "second"
    assert region["region"] in column(client.rows("region list"), "Region")
    service = made(client, "service", fresh("type"), "--name", fresh("service"))
    client.do("service set", service["id"], "--description", "second")
    assert client.show("service show", service["name"])["description"] == "second"
    assert service["id"] in column(client.rows("service list"), "ID")
    words = (service["id"], "public", "http://example.com/v1", "--region", region["region"])
    endpoint = made(client, "endpoint", *words)
    client.do("endpoint set", endpoint["id"], "--url", "http://example.com/v2")
    assert client.show("endpoint show", endpoint["id"])["url"] == "http://example.com/v2"
    listed = client.rows("endpoint list", "--service", service["id"])
    assert column(listed, "ID") == {endpoint["id"]}
    project = made(client, "project", fresh("project"))
    client.do("endpoint add project", endpoint["id"], project["id"])
    filtered = client.rows("endpoint list", "--project", project["id"])
    assert endpoint["id"] in column(filtered, "ID")
    client.do("endpoint remove project", endpoint["id"], project["id"])
    filtered = client.rows("endpoint list", "--project", project["id"])
    assert endpoint["id"] not in column(filtered, "ID")
    endpoint_groups(client, service["id"], project["id"])
    client.do("endpoint delete", endpoint["id"])
    client.do("service delete", service["id"])
    client.do("region delete", region["region"])
    assert region["region"] in client.refused("region show", region["region"])


def endpoint_groups(client: "Client", service_id: str, project_id: str) -> None:
    """Groups of endpoints that a project sees."""
    filters = written(client, {"service_id": service_id})
    group = made(client, "endpoint group", fresh("endpoints"), filters)
    # The client sends null for whatever it is not told again.
    words = ("--name", group["name"], "--description", "second", "--filters", filters)
    client.do("endpoint group set", group["id"], *words)
    shown = client.show("endpoint group show", group["id"])
    assert shown["description"] == "second"
    assert shown["filters"] == {"service_id": service_id}
    assert group["id"] in column(client.rows("endpoint group list"), "ID")
    client.do("endpoint group add project", group["id"], project_id)
    listed = client.rows("endpoint group list", "--project", project_id)
    assert column(listed, "ID") == {group["id"]}
    client.do("endpoint group remove project", group["id"], project_id)
    assert client.rows("endpoint group list", "--project", project_id) == []
    client.do("endpoint group delete", group["id"])


def credentials(client: "Client") -> None:
    """Credentials of any type, and those of EC2."""
    user = made_user(client)
    project = made(client, "project", fresh("project"))
    words = ("--type", "cert", "--project", project["id"], user["id"], "first")
    credential = made(client, "credential", *words)
    assert (credential["blob"], credential["type"]) == ("first", "cert")
    words = ("--user", user["id"], "--type", "cert", "--data", "second")
    client.do("credential set", *words, "--project", project["id"], credential["id"])
    assert client.show("credential show", credential["id"])["blob"] == "second"
    listed = client.rows("credential list", "--user", user["id"])
    assert column(listed, "ID") == {credential["id"]}
    client.do("credential delete", credential["id"])
    assert client.rows("credential list", "--user", user["id"]) == []
    pair = client.show("ec2 credentials create")
    client.later("ec2 credentials delete", pair["access"])
    assert client.show("ec2 credentials show", pair["access"])["secret"] == pair["secret"]
    assert pair["access"] in column(client.rows("ec2 credentials list"), "Access")
    client.do("ec2 credentials delete", pair["access"])
    assert pair["access"] not in column(client.rows("ec2 credentials list"), "Access")


def application_credentials(client: "Client") -> None:
    """Credentials for programs, what they may call, and signing in with them."""
    name = fresh("application")
    path = f"/v3/users/{name}/*"
    rules = json.dumps([{"service": "identity", "method": "GET", "path": path}])
    words = (name, "--secret", "Secret-1a", "--role", "reader", "--access-rules", rules)
    created = made(client, "application credential", *words, key="ID")
    assert created["Secret"] == "Secret-1a"
    shown = client.show("application credential show", name)
    assert shown["ID"] == created["ID"]
    assert created["ID"] in column(client.rows("application credential list"), "ID")
    holder = client.as_account(
        OS_AUTH_TYPE="v3applicationcredential",
        OS_APPLICATION_CREDENTIAL_ID=created["ID"],
        OS_APPLICATION_CREDENTIAL_SECRET="Secret-1a",
    )
    assert holder.show("token issue")["project_id"] == created["Project ID"]
    listed = client.rows("access rule list")
    [rule] = [row for row in listed if row["Path"] == path]
    assert client.show("access rule show", rule["ID"])["Method"] == "GET"
    assert rule["ID"] in client.refused("access rule delete", rule["ID"])
    client.do("application credential delete", created["ID"])
    # Keystone says 404 of a credential that is gone; not telling whether it was there is as good.
    said = holder.refused("token issue")
    assert "HTTP 404" in said or "HTTP 401" in said
    client.do("access rule delete", rule["ID"])
    assert rule["ID"] not in column(client.rows("access rule list"), "ID")


def own_password(client: "Client") -> None:
    """A user changes the own password; the old one is dead at once."""
    project = made(client, "project", fresh("project"))
    user = made_user(client)
    client.do("role add", "member", "--user", user["id"], "--project", project["id"])
    account = {"OS_USERNAME": user["name"], "OS_PROJECT_ID": project["id"]}
    account["OS_USER_DOMAIN_ID"] = user["domain_id"]
    before = client.as_account(**account, OS_PASSWORD=PASSWORD)
    assert before.show("token issue")["user_id"] == user["id"]
    words = ("--password", NEW_PASSWORD, "--original-password", PASSWORD)
    before.do("user password set", *words)
    assert "401" in before.refused("token issue")
    after = client.as_account(**account, OS_PASSWORD=NEW_PASSWORD)
    assert after.show("token issue")["user_id"] == user["id"]
    assert "403" in after.refused("user list")


def trusts(client: "Client") -> None:
    """A user lends a role to another."""
    me = client.show("token issue")
    trustee = made_user(client)
    words = ("--project", me["project_id"], "--role", "member", me["user_id"], trustee["id"])
    trust = made(client, "trust", *words, "--impersonate")
    assert trust["is_impersonation"] is True
    assert trust["trustee_user_id"] == trustee["id"]
    assert "member" in str(client.show("trust show", trust["id"])["roles"])
    assert trust["id"] in column(client.rows("trust list"), "ID")
    client.do("trust delete", trust["id"])
    assert trust["id"] not in column(client.rows("trust list"), "ID")


def consumers(client: "Client") -> None:
    """OAuth 1.0a, from the consumer to the access token."""
    project = made(client, "project", fresh("project"))
    me = client.show("token issue")
    client.do("role add", "member", "--user", me["user_id"], "--project", project["id"])
    consumer = made(client, "consumer", "--description", "first")
    client.do("consumer set", consumer["id"], "--description", "second")
    assert client.show("consumer show", consumer["id"])["description"] == "second"
    assert consumer["id"] in column(client.rows("consumer list"), "ID")
    keys = ("--consumer-key", consumer["id"], "--consumer-secret", consumer["secret"])
    request = client.show("request token create", *keys, "--project", project["id"])
    words = ("--request-key", request["id"], "--role", "member")
    verifier = client.show("request token authorize", *words)["oauth_verifier"]
    words = ("--request-key", request["id"], "--request-secret", request["secret"])
    access = client.show("access token create", *keys, *words, "--verifier", verifier)
    assert access["id"]
    assert access["secret"]
    client.do("consumer delete", consumer["id"])
    assert consumer["id"] in client.refused("consumer show", consumer["id"])


def federation(client: "Client") -> None:
    """Those whom the cloud trusts, and who trusts the cloud."""
    provider = made(client, "identity provider", fresh("provider"), "--remote-id", fresh("remote"))
    client.do("identity provider set", provider["id"], "--description", "second", "--disable")
    shown = client.show("identity provider show", provider["id"])
    assert (shown["description"], shown["enabled"]) == ("second", False)
    assert provider["id"] in column(client.rows("identity provider list"), "ID")
    local = [{"user": {"name": "{0}"}}]
    rules = [{"local": local, "remote": [{"type": "REMOTE_USER"}]}]
    mapping = made(client, "mapping", fresh("mapping"), "--rules", written(client, rules))
    rules[0]["remote"] = [{"type": "OTHER_USER"}]
    client.do("mapping set", mapping["id"], "--rules", written(client, rules))
    assert "OTHER_USER" in str(client.show("mapping show", mapping["id"])["rules"])
    assert mapping["id"] in column(client.rows("mapping list"), "ID")
    there = ("--identity-provider", provider["id"])
    protocol = client.show(
        "federation protocol create", "mapped", *there, "--mapping", mapping["id"]
    )
    assert protocol["mapping"] == mapping["id"]
    other = made(client, "mapping", fresh("mapping"), "--rules", written(client, rules))
    # The client prints the answer and then exits with it as its status.
    client.attempt("federation protocol set", "mapped", *there, "--mapping", other["id"])
    assert client.show("federation protocol show", "mapped", *there)["mapping"] == other["id"]
    assert column(client.rows("federation protocol list", *there), "id") == {"mapped"}
    assert client.rows("federation project list")
    assert isinstance(client.rows("federation domain list"), list)
    client.do("federation protocol delete", "mapped", *there)
    client.do("mapping delete", other["id"])
    client.do("identity provider delete", provider["id"])
    service_providers(client)


def service_providers(client: "Client") -> None:
    """Clouds that accept our users."""
    urls = ("--auth-url", "http://example.com/auth", "--service-provider-url", "http://example.com")
    provider = made(client, "service provider", fresh("cloud"), *urls)
    client.do("service provider set", provider["id"], "--description", "second")
    assert client.show("service provider show", provider["id"])["description"] == "second"
    assert provider["id"] in column(client.rows("service provider list"), "ID")
    client.do("service provider delete", provider["id"])
    assert provider["id"] in client.refused("service provider show", provider["id"])


def policies(client: "Client") -> None:
    """Documents that other services keep here."""
    document = written(client, {"rule": "role:admin"})
    policy = made(client, "policy", document, "--type", "application/json")
    assert json.loads(policy["rules"]) == {"rule": "role:admin"}
    client.do("policy set", policy["id"], "--type", "text/plain")
    assert client.show("policy show", policy["id"])["type"] == "text/plain"
    assert policy["id"] in column(client.rows("policy list", "--long"), "ID")
    client.do("policy delete", policy["id"])
    assert policy["id"] in client.refused("policy show", policy["id"])


def limits(client: "Client") -> None:
    """Registered limits and those of a project."""
    service = made(client, "service", fresh("type"), "--name", fresh("service"))
    name = fresh("resource")
    words = ("--service", service["id"], "--default-limit", "10", name)
    registered = made(client, "registered limit", *words)
    assert registered["default_limit"] == 10
    client.do("registered limit set", registered["id"], "--default-limit", "20")
    shown = client.show("registered limit show", registered["id"])
    assert (shown["default_limit"], shown["resource_name"]) == (20, name)
    assert registered["id"] in column(client.rows("registered limit list"), "ID")
    project = made(client, "project", fresh("project"))
    words = ("--project", project["id"], "--service", service["id"], "--resource-limit", "5", name)
    limit = made(client, "limit", *words)
    client.do("limit set", limit["id"], "--resource-limit", "7")
    assert client.show("limit show", limit["id"])["resource_limit"] == 7
    listed = client.rows("limit list", "--project", project["id"])
    assert column(listed, "ID") == {limit["id"]}
    client.do("limit delete", limit["id"])
    assert client.rows("limit list", "--project", project["id"]) == []
    client.do("registered limit delete", registered["id"])
    assert registered["id"] in client.refused("registered limit show", registered["id"])


STEPS: tuple[Callable[["Client"], None], ...] = (
    tokens_and_catalog,
    projects,
    domains,
    users_and_groups,
    roles_and_assignments,
    regions_services_endpoints,
    credentials,
    application_credentials,
    own_password,
    trusts,
    consumers,
    federation,
    policies,
    limits,
)
