"""OSSA-2019-006: the list of credentials shows one's own."""

from tests.cloud import Local
from tests.identity.programs import Person


def test_members_and_readers_see_their_own(local: Local) -> None:
    owner = Person(local, "ossa-2019-006")
    body = {"user_id": owner.id, "type": "secret", "blob": "1"}
    made = owner.me.post("/credentials", {"credential": body})["credential"]
    for role in ("reader", "member", "manager"):
        other = Person(local, f"ossa-2019-006-{role}", roles=(role,))
        own = {"user_id": other.id, "type": "secret", "blob": "2"}
        mine = other.me.post("/credentials", {"credential": own})["credential"]
        assert other.me.get("/credentials")["credentials"] == [mine]
        asked = other.me.get(f"/credentials?user_id={owner.id}")["credentials"]
        assert asked == []
        assert other.me.get("/credentials?type=secret")["credentials"] == [mine]
    assert owner.me.get("/credentials")["credentials"] == [made]
    assert made in local.admin.get("/credentials")["credentials"]
