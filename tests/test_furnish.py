"""What a new cloud is furnished with, beside other clouds on the same host."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from onestack import identity
from onestack.furnish import Furnisher, Guest
from tests.cloud import As, Local

SHOW = "from onestack.furnish import _free_prefix; print(_free_prefix())"


def test_the_network_outside_is_none_that_this_host_is_the_gateway_of() -> None:
    assert free_prefix() == "172.24.4"
    assert free_prefix("172.24.4.1/24", "172.24.5.1/24", "172.24.7.1/24") == "172.24.6"


def test_a_cloud_is_furnished_once_whatever_its_passwords_are(fresh: Local, tmp_path: Path) -> None:
    token = identity.first_token(fresh.cloud, "admin")
    shown = As(fresh, token).get("/auth/tokens", x_subject_token=token)["token"]
    assert (shown["user"]["name"], shown["project"]["name"]) == ("admin", "admin")
    change = {"user": {"password": "another"}}
    As(fresh, token).patch(f"/users/{shown['user']['id']}", change)

    def networks() -> dict[str, Any]:
        mine = identity.first_token(fresh.cloud, "admin")
        listed = fresh.ask("GET", "/network/v2.0/networks", None, mine).body["networks"]
        return {each["name"]: each for each in listed}

    guest = Guest(tmp_path / "no disk", "nobody")
    token_of = partial(identity.first_token, fresh.cloud)

    def furnish() -> None:
        work = Furnisher(fresh.application, fresh.data, guest, token_of).furnish()
        fresh.loop.run_until_complete(work)

    (fresh.data / "run").mkdir()
    furnish()
    made = networks()
    assert made.keys() == {"public", "private"}
    assert made["private"]["project_id"] != shown["project"]["id"] == made["public"]["project_id"]
    assert len(json.loads((fresh.data / "furnished.json").read_text())) == 4
    furnish()
    assert networks() == made


def free_prefix(*addresses: str) -> str:
    """What a cloud takes on a host that has these addresses."""
    script = "".join(f"ip address add {each} dev lo && " for each in addresses)
    words = ("unshare", "--net", "sh", "-ec", f'ip link set lo up; {script}exec "$@"', "sh")
    done = subprocess.run(
        [*words, sys.executable, "-c", SHOW], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
