"""OSSA-2016-006, 2015-019, 2011-001, 2014-041, 2015-002, 2025-001: locations and replaced data."""

from tests.cloud import Local
from tests.image import actors

LOCATIONS = ("file:///etc/shadow", "../../etc/shadow", "swift+config://x", "http://127.0.0.1/")


def test_nobody_says_where_data_is(local: Local) -> None:
    demo, admin = actors.demo(local), actors.admin(local)
    image = demo.make()
    for url in LOCATIONS:
        value = {"url": url, "metadata": {}}
        for who in (demo, admin):
            for change in (
                {"op": "add", "path": "/locations/-", "value": value},
                {"op": "replace", "path": "/locations", "value": [value]},
                {"op": "remove", "path": "/locations/0"},
                {"op": "add", "path": "/direct_url", "value": url},
            ):
                who.patch(image, change, status=403)
            assert who.ask("POST", "/images", {"locations": [value]}).status == 403
    shown = demo.get(f"/images/{image['id']}")
    assert shown["status"] == "queued"
    assert not {"locations", "direct_url"} & shown.keys()


def test_active_data_is_never_replaced(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.made_active(b"first")
    demo.patch(image, {"op": "replace", "path": "/status", "value": "queued"}, status=403)
    demo.upload(image, b"second", status=409)
    demo.post(f"/images/{image['id']}/actions/deactivate", status=204)
    demo.upload(image, b"second", status=409)
    demo.post(f"/images/{image['id']}/actions/reactivate", status=204)
    assert demo.data(image) == b"first"
    assert demo.get(f"/images/{image['id']}")["os_hash_value"] == image["os_hash_value"]
