"""First light: a cloud of its own with real engines, a server reached by SSH, a volume in use, and
nothing left behind.

    python tests/acceptance/first_light.py --onestack .venv/bin/onestack

It needs root: it makes network devices and runs virtual machines.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import environment
import host_state
from openstack_client import REQUIREMENT

from startup import free_port

COMMAND_S = 400
WAIT_S = 120
PAUSE_S = 0.5
SIZE_GB = 1
FORMAT = (
    "set -e; D=$(ls /dev/vd? | tail -1); mkfs.ext4 -q $D; mkdir -p /mnt/v; mount $D /mnt/v; "
    "echo kept > /mnt/v/note; sync; cat /mnt/v/note; umount /mnt/v; echo $D"
)


class Failed(Exception):
    """A step did not do what it should."""


class World:
    """The cloud under test, and how it is asked."""

    def __init__(self, onestack: Path, openstack: Path, folder: Path) -> None:
        self.onestack, self.openstack = onestack, openstack
        self.data = folder / "cloud"
        self.home = folder / "home"
        self.home.mkdir()
        self.address = ""
        kept = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}
        self.variables = {**kept, "HOME": str(self.home)}

    def cloud(self, *words: str, limit_s: float = COMMAND_S) -> str:
        """A verb of the onestack command, about this cloud."""
        verb, *rest = words
        return self.run(str(self.onestack), verb, "--data", str(self.data), *rest, limit_s=limit_s)

    def client(self, *words: str) -> Any:
        """The stock client as the cloud's member; its answer as JSON."""
        said = self.run(str(self.openstack), "--os-cloud", "onestack", *words)
        return json.loads(said) if said.strip().startswith(("{", "[")) else said

    def show(self, *words: str) -> Any:
        return self.client(*words, "-f", "json")

    def guest(self, name: str, script: str) -> str:
        """A command on a server."""
        return self.cloud("ssh", name, "--", script)

    def run(self, *words: str, limit_s: float = COMMAND_S) -> str:
        variables = {**self.variables, "OS_CLIENT_CONFIG_FILE": str(self.data / "clouds.yaml")}
        done = subprocess.run(
            words, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=limit_s, check=False,
        )  # fmt: skip
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise Failed(f"{' '.join(words)[-300:]}\n{said}")
        return done.stdout


def expect(condition: bool, said: object) -> None:
    """Fail with what was seen instead."""
    if not condition:
        raise Failed(str(said)[:1500])


def up(world: World) -> None:
    world.cloud("up", "--port", str(free_port()))
    engines = json.loads(world.cloud("status", "-o", "json"))["engines"]
    states = {each["engine"]: each["state"] for each in engines}
    expect(set(states.values()) == {"real"}, f"not all engines are real: {states}")


def launch(world: World) -> None:
    facts = json.loads(world.cloud("launch", "demo", "-o", "json"))
    expect(facts["address"].count(".") == 3, facts)
    print("        " + ", ".join(f"{each['step']} {each['took_s']} s" for each in facts["steps"]))


def sign_in(world: World) -> None:
    said = world.guest("demo", "uname -a")
    expect(said.startswith("Linux demo"), said)


def create_with_the_client(world: World) -> None:
    words = ("server", "create", "second", "--image", "tiny", "--flavor", "m1.nano", "--wait")
    more = ("--network", "private", "--key-name", "onestack", "--security-group", "onestack-launch")
    server = world.show(*words, *more)
    expect(server["status"] == "ACTIVE", server)


def floating_address(world: World) -> None:
    made = world.show("floating", "ip", "create", "public")
    world.address = made["floating_ip_address"]
    world.client("server", "add", "floating", "ip", "second", world.address)
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            said = world.guest("second", "hostname")
            break
        except Failed:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)
    expect(said.strip() == "second", said)


def volume_in_use(world: World) -> None:
    world.show("volume", "create", "data", "--size", str(SIZE_GB))
    until(world, ("volume", "show", "data"), "available")
    world.client("server", "add", "volume", "second", "data")
    until(world, ("volume", "show", "data"), "in-use")
    said = again(lambda: world.guest("second", FORMAT))
    expect(said.split()[0] == "kept", said)
    world.client("server", "remove", "volume", "second", "data")
    until(world, ("volume", "show", "data"), "available")
    device = said.split()[-1]
    gone = world.guest("second", f"test -b {device} && echo there || echo gone")
    expect(gone.strip() == "gone", gone)


def other_guest_reads_it(world: World) -> None:
    """What was written is on the volume, whoever reads it."""
    world.client("server", "add", "volume", "demo", "data")
    until(world, ("volume", "show", "data"), "in-use")
    script = "D=$(ls /dev/vd? | tail -1); mkdir -p /mnt/v; mount $D /mnt/v && cat /mnt/v/note"
    said = again(lambda: world.guest("demo", f"{script} && umount /mnt/v"))
    expect(said.strip() == "kept", said)
    world.client("server", "remove", "volume", "demo", "data")
    until(world, ("volume", "show", "data"), "available")


def doctor(world: World) -> None:
    world.cloud("doctor")


def down(world: World) -> None:
    world.cloud("down")


STEPS: tuple[Callable[[World], None], ...] = (
    up, launch, sign_in, create_with_the_client, floating_address, volume_in_use,
    other_guest_reads_it, doctor, down,
)  # fmt: skip


def until(world: World, words: tuple[str, ...], status: str) -> None:
    """Wait for a resource's status."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        seen = world.show(*words)["status"]
        if seen == status:
            return
        expect("error" not in seen.lower(), f"{' '.join(words)}: {seen}")
        time.sleep(PAUSE_S)
    raise Failed(f"{' '.join(words)}: not {status} after {WAIT_S} s")


def again(action: Callable[[], str], patience_s: float = 15) -> str:
    """A hot-plugged device needs a moment to appear in the guest."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return action()
        except Failed:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def main() -> int:
    """Run all steps in order; after the first failure only the last ones, which clean up."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--onestack", type=Path, default=Path(".venv/bin/onestack"))
    parser.add_argument("--keep-going", action="store_true", help="leave the cloud when it fails")
    arguments = parser.parse_args()
    programs = environment.installed(environment.cache_folder(), "openstack-client-10", REQUIREMENT)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="first-light-") as folder:
        before = host_state.look([Path(folder)])
        world = World(arguments.onestack.absolute(), programs / "openstack", Path(folder))
        for step in STEPS:
            if failed and (arguments.keep_going or step is not down):
                continue
            began = time.monotonic()
            try:
                step(world)
                passed += 1
                print(f"passed  {step.__name__}  {time.monotonic() - began:.1f} s", flush=True)
            except (Failed, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAILED  {step.__name__}: {error}", flush=True)
        if failed and arguments.keep_going:
            input(f"the cloud is in {world.data}; press Enter to end it")
            world.cloud("down")
        left = host_state.look([Path(folder)]).left_since(before)
        print(f"{'FAILED' if left else 'passed'}  nothing is left", *left, sep="\n        ")
        passed, failed = passed + (not left), failed + bool(left)
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
