"""Users whom the web server in front knows, such as by Kerberos."""

from tests.cloud import Answer, Local
from tests.identity.federation.partners import authenticate, vouched
from tests.identity.stage import Stage


def sign_in(local: Local, **attributes: str) -> Answer:
    return authenticate(local, "external", {}, vouched(**attributes))


def test_the_front_end_names_a_user(trusting: Local) -> None:
    stage = Stage(trusting, "external")
    user = trusting.admin.get(f"/users/{stage.user()}")["user"]
    domain = trusting.admin.get(f"/domains/{stage.domain}")["domain"]["name"]
    answer = sign_in(trusting, Remote_User=user["name"], Remote_Domain=domain)
    assert answer.status == 201, answer
    token = answer.body["token"]
    assert (token["user"]["id"], token["methods"]) == (user["id"], ["external"])
    assert sign_in(trusting, Remote_User=user["name"]).status == 401
    trusting.admin.patch(f"/users/{user['id']}", {"user": {"enabled": False}})
    assert sign_in(trusting, Remote_User=user["name"], Remote_Domain=domain).status == 401


def test_without_a_domain_it_is_the_default_one(trusting: Local) -> None:
    answer = sign_in(trusting, Remote_User="demo")
    assert answer.body["token"]["user"]["name"] == "demo"
    assert answer.body["token"]["project"]["name"] == "demo"


def test_nobody_and_nowhere_are_refused(trusting: Local) -> None:
    assert sign_in(trusting).status == 401
    assert sign_in(trusting, Remote_User="nobody").status == 401
    assert sign_in(trusting, Remote_User="demo", Remote_Domain="nowhere").status == 401


def test_all_methods_must_mean_the_same_user(trusting: Local) -> None:
    demo = {"id": trusting.token("demo")}
    for name, status in (("demo", 201), ("admin", 401)):
        identity = {"methods": ["external", "token"], "external": {}, "token": demo}
        body = {"auth": {"identity": identity}}
        headers = vouched(Remote_User=name)
        answer = trusting.ask("POST", "/identity/v3/auth/tokens", body, headers=headers)
        assert answer.status == status
