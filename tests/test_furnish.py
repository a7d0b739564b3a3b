"""What a new cloud is furnished with, beside other clouds on the same host."""

import subprocess
import sys

SHOW = "from onestack.furnish import _free_prefix; print(_free_prefix())"


def test_the_network_outside_is_none_that_this_host_is_the_gateway_of() -> None:
    assert free_prefix() == "172.24.4"
    assert free_prefix("172.24.4.1/24", "172.24.5.1/24", "172.24.7.1/24") == "172.24.6"


def free_prefix(*addresses: str) -> str:
    """What a cloud takes on a host that has these addresses."""
    script = "".join(f"ip address add {each} dev lo && " for each in addresses)
    words = ("unshare", "--net", "sh", "-ec", f'ip link set lo up; {script}exec "$@"', "sh")
    done = subprocess.run(
        [*words, sys.executable, "-c", SHOW], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
