"""Two hosts: a control plane on PostgreSQL and RabbitMQ, and two agents that joined it with a line
each, every one of them in a network namespace of its own.

    python tests/acceptance/two_hosts.py --onestack .venv/bin/onestack

It needs root: it makes network namespaces and runs virtual machines.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, update_wrapper
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.append(str(Path(__file__).resolve().parents[2]))

import environment
import first_light
import host_state
from first_light import Failed, World, expect, until
from openstack_client import REQUIREMENT
from tempest import REQUIREMENT as TEMPEST
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from startup import free_port
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ

CONTROL, HOSTS = "control", ("one", "two")
ADDRESSES = {"control": "10.99.0.1", "one": "10.99.0.11", "two": "10.99.0.12"}
PINGS, INTERVAL_S, LOST_MAX = 150, 0.2, 3
OURS = ("lo:", "eth", "br-ex:", "underlay", "outside")  # devices that this script makes
MOVE_S = 5  # a guest that writes twice a second has written as often while it moved once
MOUNT = (
    "set -e; mkdir -p /mnt/v; mount $(ls /dev/vd? | tail -1) /mnt/v; "
    "(until [ -e /tmp/stop ]; do date >> /mnt/v/moments; sync; sleep 0.5; done) > /dev/null 2>&1 &"
)


class Fleet(World):
    """A control plane in this namespace, and hosts in theirs."""

    def __init__(
        self, onestack: Path, openstack: Path, folder: Path, names: dict[str, str]
    ) -> None:
        super().__init__(onestack, openstack, folder)
        self.folder, self.names = folder, names
        self.ticket = ""

    def on(self, host: str, *words: str) -> str:
        """A command on a host."""
        return self.run(*_inside(self.names[host], *words))

    def admin(self, *words: str) -> str:
        return self.run(str(self.openstack), "--os-cloud", "onestack-admin", *words)

    def asked(self, *words: str) -> Any:
        """What the client says to the administrator, as JSON."""
        return json.loads(self.admin(*words, "-f", "json"))

    def host_of(self, name: str) -> str:
        return str(self.asked("server", "show", self.id_of(name))["OS-EXT-SRV-ATTR:host"])

    def id_of(self, name: str) -> str:
        return str(self.show("server", "show", name)["id"])

    def address_of(self, name: str) -> str:
        """Its address on its own network."""
        return str(self.show("server", "show", name)["addresses"]["private"][0])


@contextmanager
def namespaces() -> Iterator[dict[str, str]]:
    """A namespace for the control plane and one for each host, joined by two bridges: one between
    hosts, and one that is the world outside."""
    names = {each: f"onestack{os.getpid()}-{each}" for each in ADDRESSES}
    with ExitStack() as stack:
        for name in names.values():
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
            _ip("-n", name, "link", "set", "lo", "up")
        control = names[CONTROL]
        for bridge in ("underlay", "outside"):
            _ip("-n", control, "link", "add", bridge, "type", "bridge")
            _ip("-n", control, "link", "set", bridge, "up")
        _ip("-n", control, "address", "add", f"{ADDRESSES[CONTROL]}/24", "dev", "underlay")
        for host in HOSTS:
            for bridge, device in (("underlay", "eth0"), ("outside", "eth1")):
                end, peer = f"{bridge}-{host}", ("peer", "name", device, "netns", names[host])
                _ip("-n", control, "link", "add", end, "type", "veth", *peer)
                _ip("-n", control, "link", "set", end, "master", bridge, "up")
                _ip("-n", names[host], "link", "set", device, "up")
            _ip("-n", names[host], "address", "add", f"{ADDRESSES[host]}/24", "dev", "eth0")
            _ip("-n", names[host], "link", "add", "br-ex", "type", "bridge")
            _ip("-n", names[host], "link", "set", "eth1", "master", "br-ex")
            _ip("-n", names[host], "link", "set", "br-ex", "up")
        yield names


def up(world: Fleet) -> None:
    words = ("--listen", ADDRESSES[CONTROL], "--port", str(free_port()), "--drivers", "none")
    world.cloud("up", *words)
    public = world.asked("subnet", "show", "public")
    address = f"{public['gateway_ip']}/{public['cidr'].partition('/')[2]}"
    _ip("address", "add", address, "dev", "outside")


def join(world: Fleet) -> None:
    (world.ticket,) = world.cloud("join", "--print").split()[2:]
    for host in HOSTS:
        _joins(world, host)
    listed = world.asked("hypervisor", "list")
    expect(sorted(each["Hypervisor Hostname"] for each in listed) == sorted(HOSTS), listed)


def launch(world: Fleet) -> None:
    world.cloud("launch", "demo")


def a_guest_on_each(world: Fleet) -> None:
    group = world.show("server", "group", "create", "apart", "--policy", "anti-affinity")
    for name in ("second", "third"):
        words = ("--image", "tiny", "--flavor", "m1.nano", "--network", "private", "--wait")
        more = ("--key-name", "onestack", "--security-group", "onestack-launch")
        world.show("server", "create", name, *words, *more, "--hint", f"group={group['id']}")
    hosts = {world.host_of(name) for name in ("second", "third")}
    expect(hosts == set(HOSTS), hosts)


def guests_talk(world: Fleet) -> None:
    """One guest reaches the other on the other host."""
    target = world.address_of("third")
    said = first_light.again(lambda: world.guest("second", f"ping -c 3 -w 30 {target}"), 90)
    expect(" 0% packet loss" in said, said)


def live_migration(world: Fleet) -> None:
    """A guest that writes to a volume moves to the other host and back again, under a ping."""
    world.client("server", "add", "volume", "demo", "data")
    until(world, ("volume", "show", "data"), "in-use")
    first_light.again(lambda: world.guest("demo", MOUNT))
    for _ in HOSTS:
        _moves_under_ping(world, "demo")
    script = "touch /tmp/stop; sleep 2; wc -l < /mnt/v/moments; cat /mnt/v/note; umount /mnt/v"
    said = world.guest("demo", script)
    lines, note = said.split()
    expect(int(lines) > len(HOSTS) * MOVE_S and note == "kept", said)
    world.client("server", "remove", "volume", "demo", "data")
    until(world, ("volume", "show", "data"), "available")


def consoles(world: Fleet) -> None:
    """A screen and a serial line open for one visit, whichever host their guest is on."""
    for name in ("second", "third"):
        expect("login:" in world.cloud("console", name), "nothing on the console")
        parts = urlsplit(world.cloud("console", name, "--url").strip())
        path = unquote(parse_qs(parts.query)["path"][0])
        screen = f"ws://{parts.netloc}/{path}"
        expect(_read(screen).startswith(b"RFB "), "no screen")
        shown = world.show("console", "url", "show", "--serial", name)
        expect(_read(shown["url"], b"\r") != b"", "no serial line")
        try:
            _read(screen)
        except InvalidStatus:
            continue
        raise Failed("a console opened twice")


def cold_migration(world: Fleet) -> None:
    before, server = world.host_of("demo"), world.id_of("demo")
    world.admin("server", "migrate", server, "--wait")
    until(world, ("server", "show", "demo"), "VERIFY_RESIZE")
    after = world.host_of("demo")
    expect(after != before, f"it is still on {before}")
    _answers(world, "demo")
    world.client("server", "migration", "confirm", "demo")
    until(world, ("server", "show", "demo"), "ACTIVE")


def resize(world: Fleet) -> None:
    """A guest gets more memory, perhaps on the other host, and is taken back."""
    before = world.host_of("demo")
    world.client("server", "resize", "--flavor", "m1.micro", "--wait", "demo")
    until(world, ("server", "show", "demo"), "VERIFY_RESIZE")
    _answers(world, "demo")
    world.client("server", "resize", "revert", "demo")
    until(world, ("server", "show", "demo"), "ACTIVE")
    expect(world.host_of("demo") == before, "it did not come back")
    _answers(world, "demo")


def evacuation(world: Fleet) -> None:
    """A host dies: its guest is made anew on the other one. When the host is back, so are the
    guests that nobody took from it, and nothing is left of the one that was."""
    dead, other = sorted(HOSTS, key=lambda each: each == _router_host(world))
    server = world.id_of("demo")
    if world.host_of("demo") != dead:
        world.admin("server", "migrate", "--live-migration", "--host", dead,
                    "--os-compute-api-version", "2.30", server, "--wait")  # fmt: skip
    expect(world.host_of("demo") == dead, "it did not move")
    (stays,) = (each for each in ("second", "third") if world.host_of(each) == dead)
    for each in _processes(world.names[dead]):
        os.kill(each, signal.SIGKILL)
    world.admin("compute", "service", "set", "--down", dead, "nova-compute")
    world.admin("server", "evacuate", server)  # its --wait knows no end: it looks for `active`
    until(world, ("server", "show", "demo"), "ACTIVE")
    expect(world.host_of("demo") == other, "it was not made anew")
    (world.data / "known_hosts" / server).unlink(missing_ok=True)
    _answers(world, "demo")
    _joins(world, dead)
    world.admin("compute", "service", "set", "--up", dead, "nova-compute")
    target = world.address_of(stays)
    first_light.again(lambda: world.guest("demo", f"ping -c 1 -w 5 {target}"), first_light.WAIT_S)


def deleted_on_its_way(world: Fleet) -> None:
    """A guest that is deleted while it moves is on neither host (OSSA-2015-017)."""
    server = world.id_of("demo")
    world.admin("server", "migrate", "--live-migration", server)
    time.sleep(1)
    world.client("server", "delete", "--wait", server)
    first_light.again(lambda: _is_gone(world, server), first_light.WAIT_S)


def tempest(world: Fleet, regex: str) -> None:
    """Tests of Tempest's; what they say is shown."""
    script = Path(__file__).with_name("tempest.py")
    words = (sys.executable, str(script), "--cloud", "onestack-admin", "--regex", regex)
    settings = str(world.data / "clouds.yaml")
    done = subprocess.run(
        [*words, "--cache", str(environment.cache_folder()), "--concurrency", "1"],
        env={**world.variables, "OS_CLIENT_CONFIG_FILE": settings}, check=False,
    )  # fmt: skip
    expect(done.returncode == 0, "Tempest failed")


