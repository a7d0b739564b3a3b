"""What the compute service says of itself."""

from tests.cloud import Local
from tests.compute import actors


def test_versions_are_told_to_everybody(local: Local) -> None:
    listed = local.ask("GET", "/compute/").body["versions"]
    assert [each["id"] for each in listed] == ["v2.0", "v2.1"]
    assert (listed[1]["version"], listed[1]["min_version"]) == ("2.104", "2.1")
    for each in listed:
        href = each["links"][0]["href"]
        path = href.removeprefix("http://127.0.0.1:5000")
        shown = local.ask("GET", path).body["version"]
        assert shown["id"] == each["id"]
        assert shown["links"][0] == each["links"][0]
        assert shown["media-types"]


def test_versions_are_negotiated(local: Local) -> None:
    admin = actors.admin(local)
    answer = admin.ask("GET", "/flavors", OpenStack_API_Version="compute 2.60")
    assert answer.headers["openstack-api-version"] == "compute 2.60"
    assert answer.headers["x-openstack-nova-api-version"] == "2.60"
    answer = admin.ask("GET", "/flavors", OpenStack_API_Version="compute 2.999")
    assert answer.status == 406
    message = answer.body["computeFault"]["message"]
    assert message == (
        "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104."
    )
    admin.at("2.x").get("/flavors", status=400)
    latest = admin.ask("GET", "/flavors", OpenStack_API_Version="compute latest")
    assert latest.headers["openstack-api-version"] == "compute 2.104"
    by_old_header = local.ask(
        "GET", "/compute/v2.1/flavors", None, admin.token, {"X-OpenStack-Nova-API-Version": "2.55"}
    )
    assert "description" in by_old_header.body["flavors"][0]


def test_extensions(local: Local) -> None:
    demo = actors.demo(local)
    listed = demo.get("/extensions")["extensions"]
    assert "os-keypairs" in [each["alias"] for each in listed]
    shown = demo.get("/extensions/os-services")["extension"]
    assert shown in listed
    assert shown.keys() == {"alias", "name", "description", "namespace", "updated", "links"}
    demo.get("/extensions/none", status=404)
