"""Images are shared with projects, which accept or reject them; and tags."""

from tests.cloud import Local
from tests.image import actors


def test_a_project_accepts_an_image(local: Local) -> None:
    owner = actors.newcomer(local, "share-owner")
    friend = actors.newcomer(local, "share-friend")
    image = owner.made_active()
    path = f"/images/{image['id']}"
    members = f"{path}/members"
    friend.get(path, status=404)
    made = owner.post(members, {"member": friend.project})
    assert made == {
        "member_id": friend.project,
        "image_id": image["id"],
        "status": "pending",
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
        "schema": "/v2/schemas/member",
    }
    assert owner.get(members) == {"members": [made], "schema": "/v2/schemas/members"}
    # It is there for who knows its id, and in lists once it is accepted.
    assert friend.get(path)["id"] == image["id"]
    assert friend.data(image) == b"data"
    assert image["id"] not in friend.ids()
    assert friend.ids("visibility=shared&member_status=pending") == [image["id"]]
    mine = f"{members}/{friend.project}"
    owner.put(mine, {"status": "accepted"}, status=403)
    accepted = friend.put(mine, {"status": "accepted"}, status=200)
    assert accepted["status"] == "accepted"
    assert image["id"] in friend.ids()
    assert friend.get(mine) == accepted
    friend.put(mine, {"status": "rejected"}, status=200)
    assert image["id"] not in friend.ids()
    assert friend.ids("member_status=rejected&visibility=shared") == [image["id"]]
    assert friend.ids("member_status=all&visibility=shared") == [image["id"]]
    friend.put(mine, {"status": "perhaps"}, status=400)
    friend.delete(mine, status=403)
    friend.replace(image, status=403, name="x")
    friend.upload(image, b"x", status=403)
    owner.delete(mine)
    friend.get(path, status=404)
    friend.put(mine, {"status": "accepted"}, status=404)
    owner.get(mine, status=404)
    owner.delete(mine, status=404)


def test_members_see_only_themselves(local: Local) -> None:
    owner = actors.newcomer(local, "alone-owner")
    first = actors.newcomer(local, "alone-first")
    second = actors.newcomer(local, "alone-second")
    stranger = actors.newcomer(local, "alone-stranger")
    image = owner.make()
    members = f"/images/{image['id']}/members"
    for each in (first, second):
        owner.post(members, {"member": each.project})
    assert len(owner.get(members)["members"]) == 2
    assert [each["member_id"] for each in first.get(members)["members"]] == [first.project]
    first.get(f"{members}/{second.project}", status=404)
    first.put(f"{members}/{second.project}", {"status": "accepted"}, status=403)
    first.post(members, {"member": stranger.project}, status=403)
    stranger.get(members, status=404)
    stranger.put(f"{members}/{stranger.project}", {"status": "accepted"}, status=404)


def test_only_shared_images_have_members(local: Local) -> None:
    demo = actors.demo(local)
    for visibility in ("private", "community"):
        members = f"/images/{demo.make(visibility=visibility)['id']}/members"
        demo.get(members, status=403)
        demo.post(members, {"member": "x"}, status=403)
    members = f"/images/{demo.make()['id']}/members"
    demo.post(members, {"member": "x"})
    demo.post(members, {"member": "x"}, status=409)
    for body in ({}, {"member": ""}, {"member": 1}, {"member": "a\nb"}, {"member": "x" * 256}):
        demo.post(members, body, status=400)
    for number in range(127):
        demo.post(members, {"member": f"m{number}"})
    demo.post(members, {"member": "one-more"}, status=413)


def test_tags_come_and_go(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make(tags=["old"])
    path = f"/images/{image['id']}"
    demo.put(f"{path}/tags/new%20one")
    demo.put(f"{path}/tags/new%20one")
    assert demo.get(path)["tags"] == ["new one", "old"]
    demo.delete(f"{path}/tags/old")
    demo.delete(f"{path}/tags/old", status=404)
    assert demo.get(path)["tags"] == ["new one"]
    demo.put(f"{path}/tags/{'x' * 256}", status=400)
    demo.put(f"/images/{'0' * 32}/tags/x", status=404)
    for number in range(127):
        demo.put(f"{path}/tags/t{number}")
    demo.put(f"{path}/tags/one-more", status=413)