def doctor(world: Fleet) -> None:
    first_light.again(lambda: world.cloud("doctor"), first_light.WAIT_S)


def hosts_leave(world: Fleet) -> None:
    for host in HOSTS:
        if (world.folder / host).exists():
            world.on(host, str(world.onestack), "down", "--data", str(world.folder / host))


def down(world: Fleet) -> None:
    world.cloud("down")


STEPS: tuple[Callable[[Fleet], None], ...] = (
    up, join, launch, first_light.sign_in, a_guest_on_each, first_light.floating_address,
    guests_talk, first_light.volume_in_use, first_light.other_guest_reads_it, live_migration,
    consoles, cold_migration, resize, evacuation, deleted_on_its_way, doctor, hosts_leave, down,
)  # fmt: skip
LAST = (hosts_leave, down)


def steps_of(arguments: Namespace) -> tuple[Callable[[Fleet], None], ...]:
    """What is done: our own steps, or Tempest's tests."""
    if not arguments.tempest:
        return STEPS
    chosen = partial(tempest, regex=arguments.tempest)
    update_wrapper(chosen, tempest)
    return (up, join, chosen, *LAST)


def inside(arguments: Namespace) -> int:
    """Run all steps in the control plane's namespace."""
    programs = _client()
    names, folder = json.loads(arguments.names), arguments.folder
    passed = failed = 0
    with Postgres() as postgres, RabbitMQ(address=ADDRESSES[CONTROL]) as rabbit:
        world = Fleet(arguments.onestack.absolute(), programs / "openstack", folder, names)
        world.variables |= {
            "ONESTACK_CLOUD_DATABASE": postgres.url(), "ONESTACK_CLOUD_BUS": rabbit.url,
        }  # fmt: skip
        for step in steps_of(arguments):
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
    parser.add_argument("--tempest", metavar="REGEX", help="tests of Tempest's, instead of ours")
    parser.add_argument("--names", help="used by the script itself, within its namespace")
    parser.add_argument("--folder", type=Path, help="the same")
    arguments = parser.parse_args()
    if arguments.names:
        return inside(arguments)
    # The namespaces reach nobody: what they need of PyPI is fetched before.
    _client()
    if arguments.tempest:
        environment.installed(environment.cache_folder(), "tempest-47", TEMPEST)
    began, counts = time.monotonic(), {"passed": 0, "failed": 1}
    with (
        tempfile.TemporaryDirectory(prefix="two-hosts-") as folder, namespaces() as names
    ):  # fmt: skip
        given = ("--names", json.dumps(names), "--folder", folder)
        again = _inside(names[CONTROL], sys.executable, *sys.argv, *given)
        with subprocess.Popen(again, text=True, stdout=subprocess.PIPE) as steps:
            for line in steps.stdout or ():
                if line.startswith('{"passed"'):
                    counts = json.loads(line)
                else:
                    print(line, end="", flush=True)
        left = _left(names, Path(folder))
    print(f"{'FAILED' if left else 'passed'}  nothing is left", *left, sep="\n        ")
    print(f"\n{counts['passed'] + (not left)} passed, {counts['failed'] + bool(left)} failed, "
          f"in {time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if steps.returncode or left else 0


def _client() -> Path:
    """The folder of the `openstack` command."""
    return environment.installed(environment.cache_folder(), "openstack-client-10", REQUIREMENT)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _inside(namespace: str, *words: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{namespace}", "--", *words)


def _processes(namespace: str) -> list[int]:
    said = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True
    )
    return [int(each) for each in said.stdout.split()]


def _left(names: dict[str, str], folder: Path) -> list[str]:
    """What is left of the cloud: in the namespaces, where all was made for it, and on the machine,
    where others may be at work, by its names. A data folder's mark is in all names of its agent."""
    marks = [sha256(str((folder / each).resolve()).encode()).hexdigest()[:4] for each in HOSTS]
    ours = (str(folder), *(f"onestack-{mark}-" for mark in marks))
    state = host_state.look([folder]).kinds
    found = [
        f"{kind}: {name}" for kind, its in state.items() for name in sorted(its)
        if kind != "process" and any(each in name for each in ours)
    ]  # fmt: skip
    for where, namespace in names.items():
        found += [f"process on {where}: {each}" for each in _processes(namespace)]
        for asked, made in (
            (("ip", "-o", "link"), OURS), (("nft", "list", "tables"), ()),
        ):  # fmt: skip
            said = subprocess.run(
                _inside(namespace, *asked), capture_output=True, text=True, check=True
            ).stdout
            found += [
                f"on {where}: {line[:100]}" for line in said.splitlines()
                if not any(f" {each}" in line for each in made)
            ]  # fmt: skip
    return found


def _joins(world: Fleet, host: str) -> None:
    data = ("--data", str(world.folder / host))
    where = ("--host", host, "--tunnel-address", ADDRESSES[host], "--drivers", "real")
    outside = ("--physical-network", "public:br-ex")
    world.on(host, str(world.onestack), "join", world.ticket, *data, *where, *outside)


def _is_gone(world: Fleet, server: str) -> str:
    """Fails as long as a host has anything of a server."""
    files = [str(path) for host in HOSTS for path in (world.folder / host).rglob(f"*{server}*")]
    running = [each for host in HOSTS for each in _processes(world.names[host])
               if server.encode() in Path(f"/proc/{each}/cmdline").read_bytes()]  # fmt: skip
    expect(not files and not running, f"left: {files}, {running}")
    return ""


def _answers(world: Fleet, name: str) -> None:
    first_light.again(lambda: world.guest(name, "true"), first_light.WAIT_S)


def _moves_under_ping(world: Fleet, name: str) -> None:
    before, target = world.host_of(name), world.address_of(name)
    script = f"ping -i {INTERVAL_S} -c {PINGS} {target}"
    command = (str(world.onestack), "ssh", "--data", str(world.data), "second", "--", script)
    pinging = subprocess.Popen(command, env=world.variables, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        world.admin("server", "migrate", "--live-migration", world.id_of(name), "--wait")
        said, _ = pinging.communicate(timeout=PINGS * INTERVAL_S + 60)
    finally:
        pinging.kill()
    after = world.host_of(name)
    expect(after != before, f"it is still on {before}")
    counts = re.search(r"(\d+) packets transmitted, (\d+) packets received", said)
    expect(counts is not None, said)
    lost = int(counts[1]) - int(counts[2]) if counts else PINGS
    print(f"        moved from {before} to {after}; {lost} of {PINGS} packets lost")
    expect(lost <= LOST_MAX, f"{lost} packets lost")


def _read(url: str, first: bytes = b"") -> bytes:
    """What a console says, when it is told something."""
    with connect(url, subprotocols=[Subprotocol("binary")]) as socket:
        if first:
            socket.send(first)
        said = socket.recv(timeout=first_light.WAIT_S)
        return said if isinstance(said, bytes) else said.encode()


def _router_host(world: Fleet) -> str:
    router = world.show("router", "show", "private")["id"]
    return str(world.asked("network", "agent", "list", "--router", router)[0]["Host"])


if __name__ == "__main__":
    sys.exit(main())
