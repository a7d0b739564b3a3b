"""OSSA-2013-033: a guest gets another's metadata by saying that it is the other."""

from tests.network.linux.asking import Asker, ask

FORGED = {
    "X-Forwarded-For": "10.0.0.6",
    "X-Instance-ID": "another",
    "X-Instance-ID-Signature": "0" * 64,
    "X-Tenant-ID": "another",
    "X_Instance_ID": "another",
    "Forwarded": "for=10.0.0.6",
}


def test_what_a_guest_says_of_itself_is_dropped(asker: Asker) -> None:
    asker.by_dhcp()
    assert ask(asker.one, **FORGED)[1] == b"i am device-10.0.0.5"
    _, _, said, _ = asker.control.asked[0]
    assert said["x-forwarded-for"] == "10.0.0.5"
    assert said["x-tenant-id"] == "project-1"
    assert "x_instance_id" not in said
    assert "forwarded" not in said
