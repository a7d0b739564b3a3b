"""Two hosts: a control plane on PostgreSQL and RabbitMQ, and two agents that joined it with a line
each, every one of them in a network namespace of its own.

    python tests/acceptance/two_hosts.py --onestack .venv/bin/onestack

It needs root: it makes network namespaces and runs virtual machines.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.append(str(Path(__file__).resolve().parents[2]))

import environment
import first_light
import host_state
from first_light import Failed, World, expect, until
from openstack_client import REQUIREMENT

from startup import free_port
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ

CONTROL, HOSTS = "control", ("one", "two")
ADDRESSES = {"control": "10.99.0.1", "one": "10.99.0.11", "two": "10.99.0.12"}
PINGS, INTERVAL_S, LOST_MAX = 150, 0.2, 3


class Fleet(World):
    """A control plane in this namespace, and hosts in theirs."""

    def __init__(
        self, onestack: Path, openstack: Path, folder: Path, names: dict[str, str]
    ) -> None:
        super().__init__(onestack, openstack, folder)
        self.folder, self.names = folder, names
        self.gateway = ""  # the host that floating addresses are reached from

    def on(self, host: str, *words: str) -> str:
        """A command on a host."""
        return self.run("nsenter", f"--net=/run/netns/{self.names[host]}", "--", *words)

    def guest(self, name: str, script: str) -> str:
        words = (str(self.onestack), "ssh", "--data", str(self.data), name, "--", script)
        return self.on(self.gateway, *words)

    def admin(self, *words: str) -> str:
        return self.run(str(self.openstack), "--os-cloud", "onestack-admin", *words)


@contextmanager
def namespaces() -> Iterator[dict[str, str]]:
    """A namespace for the control plane and one for each host, joined by a bridge."""
    names = {each: f"onestack{os.getpid()}-{each}" for each in ADDRESSES}
    with ExitStack() as stack:
        for name in names.values():
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
            _ip("-n", name, "link", "set", "lo", "up")
        control = names[CONTROL]
        _ip("-n", control, "link", "add", "underlay", "type", "bridge")
        _ip("-n", control, "link", "set", "underlay", "up")
        _ip("-n", control, "address", "add", f"{ADDRESSES[CONTROL]}/24", "dev", "underlay")
        for host in HOSTS:
            peer = ("peer", "name", "eth0", "netns", names[host])
            _ip("-n", control, "link", "add", f"to-{host}", "type", "veth", *peer)
            _ip("-n", control, "link", "set", f"to-{host}", "master", "underlay", "up")
            _ip("-n", names[host], "address", "add", f"{ADDRESSES[host]}/24", "dev", "eth0")
            _ip("-n", names[host], "link", "set", "eth0", "up")
        yield names


def up(world: Fleet) -> None:
    words = ("--listen", ADDRESSES[CONTROL], "--port", str(free_port()), "--drivers", "none")
    world.cloud("up", *words)


def join(world: Fleet) -> None:
    line = world.cloud("join", "--print").split()
    for host in HOSTS:
        data = ("--data", str(world.folder / host))
        where = ("--host", host, "--tunnel-address", ADDRESSES[host], "--drivers", "real")
        world.on(host, str(world.onestack), *line[1:], *data, *where)
    listed = json.loads(world.admin("hypervisor", "list", "-f", "json"))
    expect(sorted(each["Hypervisor Hostname"] for each in listed) == sorted(HOSTS), listed)


def launch(world: Fleet) -> None:
    world.cloud("launch", "demo", "--no-wait")
    world.gateway = _router_host(world)
    deadline = time.monotonic() + first_light.WAIT_S
    while True:
        try:
            expect(world.guest("demo", "uname -n").strip() == "demo", "another name")
            return
        except Failed:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def guests_on_both(world: Fleet) -> None:
    """One guest reaches the other on the other host."""
    group = world.show("server", "group", "create", "apart", "--policy", "anti-affinity")
    for name in ("left", "right"):
        words = ("--image", "tiny", "--flavor", "m1.nano", "--network", "private", "--wait")
        more = ("--key-name", "onestack", "--security-group", "onestack-launch")
        world.show("server", "create", name, *words, *more, "--hint", f"group={group['id']}")
    hosts = {_host_of(world, name) for name in ("left", "right")}
    expect(hosts == set(HOSTS), hosts)
    address = world.show("floating", "ip", "create", "public")["floating_ip_address"]
    world.client("server", "add", "floating", "ip", "left", address)
    target = _fixed_address(world, "right")
    said = first_light.again(lambda: world.guest("left", f"ping -c 3 -w 30 {target}"), 90)
    expect(" 0% packet loss" in said, said)


def live_migration(world: Fleet) -> None:
    """A guest moves to the other host and back again while another one pings it."""
    for _ in HOSTS:
        _move_under_ping(world, "demo")


def _move_under_ping(world: Fleet, name: str) -> None:
    before, target = _host_of(world, name), _fixed_address(world, name)
    script = f"ping -i {INTERVAL_S} -c {PINGS} {target}"
    words = (str(world.onestack), "ssh", "--data", str(world.data), "left", "--", script)
    command = ["nsenter", f"--net=/run/netns/{world.names[world.gateway]}", "--", *words]
    pinging = subprocess.Popen(command, env=world.variables, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        world.admin("server", "migrate", "--live-migration", _id_of(world, name), "--wait")
        said, _ = pinging.communicate(timeout=PINGS * INTERVAL_S + 60)
    finally:
        pinging.kill()
    after = _host_of(world, name)
    expect(after != before, f"it is still on {before}")
    counts = re.search(r"(\d+) packets transmitted, (\d+) packets received", said)
    expect(counts is not None, said)
    lost = int(counts[1]) - int(counts[2]) if counts else PINGS
    print(f"        moved from {before} to {after}; {lost} of {PINGS} packets lost")
    expect(lost <= LOST_MAX, f"{lost} packets lost")


def volume_in_use(world: Fleet) -> None:
    world.show("volume", "create", "data", "--size", "1")
    until(world, ("volume", "show", "data"), "available")
    world.client("server", "add", "volume", "left", "data")
    until(world, ("volume", "show", "data"), "in-use")
    said = first_light.again(lambda: world.guest("left", first_light.FORMAT))
    expect(said.split()[0] == "kept", said)
    world.client("server", "remove", "volume", "left", "data")
    until(world, ("volume", "show", "data"), "available")


def hosts_leave(world: Fleet) -> None:
    for host in HOSTS:
        if (world.folder / host).exists():
            world.on(host, str(world.onestack), "down", "--data", str(world.folder / host))


def down(world: Fleet) -> None:
    world.cloud("down")


STEPS: tuple[Callable[[Fleet], None], ...] = (
    up, join, launch, guests_on_both, live_migration, volume_in_use, hosts_leave, down,
)  # fmt: skip
LAST = (hosts_leave, down)


def inside(arguments: Namespace) -> int:
    """Run all steps in the control plane's namespace."""
    programs = environment.installed(environment.cache_folder(), "openstack-client-10", REQUIREMENT)
    names = json.loads(arguments.names)
    passed = failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="two-hosts-") as folder,
        Postgres() as postgres,
        RabbitMQ(address=ADDRESSES[CONTROL]) as rabbit,
    ):
        world = Fleet(arguments.onestack.absolute(), programs / "openstack", Path(folder), names)
        world.variables |= {
            "ONESTACK_CLOUD_DATABASE": postgres.url(), "ONESTACK_CLOUD_BUS": rabbit.url,
        }  # fmt: skip
        for step in STEPS:
            if failed and step not in LAST:
                continue
            began = time.monotonic()
            try:
                step(world)
                passed += 1
                print(f"passed  {step.__name__}  {time.monotonic() - began:.1f} s", flush=True)
            except (Failed, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAILED  {step.__name__}: {error}", flush=True)
                if arguments.pause:
                    print(f"the cloud is in {folder}; press Enter to end it", flush=True)
                    sys.stdin.readline()
    print(json.dumps({"passed": passed, "failed": failed}))
    return 1 if failed else 0


def main() -> int:
    """Make the namespaces, run within, and see that nothing is left."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--onestack", type=Path, default=Path(".venv/bin/onestack"))
    parser.add_argument("--pause", action="store_true", help="wait after a failure")
    parser.add_argument("--names", help="used by the script itself, within its namespace")
    arguments = parser.parse_args()
    if arguments.names:
        return inside(arguments)
    before = host_state.look()
    with namespaces() as names:
        again = [sys.executable, *sys.argv, "--names", json.dumps(names)]
        counts = "{}"
        with subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{names[CONTROL]}", "--", *again], text=True,
            stdout=subprocess.PIPE,
        ) as steps:  # fmt: skip
            for line in steps.stdout or ():
                if line.startswith("{"):
                    counts = line
                else:
                    print(line, end="", flush=True)
    left = host_state.look().left_since(before)
    print(f"{'FAILED' if left else 'passed'}  nothing is left", *left, sep="\n        ")
    known = json.loads(counts)
    print(f"\n{known.get('passed', 0) + (not left)} passed, "
          f"{known.get('failed', 1) + bool(left)} failed")  # fmt: skip
    return 1 if steps.returncode or left else 0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _id_of(world: Fleet, name: str) -> str:
    return str(world.show("server", "show", name)["id"])


def _host_of(world: Fleet, name: str) -> str:
    said = world.admin("server", "show", _id_of(world, name), "-f", "json")
    return str(json.loads(said)["OS-EXT-SRV-ATTR:host"])


def _fixed_address(world: Fleet, name: str) -> str:
    addresses = world.show("server", "show", name)["addresses"]
    return str(addresses["private"][0])


def _router_host(world: Fleet) -> str:
    router = world.show("router", "show", "private")["id"]
    listed = json.loads(world.admin("network", "agent", "list", "--router", router, "-f", "json"))
    return str(listed[0]["Host"])


if __name__ == "__main__":
    sys.exit(main())
