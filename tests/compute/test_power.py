"""What makes guests run and stand still: pause, stop and what undoes them."""

import pytest

from tests.cloud import Local
from tests.compute.owners import Owner


@pytest.fixture
def owner(local: Local) -> Owner:
    return Owner(local)


@pytest.mark.parametrize(
    ("before", "name", "after", "power"),
    [
        ("active", "pause", "paused", "paused"),
        ("paused", "unpause", "active", "running"),
        ("active", "os-stop", "stopped", "shutdown"),
        ("error", "os-stop", "stopped", "shutdown"),
    ],
)
def test_verbs_of_power(owner: Owner, before: str, name: str, after: str, power: str) -> None:
    server = owner.boot(vm_state=before)
    owner.done(server, name)
    assert owner.state(server) == (after, None)
    assert owner.power(server) == power


@pytest.mark.parametrize(
    ("state", "name", "verb"),
    [
        ("stopped", "pause", "pause"),
        ("active", "unpause", "unpause"),
        ("stopped", "os-stop", "stop"),
        ("building", "os-stop", "stop"),
    ],
)
def test_the_wrong_state_is_a_conflict(owner: Owner, state: str, name: str, verb: str) -> None:
    server = owner.boot(vm_state=state)
    answer = owner.act(server, name)
    assert answer.status == 409
    assert answer.body["conflictingRequest"]["message"] == (
        f"Cannot '{verb}' instance {server} while it is in vm_state {state}"
    )
    assert owner.state(server) == (state, None)


def test_one_thing_at_a_time(owner: Owner) -> None:
    server = owner.boot()
    assert owner.act(server, "pause").status == 202
    assert owner.state(server) == ("active", "pausing")
    answer = owner.act(server, "os-stop")
    assert answer.status == 409
    assert "task_state pausing" in answer.body["conflictingRequest"]["message"]


def test_what_was_done_is_written_down(owner: Owner) -> None:
    server = owner.boot()
    owner.done(server, "pause")
    actions = owner.ask("GET", f"/servers/{server}/os-instance-actions").body["instanceActions"]
    assert [each["action"] for each in actions] == ["pause"]
    request = actions[0]["request_id"]
    one = owner.ask("GET", f"/servers/{server}/os-instance-actions/{request}").body
    events = one["instanceAction"]["events"]
    assert [(each["event"], each["result"]) for each in events] == [
        ("compute_pause_instance", "Success")
    ]


def test_others_do_not_find_the_server(owner: Owner, local: Local) -> None:
    server = owner.boot()
    stranger = Owner(local, "admin")
    foreign = stranger.boot()
    assert owner.act(foreign, "pause").status == 404
    assert stranger.act(server, "pause").status == 202


@pytest.mark.parametrize("name", ["pause", "os-stop", "unpause"])
def test_a_locked_server_is_left_alone(owner: Owner, local: Local, name: str) -> None:
    server = owner.boot()
    owner.done(server, "lock", {"locked_reason": "mine"})
    answer = owner.act(server, name)
    assert answer.status == 409
    assert answer.body["conflictingRequest"]["message"] == f"Instance {server} is locked"
    owner.done(server, "unlock")
    assert "locked" not in owner.act(server, name).content.decode()


def test_administrators_pass_a_lock(owner: Owner, local: Local) -> None:
    server = owner.boot()
    owner.done(server, "lock")
    Owner(local, "admin").done(server, "pause")
    assert owner.state(server) == ("paused", None)


def test_what_an_administrator_locked_only_they_unlock(owner: Owner, local: Local) -> None:
    server, admin = owner.boot(), Owner(local, "admin")
    admin.done(server, "lock")
    assert owner.act(server, "unlock").status == 403
    assert owner.act(server, "pause").status == 409
    admin.done(server, "unlock")
    owner.done(server, "pause")


def test_a_reason_for_a_lock_came_late(owner: Owner) -> None:
    server = owner.boot()
    assert owner.speaking("2.72").act(server, "lock", {"locked_reason": "x"}).status == 400
    assert owner.act(server, "lock", {"locked_reason": ""}).status == 400
    assert owner.act(server, "lock", {"locked_reason": "x"}).status == 202


def test_administrators_say_what_state_a_server_is_in(owner: Owner, local: Local) -> None:
    server, admin = owner.boot(), Owner(local, "admin")
    assert owner.act(server, "os-resetState", {"state": "error"}).status == 403
    assert admin.act(server, "os-resetState", {"state": "deleted"}).status == 400
    admin.done(server, "os-resetState", {"state": "error"})
    assert owner.state(server) == ("error", None)
    admin.done(server, "os-resetState", {"state": "active"})
    assert owner.state(server) == ("active", None)
