"""Access rules."""

from tests.cloud import Local
from tests.identity.programs import Person

RULE = {"service": "monitoring", "method": "GET", "path": "/v2.1/servers/*/ips"}


def test_a_rule_outlives_the_credential_that_brought_it(local: Local) -> None:
    person = Person(local, "rule-owner")
    program = person.program("watcher", access_rules=[RULE])
    rules = f"/users/{person.id}/access_rules"
    listed = person.me.get(rules)["access_rules"]
    assert len(listed) == 1
    shown = person.me.get(f"{rules}/{listed[0]['id']}")["access_rule"]
    assert shown == listed[0]
    assert {name: shown[name] for name in RULE} == RULE
    person.me.delete(f"{rules}/{shown['id']}", status=403)
    person.me.delete(f"/users/{person.id}/application_credentials/{program['id']}")
    assert person.me.get(rules)["access_rules"] == listed
    person.me.delete(f"{rules}/{shown['id']}")
    person.me.get(f"{rules}/{shown['id']}", status=404)
    person.me.delete(f"{rules}/{shown['id']}", status=404)


def test_equal_rules_are_one_and_may_be_named_by_id(local: Local) -> None:
    person = Person(local, "rule-again")
    first = person.program("first", access_rules=[RULE])["access_rules"][0]
    second = person.program("second", access_rules=[RULE])["access_rules"][0]
    third = person.program("third", access_rules=[{"id": first["id"]}])["access_rules"][0]
    assert first == second == third
    assert len(person.me.get(f"/users/{person.id}/access_rules")["access_rules"]) == 1


def test_rules_are_their_owner_s(local: Local) -> None:
    person, other = Person(local, "rule-mine"), Person(local, "rule-theirs")
    rule = person.program("mine", access_rules=[RULE])["access_rules"][0]
    path = f"/users/{person.id}/access_rules/{rule['id']}"
    other.me.get(path, status=403)
    other.me.get(f"/users/{person.id}/access_rules", status=403)
    other.me.delete(path, status=403)
    other.me.get(f"/users/{other.id}/access_rules/{rule['id']}", status=404)
    stolen = {"name": "stolen", "access_rules": [{"id": rule["id"]}]}
    body = {"application_credential": stolen}
    other.me.post(f"/users/{other.id}/application_credentials", body, status=404)
    assert local.admin.get(path)["access_rule"]["service"] == "monitoring"


def test_a_user_goes_with_its_rules(local: Local) -> None:
    person = Person(local, "rule-gone")
    person.program("gone", access_rules=[RULE])
    local.admin.delete(f"/users/{person.id}")
    local.admin.get(f"/users/{person.id}/access_rules", status=404)
