"""Chaos: while clients do things to a real cloud, its processes are killed, again and again. In
the end database, hypervisor, network and storage agree, and no guest noticed.

    python tests/acceptance/chaos.py --onestack .venv/bin/onestack

Control plane (on PostgreSQL and RabbitMQ) and agent are processes of their own, killed one without
the other; with --embedded the cloud is one process on SQLite. It needs root, and runs in a network
namespace of its own.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random, SystemRandom
from threading import Thread
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.append(str(Path(__file__).resolve().parents[2]))

import chaos_clients
import host_state
from chaos_clients import Api, Client, Facts, Tally
from first_light import Failed, World, expect

from cloud import account_from_openrc, wait_until_up
from startup import free_port
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ

CLIENTS = 4
SPREAD_S, DOWN_S = 4.0, 1.0  # at most: from an operation to a kill, and from that to a start
START_S = 60.0
SETTLE_S = 300.0
PAUSE_S = 0.5
PING_S, PATIENCE_S = 0.5, 60
BOTH = 0.1  # how often both parts die at once
HOST = "one"
PLENTY = 1000

# What a project has, in an order in which it can be deleted: service, path, list.
REMOVABLE = (
    ("compute", "/servers", "servers"),
    ("image", "/images?visibility=private", "images"),
    ("volume", "/snapshots", "snapshots"),
    ("volume", "/volumes", "volumes"),
    ("network", "/floatingips", "floatingips"),
    ("network", "/routers", "routers"),
    ("network", "/ports", "ports"),
    ("network", "/networks", "networks"),
)


class Part:
    """A process of the cloud, and how it is started again."""

    def __init__(self, name: str, command: list[str], variables: dict[str, str], pid: int) -> None:
        self.name, self.pid = name, pid
        self._command, self._variables = command, variables
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def start(self, log: Path) -> None:
        """Start it as a service manager does: without a look at what it says."""
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, env=self._variables, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid


class Chaos(World):
    """The cloud under test, its parts, and what became of them."""

    def __init__(self, arguments: Namespace, folder: Path) -> None:
        super().__init__(arguments.onestack.absolute(), Path("openstack"), folder)
        self.arguments, self.folder = arguments, folder
        self.agent = self.data if arguments.embedded else folder / "host"
        self.port = free_port()
        self.parts: list[Part] = []
        self.kills: Counter[str] = Counter()
        self.tally = Tally(arguments.operations, folder / "journal")
        self.pinging: subprocess.Popen[bytes] | None = None
        self.pinging_since = 0.0
        self.boot = ""

    def api(self, openrc: str = "openrc") -> Api:
        return Api(account_from_openrc(self.data / openrc), self.tally)

    def doctor(self) -> list[str]:
        """What the doctor finds wrong."""
        words = (str(self.onestack), "doctor", "--data", str(self.data), "-o", "json")
        done = subprocess.run(
            words, env=self.variables, capture_output=True, text=True, check=False
        )
        found = json.loads(done.stdout or "[]")
        expect(bool(found), done.stderr)
        return [f"{each['check']}: {each['finding']}" for each in found if each["state"] == "fail"]


def up(world: Chaos) -> None:
    """Start the parts with the usual commands."""
    where = ("--listen", "127.0.0.1", "--port", str(world.port))
    serve = [str(world.onestack), "serve", "--data"]
    drivers = "real" if world.arguments.embedded else "none"
    said = world.cloud("up", *where, "--drivers", drivers, "-o", "json")
    control = {**world.variables, "ONESTACK_AGENT_DRIVERS": drivers}
    command = [*serve, str(world.data), *where]
    if world.arguments.embedded:
        world.parts = [Part("cloud", command, control, json.loads(said)["pid"])]
        return
    world.parts = [Part("control plane", command, control, json.loads(said)["pid"])]
    ticket = world.cloud("join", "--print").split()[-1]
    where = ("--data", str(world.agent), "--host", HOST, "--tunnel-address", "127.0.0.1")
    said = world.run(str(world.onestack), "join", ticket, *where, "--drivers", "real")
    pid = re.search(r"pid (\d+)", said)
    expect(pid is not None, said)
    command = [*serve, str(world.agent), "--role", "agent"]
    world.parts.append(Part("agent", command, world.variables, int(pid[1]) if pid else 0))


def lift_quotas(world: Chaos) -> None:
    """A client that repeats what it asked for may get it twice."""
    admin, project = world.api("admin-openrc"), world.api().project()
    many = dict.fromkeys(("instances", "cores", "ram"), PLENTY * PLENTY)
    admin.ask("compute", "PUT", f"/os-quota-sets/{project}", {"quota_set": many})
    many = dict.fromkeys(("volumes", "snapshots", "gigabytes"), PLENTY)
    admin.ask("volume", "PUT", f"/os-quota-sets/{project}", {"quota_set": many})
    many = dict.fromkeys(("network", "subnet", "port", "router", "floatingip"), PLENTY)
    admin.ask("network", "PUT", f"/quotas/{project}", {"quota": many})


def guest(world: Chaos) -> None:
    """A guest that is pinged from now on."""
    address = json.loads(world.cloud("launch", "demo", "-o", "json"))["address"]
    world.boot = _boot(world)
    command = ["ping", "-i", str(PING_S), "-W", str(PATIENCE_S), address]
    with (world.folder / "pings").open("w") as said:  # a pipe that nobody reads would stop it
        world.pinging = subprocess.Popen(command, stdout=said)
    world.pinging_since = time.monotonic()


def operations_and_kills(world: Chaos) -> None:
    """Clients work and a killer kills until there was enough of both."""
    api, seed = world.api(), world.arguments.seed
    networks = {each["name"]: each["id"] for each in api.all("network", "/networks", "networks")}
    flavors = {each["name"]: each["id"] for each in api.all("compute", "/flavors", "flavors")}
    image = api.all("image", "/images?name=tiny", "images")[0]["id"]
    small, large = flavors[chaos_clients.SMALL], flavors[chaos_clients.LARGE]
    facts = Facts(image, small, large, networks["private"], networks["public"])
    clients = [Client(each, world.api(), facts, Random(f"{seed} {each}"))
               for each in range(CLIENTS)]  # fmt: skip
    threads = [Thread(target=each.run) for each in clients]
    threads.append(Thread(target=_kill, args=(world, Random(f"{seed} kills"))))
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"        {world.tally.accepted} operations in {time.monotonic() - began:.0f} s, "
          f"{world.tally.attempts} asked for", *world.tally.table(), sep="\n        ")  # fmt: skip
    print("        killed: " + ", ".join(f"{n} times {name}" for name, n in world.kills.items()))
    expect(world.tally.accepted >= world.arguments.operations, "too few operations were accepted")


def settled(world: Chaos) -> None:
    """Everything comes to rest, and nothing in an error."""
    api, deadline = world.api(), time.monotonic() + SETTLE_S
    while restless := list(_restless(api)):
        if time.monotonic() > deadline:
            raise Failed("not at rest: " + "; ".join(restless))
        time.sleep(PAUSE_S)
    for text in _errors(api):
        world.tally.fail(text)


def actions_that_failed(world: Chaos) -> None:
    """What was accepted and came to nothing afterwards; a guest that does not boot fast enough may
    refuse to let a volume go, so this is only told."""
    api = world.api()
    for server_id in world.tally.servers:
        answer = api.ask("compute", "GET", f"/servers/{server_id}/os-instance-actions")
        for each in answer.document().get("instanceActions", ()):
            if each["message"]:
                print(f"        {each['action']} of {server_id} failed: {each['message']}")


def agreement(world: Chaos) -> None:
    """Database, hypervisor, network and storage agree."""
    found = world.doctor()
    expect(not found, "\n".join(found))


def guest_noticed_nothing(world: Chaos) -> None:
    """No ping was lost, and the guest did not start again."""
    assert world.pinging is not None
    time.sleep(2 * PING_S)
    lasted_s = time.monotonic() - world.pinging_since
    world.pinging.send_signal(signal.SIGINT)
    world.pinging.wait(PATIENCE_S)
    said = (world.folder / "pings").read_text()
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    answered = {int(each) for each in re.findall(r"icmp_seq=(\d+) ttl", said)}
    sent = int(counts[1]) if counts else 0
    # The last one may be under way when ping ends.
    lost = sorted(set(range(1, sent)) - answered)
    print(f"        {sent} pings in {lasted_s:.0f} s, {len(lost)} lost")
    expect(sent > lasted_s / PING_S / 2, f"too few pings\n{said[-500:]}")
    expect(not lost, f"lost: {lost}\n{said[-500:]}")
    expect(_boot(world) == world.boot, "the guest was started again")


def no_failures(world: Chaos) -> None:
    """No client met what it should not have met."""
    expect(not world.tally.failures, "\n        ".join(["", *world.tally.failures]))


def delete_everything(world: Chaos) -> None:
    """What remains can be deleted through the API."""
    api = world.api()
    project = api.project()
    for service, path, key in REMOVABLE:
        deadline = time.monotonic() + SETTLE_S
        while found := [each for each in api.all(service, path, key) if _is_ours(each, project)]:
            if time.monotonic() > deadline:
                raise Failed(f"{key} that cannot be deleted: {found}")
            for each in found:
                _delete(api, service, path.partition("?")[0], each)
            time.sleep(PAUSE_S)


def nothing_is_held(world: Chaos) -> None:
    """Neither placement nor the host's folders hold anything of what is gone."""
    admin = world.api("admin-openrc")
    used = admin.all("compute", "/os-hypervisors/detail", "hypervisors")
    guests = [each.name for each in (world.agent / "libvirt/lib/guests").iterdir()]
    expect(not guests, f"folders of guests: {guests}")
    expect(not any(each.get("running_vms") for each in used), used)


