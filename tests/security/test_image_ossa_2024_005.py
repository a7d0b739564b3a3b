"""OSSA-2024-005, 2014-031, 2013-034: an operation on a part of an image is open to strangers."""

import pytest

from onestack import image
from onestack.core.api import Operation
from tests.cloud import Answer, Local
from tests.image import actors

# What needs a ticket instead of a token is in tests/image/test_tickets.py.
OF_AN_IMAGE = [
    each for each in image.SERVICE.operations
    if "{image_id}" in each.path and not each.is_public
]  # fmt: skip
READS = ("GET",)


def ask(who: actors.Actor, operation: Operation, made: dict[str, str]) -> Answer:
    """An operation on an image, its member and its tag."""
    path = operation.path.removeprefix("/v2")
    for name, value in (
        ("image_id", made["id"]),
        ("member_id", made["friend"]),
        ("tag_value", "t"),
    ):
        path = path.replace("{" + name + "}", value)
    post = {"method": {"name": "glance-direct"}} if path.endswith("/import") else {"member": "x"}
    bodies = {"POST": post, "PATCH": [], "PUT": {"status": "accepted"}}
    body = b"" if operation.streams else bodies.get(operation.method)
    return who.ask(operation.method, path, body, content_type=operation.content_types[0])


@pytest.mark.parametrize("operation", OF_AN_IMAGE, ids=lambda each: f"{each.method} {each.path}")
def test_strangers_and_readers(local: Local, operation: Operation) -> None:
    name = f"matrix-{OF_AN_IMAGE.index(operation)}"
    owner = actors.newcomer(local, f"{name}-owner")
    reader = actors.newcomer(local, f"{name}-reader", "reader", owner.project)
    friend = actors.newcomer(local, f"{name}-friend")
    stranger = actors.newcomer(local, f"{name}-stranger")
    nobody = actors.Actor(local, None)
    made = {**owner.make(tags=["t"], visibility="shared"), "friend": friend.project}
    owner.post(f"/images/{made['id']}/members", {"member": friend.project})
    before = owner.get(f"/images/{made['id']}")
    assert ask(nobody, operation, made).status == 401
    assert ask(stranger, operation, made).status == 404
    is_read = operation.method in READS and not operation.path.endswith("/file")
    assert ask(reader, operation, made).status == (200 if is_read else 403)
    is_friends = operation.path.endswith("{member_id}") and operation.method == "PUT"
    if operation.method not in READS and not is_friends:
        assert ask(friend, operation, made).status == 403
    assert owner.get(f"/images/{made['id']}") == before
    private = {**owner.make(tags=["t"], visibility="private"), "friend": friend.project}
    assert ask(friend, operation, private).status == 404
    public = {**actors.admin(local).make(tags=["t"], visibility="public"), "friend": friend.project}
    if operation.method not in READS:
        assert ask(stranger, operation, public).status == 403