def down(world: Chaos) -> None:
    if world.pinging is not None:
        world.pinging.kill()
        world.pinging.wait()
    if world.agent != world.data and world.agent.exists():
        world.run(str(world.onestack), "down", "--data", str(world.agent))
    world.cloud("down")


STEPS: tuple[Callable[[Chaos], None], ...] = (
    up, lift_quotas, guest, operations_and_kills, settled, actions_that_failed, agreement,
    guest_noticed_nothing, no_failures, delete_everything, agreement, nothing_is_held, down,
)  # fmt: skip
FIRST = (up, lift_quotas, guest)  # without these there is nothing to look at


def main() -> int:
    """Go into a network namespace, and run all steps in order."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--onestack", type=Path, default=Path(".venv/bin/onestack"))
    parser.add_argument("--operations", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, help="repeats a run's choices")
    parser.add_argument("--embedded", action="store_true", help="one process, on SQLite")
    parser.add_argument("--keep", type=Path, help="where journal and logs go")
    parser.add_argument("--pause", action="store_true", help="wait after a failure")
    parser.add_argument("--inside", action="store_true", help="used by the script itself")
    arguments = parser.parse_args()
    if not arguments.inside:
        again = ["unshare", "--net", sys.executable, *sys.argv, "--inside"]
        return subprocess.run(again, check=False).returncode
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    arguments.seed = SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {arguments.seed}", flush=True)
    before = host_state.look()
    passed, failed = _run(arguments)
    left = host_state.look([arguments.keep.absolute()] if arguments.keep else ()).left_since(before)
    print(f"{'FAILED' if left else 'passed'}  nothing is left", *left, sep="\n        ")
    print(f"\n{passed + (not left)} passed, {failed + bool(left)} failed")
    return 1 if failed or left else 0


def _run(arguments: Namespace) -> tuple[int, int]:
    """How many steps passed and failed; after a failure at the start only what cleans up runs."""
    passed = failed = 0
    with ExitStack() as stack:
        world = Chaos(arguments, Path(stack.enter_context(_folder())))
        if not arguments.embedded:
            postgres, rabbit = stack.enter_context(Postgres()), stack.enter_context(RabbitMQ())
            world.variables |= {
                "ONESTACK_CLOUD_DATABASE": postgres.url(), "ONESTACK_CLOUD_BUS": rabbit.url,
            }  # fmt: skip
        is_lame = False
        for step in STEPS:
            if is_lame and step is not down:
                continue
            began = time.monotonic()
            try:
                step(world)
                passed += 1
                print(f"passed  {step.__name__}  {time.monotonic() - began:.1f} s", flush=True)
            except Exception as error:  # whatever it is, what comes last cleans up
                if not isinstance(error, Failed):
                    traceback.print_exc()
                failed += 1
                is_lame = is_lame or step in FIRST
                print(f"FAILED  {step.__name__}: {error}", flush=True)
                if arguments.pause:
                    input(f"the cloud is in {world.folder}; press Enter to go on")
        if arguments.keep:
            _keep(world, arguments.keep)
    return passed, failed


def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="chaos-")


def _keep(world: Chaos, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("journal", "pings", "*.log", "*/logs/*.log"):
        for path in world.folder.glob(pattern):
            shutil.copy(path, folder / "-".join(path.relative_to(world.folder).parts))


def _kill(world: Chaos, chance: Random) -> None:
    """Spread the kills over the operations; what was killed is started again at once, or soon."""
    arguments, tally = world.arguments, world.tally
    for number in range(arguments.kills):
        while tally.accepted < number * arguments.operations / arguments.kills:
            if tally.is_enough():
                break
            time.sleep(0.05)
        time.sleep(chance.random() * SPREAD_S)
        together = world.parts if chance.random() < BOTH else [chance.choice(world.parts)]
        for part in together:
            part.kill()
            world.kills[part.name] += 1
            tally.write(f"killed the {part.name}")
        time.sleep(chance.random() * DOWN_S)
        for part in together:
            part.start(world.folder / f"{part.name.replace(' ', '-')}.log")
            tally.write(f"started the {part.name}")
    expect(wait_until_up(f"http://127.0.0.1:{world.port}/", START_S), "the control plane is down")


def _restless(api: Api) -> list[str]:
    """What is under way still."""
    servers = api.all("compute", "/servers/detail", "servers")
    found = [f"server {each['id']} {each['status']}, {each['OS-EXT-STS:task_state']}"
             for each in servers if not chaos_clients.is_settled_server(each)]  # fmt: skip
    for key in ("volumes", "snapshots"):
        for each in api.all("volume", f"/{key}/detail", key):
            if each["status"] not in chaos_clients.VOLUME_RESTS:
                found.append(f"{key[:-1]} {each['id']} {each['status']}")
    for each in api.all("image", "/images?visibility=private", "images"):
        if each["status"] in ("queued", "saving", "uploading"):
            found.append(f"image {each['id']} {each['status']}")
    ports = api.all("network", "/ports", "ports")
    found += [f"port {each['id']} {each['status']}" for each in ports if each["status"] == "BUILD"]
    return found


def _errors(api: Api) -> list[str]:
    """What came to rest in an error."""
    found = [f"server {each['id']}: {each.get('fault')}"
             for each in api.all("compute", "/servers/detail", "servers")
             if each["status"] == "ERROR"]  # fmt: skip
    for key in ("volumes", "snapshots"):
        found += [f"{key[:-1]} {each['id']}: {each['status']}"
                  for each in api.all("volume", f"/{key}/detail", key)
                  if "error" in each["status"] or each["status"] == "reserved"]  # fmt: skip
    return found


def _delete(api: Api, service: str, path: str, each: dict[str, Any]) -> None:
    if path == "/routers":
        ports = api.all("network", f"/ports?device_id={each['id']}", "ports")
        for port in ports:
            if port["device_owner"] == "network:router_interface":
                leg = f"/routers/{each['id']}/remove_router_interface"
                api.ask("network", "PUT", leg, {"port_id": port["id"]})
    api.ask(service, "DELETE", f"{path}/{each['id']}")


def _is_ours(each: dict[str, Any], project: str) -> bool:
    """Whether the project owns it; what the cloud made for a network goes with the network."""
    owner = each.get("project_id") or each.get("tenant_id") or each.get("owner") or project
    return bool(owner == project) and not str(each.get("device_owner", "")).startswith("network:")


def _boot(world: World) -> str:
    return world.guest("demo", "cat /proc/sys/kernel/random/boot_id").strip()


if __name__ == "__main__":
    sys.exit(main())
