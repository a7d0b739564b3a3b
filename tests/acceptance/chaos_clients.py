"""Clients of a cloud whose processes die: each does random things to resources of its own.

A client repeats what failed for want of a connection, as clients do, and takes a clear refusal
(4xx) for an answer. What is neither, and what settles into an error, is a failure.
"""

import http.client
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from cloud import Account, Answer, Cloud, Refused

CONNECT_S = 90.0
SETTLE_S = 600.0  # an agent that is killed gives a guest its minute to shut down anew
PAUSE_S = 0.5
WAITS = 0.75  # how often a client waits for what it asked for before it asks for more
ATTEMPTS_MAX = 3  # for each operation that is to be accepted
SMALL, LARGE = "m1.nano", "m1.micro"
CLEAR = (400, 403, 404, 409)
VERSIONS = {"OpenStack-API-Version": "compute 2.90, volume 3.59"}
SERVICES = {"compute": "compute", "volume": "volumev3", "network": "network", "image": "image"}
VOLUME_RESTS = ("available", "in-use", "error", "error_deleting", "error_extending")

Body = dict[str, Any] | None
Choice = tuple[int, str, Callable[[], Answer | None]]


@dataclass(frozen=True)
class Facts:
    """What all clients share: ids of an image, of two flavours and of networks."""

    image: str
    small: str
    large: str
    private: str
    public: str


@dataclass
class Tally:
    """What was done, how it ended, and what is wrong."""

    wanted: int
    journal: Path
    began: float = field(default_factory=time.monotonic)
    accepted: int = 0
    attempts: int = 0
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)  # all that ever were
    _lock: Lock = field(default_factory=Lock)

    def is_enough(self) -> bool:
        return self.accepted >= self.wanted or self.attempts >= ATTEMPTS_MAX * self.wanted

    def note(self, client: int, verb: str, answer: Answer, took_s: float, subject: str) -> None:
        is_accepted = answer.status < 400
        with self._lock:
            self.attempts += 1
            self.accepted += is_accepted
            self.outcomes[verb]["accepted" if is_accepted else str(answer.status)] += 1
            self.seconds[verb].append(took_s)
        self.write(f"client {client}: {verb} {subject}: {answer.status} after {took_s:.1f} s")

    def fail(self, text: str) -> None:
        with self._lock:
            if text not in self.failures:
                self.failures.append(text)
        self.write(f"FAILURE {text}")

    def write(self, line: str) -> None:
        with self._lock, self.journal.open("a") as journal:
            clock = time.strftime("%H:%M:%S")
            journal.write(f"{clock} {time.monotonic() - self.began:7.1f} {line}\n")

    def table(self) -> Iterator[str]:
        """A line for each verb."""
        for verb, outcomes in sorted(self.outcomes.items()):
            took = self.seconds[verb]
            said = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
            yield f"{verb:22} {said}; {sum(took) / len(took):.1f} s each, {max(took):.1f} at most"


class Api:
    """An account's way to the cloud; it waits while nobody answers."""

    def __init__(self, account: Account, tally: Tally) -> None:
        self._cloud, self.tally = Cloud(account), tally
        self._bases: dict[str, str] = {}

    def ask(self, service: str, method: str, path: str, body: Body = None) -> Answer:
        """One call, again and again until it is answered."""
        deadline = time.monotonic() + CONNECT_S
        while True:
            why: object
            try:
                answer = self._cloud.request(method, self._base(service) + path, body, VERSIONS)
                if answer.status != 503:
                    break
                why = answer.body
            except (OSError, http.client.HTTPException, Refused) as error:
                why = error
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: no answer within {CONNECT_S:g} s: {why!r}")
            time.sleep(PAUSE_S)
        if answer.status >= 500 or answer.status == 401:
            self.tally.fail(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        elif answer.status >= 400:
            self.tally.write(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        return answer

    def all(self, service: str, path: str, key: str) -> list[dict[str, Any]]:
        """What a list holds."""
        answer = self.ask(service, "GET", path)
        found: list[dict[str, Any]] = answer.document()[key]
        return found

    def project(self) -> str:
        self._base("compute")
        return str(self._cloud.token_document["project"]["id"])

    def _base(self, service: str) -> str:
        if not self._bases:
            self._cloud.sign_in()
            for name, kind in SERVICES.items():
                self._bases[name] = str(self._cloud.endpoint(kind))
            self._bases["network"] += "/v2.0"
            self._bases["image"] += "/v2"
        return self._bases[service]


class Client:
    """One that has a server, volumes, a network and addresses of its own."""

    def __init__(self, number: int, api: Api, facts: Facts, chance: Random) -> None:
        self.number, self.api, self.facts, self.chance = number, api, facts, chance
        self.tally = api.tally
        self.subject = ""
        self.settle: Callable[[], None] | None = None
        self.have: dict[str, list[str]] = defaultdict(list)
        self.made = 0

    def run(self) -> None:
        try:
            while not self.tally.is_enough():
                self._one()
        except Exception as error:  # it is told, and the other clients go on
            self.tally.fail(f"client {self.number} ended: {error!r}")

    def _one(self) -> None:
        choices = list(self._choices())
        _, verb, act = self.chance.choices(choices, [each[0] for each in choices])[0]
        began = time.monotonic()
        self.subject, self.settle = "", None
        answer = act()
        if answer is None:
            return
        if answer.status >= 400 and answer.status not in CLEAR:
            self.tally.fail(f"{verb} {self.subject}: {answer.status} {answer.body[:300]!r}")
        if answer.status < 400 and self.settle is not None and self.chance.random() < WAITS:
            self.settle()
        self.tally.note(self.number, verb, answer, time.monotonic() - began, self.subject)

    def _choices(self) -> Iterator[Choice]:
        """What can be done now, each with a weight."""
        yield from self._server_choices()
        yield from self._volume_choices()
        yield from self._network_choices()

    # Servers

    def _server_choices(self) -> Iterator[Choice]:
        if not self.have["server"]:
            yield 30, "server create", self._create_server
            return
        server_id = self.have["server"][0]
        server = self._server(server_id)
        if server is None or server["status"] == "ERROR":
            if server is None:
                self.have["server"].remove(server_id)
            else:
                self.tally.fail(f"server {server_id} is in ERROR: {server.get('fault')}")
            yield 30, "server delete", partial(self._delete_server, server_id)
            return
        for weight, verb, body in _actions(server, self.facts, f"copy-{self._next()}"):
            yield weight, verb, partial(self._act, server_id, verb, body)
        yield 2, "server delete", partial(self._delete_server, server_id)
        if server["status"] in ("ACTIVE", "SHUTOFF"):
            attached = {each["id"] for each in server["os-extended-volumes:volumes_attached"]}
            yield from self._plug_choices(server_id, attached)

    def _plug_choices(self, server_id: str, attached: set[str]) -> Iterator[Choice]:
        for volume_id in self.have["volume"]:
            if volume_id in attached:
                yield 4, "volume detach", partial(self._detach, server_id, volume_id)
            else:
                yield 3, "volume attach", partial(self._attach, server_id, volume_id)
        for port_id in self.have["port"]:
            yield 2, "port attach", partial(self._plug, server_id, port_id)
            yield 1, "port detach", partial(self._unplug, server_id, port_id)
        for address_id in self.have["address"]:
            yield 2, "address associate", partial(self._associate, server_id, address_id)

    def _create_server(self) -> Answer:
        server: dict[str, Any] = {
            "name": f"guest-{self.number}-{self._next()}", "flavorRef": self.facts.small,
            "networks": [{"uuid": self.facts.private}],
        }  # fmt: skip
        if self.chance.random() < 0.25:
            server["block_device_mapping_v2"] = [{
                "source_type": "image", "destination_type": "volume", "uuid": self.facts.image,
                "volume_size": 1, "boot_index": 0, "delete_on_termination": True,
            }]  # fmt: skip
        else:
            server["imageRef"] = self.facts.image
        return self._create("compute", "server", "/servers", server, self._server_rests)

    def _act(self, server_id: str, verb: str, body: Body) -> Answer:
        self._about(server_id, self._server_rests)
        answer = self.api.ask("compute", "POST", f"/servers/{server_id}/action", body)
        if verb == "server snapshot" and answer.status == 202:
            self.have["image"].append(answer.document()["image_id"])
        return answer

    def _delete_server(self, server_id: str) -> Answer:
        return self._delete("compute", "server", f"/servers/{server_id}", server_id)

    def _server(self, server_id: str) -> dict[str, Any] | None:
        answer = self.api.ask("compute", "GET", f"/servers/{server_id}")
        found: dict[str, Any] | None = answer.document()["server"] if answer.status == 200 else None
        return found

    def _server_rests(self, server_id: str) -> bool:
        server = self._server(server_id)
        return server is None or is_settled_server(server)

    # Volumes

    def _volume_choices(self) -> Iterator[Choice]:
        volumes, snapshots = self.have["volume"], self.have["snapshot"]
        if len(volumes) < 3:
            yield 4, "volume create", partial(self._create_volume, {})
            image = {"imageRef": self.facts.image}
            yield 2, "volume from image", partial(self._create_volume, image)
            for snapshot_id in snapshots:
                source = {"snapshot_id": snapshot_id}
                yield 1, "volume from snapshot", partial(self._create_volume, source)
            for volume_id in volumes:
                yield 1, "volume clone", partial(self._create_volume, {"source_volid": volume_id})
        for volume_id in volumes:
            yield 1, "volume delete", self._deleting("volume", "volume", "/volumes", volume_id)
            yield 1, "volume extend", partial(self._extend, volume_id)
            if len(snapshots) < 2:
                yield 1, "volume snapshot", partial(self._snapshot, volume_id)
        for snapshot_id in snapshots:
            yield (
                1,
                "snapshot delete",
                self._deleting("volume", "snapshot", "/snapshots", snapshot_id),
            )
        for image_id in self.have["image"]:
            yield 1, "image delete", self._deleting("image", "image", "/images", image_id)

    def _create_volume(self, source: dict[str, str]) -> Answer:
        volume = {"size": 1, "name": f"volume-{self.number}-{self._next()}", **source}
        if "source_volid" in source or "snapshot_id" in source:
            del volume["size"]
        return self._create("volume", "volume", "/volumes", volume, self._volume_rests)

    def _extend(self, volume_id: str) -> Answer:
        self._about(volume_id, self._volume_rests)
        size = self.api.ask("volume", "GET", f"/volumes/{volume_id}").document()
        wanted = size["volume"]["size"] + 1 if "volume" in size else 2
        body = {"os-extend": {"new_size": wanted}}
        return self.api.ask("volume", "POST", f"/volumes/{volume_id}/action", body)

    def _snapshot(self, volume_id: str) -> Answer:
        wanted = {"volume_id": volume_id, "force": True, "name": f"snapshot-{self._next()}"}
        return self._create("volume", "snapshot", "/snapshots", wanted, self._snapshot_rests)

    def _attach(self, server_id: str, volume_id: str) -> Answer:
        self._about(volume_id, self._volume_rests)
        body = {"volumeAttachment": {"volumeId": volume_id}}
        return self.api.ask("compute", "POST", f"/servers/{server_id}/os-volume_attachments", body)

    def _detach(self, server_id: str, volume_id: str) -> Answer:
        self._about(volume_id, self._volume_rests)
        path = f"/servers/{server_id}/os-volume_attachments/{volume_id}"
        return self.api.ask("compute", "DELETE", path)

    def _volume_rests(self, volume_id: str) -> bool:
        return self._rests("volume", "volume", f"/volumes/{volume_id}", VOLUME_RESTS)

    def _snapshot_rests(self, snapshot_id: str) -> bool:
        rests = ("available", "error", "error_deleting")
        return self._rests("volume", "snapshot", f"/snapshots/{snapshot_id}", rests)

    def _rests(self, service: str, key: str, path: str, rests: tuple[str, ...]) -> bool:
        answer = self.api.ask(service, "GET", path)
        return answer.status != 200 or answer.document()[key]["status"] in rests

    # Networks

    def _network_choices(self) -> Iterator[Choice]:
        if len(self.have["port"]) < 2:
            yield 3, "port create", self._create_port
        for port_id in self.have["port"]:
            yield 1, "port delete", self._deleting("network", "port", "/ports", port_id)
        if not self.have["address"]:
            yield 3, "address create", self._create_address
        for address_id in self.have["address"]:
            yield 1, "address release", partial(self._connect, address_id, None)
            yield (
                1,
                "address delete",
                self._deleting("network", "address", "/floatingips", address_id),
            )
        if not self.have["network"]:
            yield 2, "network create", self._create_network
        for network_id in self.have["network"]:
            yield 1, "network delete", self._deleting("network", "network", "/networks", network_id)
        if not self.have["router"]:
            yield 2, "router create", self._create_router
        for router_id in self.have["router"]:
            yield 1, "router delete", self._deleting("network", "router", "/routers", router_id)
            for subnet_id in self.have["subnet"][-1:]:
                for verb in ("add", "remove"):
                    act = partial(self._router_leg, router_id, subnet_id, verb)
                    yield 2, f"router {verb} subnet", act

    def _create_port(self) -> Answer:
        network = self.chance.choice([self.facts.private, *self.have["network"]])
        port = {"network_id": network, "name": f"port-{self.number}-{self._next()}"}
        return self._create("network", "port", "/ports", port)

    def _plug(self, server_id: str, port_id: str) -> Answer:
        self._about(server_id, self._server_rests)
        body = {"interfaceAttachment": {"port_id": port_id}}
        return self.api.ask("compute", "POST", f"/servers/{server_id}/os-interface", body)

    def _unplug(self, server_id: str, port_id: str) -> Answer:
        self._about(server_id, self._server_rests)
        return self.api.ask("compute", "DELETE", f"/servers/{server_id}/os-interface/{port_id}")

    def _create_address(self) -> Answer:
        wanted = {"floating_network_id": self.facts.public}
        return self._create("network", "floatingip", "/floatingips", wanted, kind="address")

    def _associate(self, server_id: str, address_id: str) -> Answer | None:
        ports = self.api.all("network", f"/ports?device_id={server_id}", "ports")
        if not ports:
            return None
        return self._connect(address_id, self.chance.choice(sorted(each["id"] for each in ports)))

    def _connect(self, address_id: str, port_id: str | None) -> Answer:
        self._about(address_id)
        body = {"floatingip": {"port_id": port_id}}
        return self.api.ask("network", "PUT", f"/floatingips/{address_id}", body)

    def _create_network(self) -> Answer:
        name = f"network-{self.number}-{self._next()}"
        answer = self._create("network", "network", "/networks", {"name": name})
        if answer.status == 201:
            wanted = {
                "network_id": self.have["network"][-1], "ip_version": 4,
                "cidr": f"10.{100 + self.number}.{self._next() % 256}.0/24",
            }  # fmt: skip
            subnet = self.api.ask("network", "POST", "/subnets", {"subnet": wanted})
            if subnet.status == 201:
                self.have["subnet"].append(subnet.document()["subnet"]["id"])
        return answer

    def _create_router(self) -> Answer:
        outside = {"network_id": self.facts.public}
        wanted = {"name": f"router-{self.number}", "external_gateway_info": outside}
        return self._create("network", "router", "/routers", wanted)

    def _router_leg(self, router_id: str, subnet_id: str, verb: str) -> Answer:
        self._about(router_id)
        path = f"/routers/{router_id}/{verb}_router_interface"
        return self.api.ask("network", "PUT", path, {"subnet_id": subnet_id})

    # What all have in common

    def _create(
        self, service: str, key: str, path: str, wanted: dict[str, Any],
        rests: Callable[[str], bool] | None = None, *, kind: str = "",
    ) -> Answer:  # fmt: skip
        answer = self.api.ask(service, "POST", path, {key: wanted})
        if answer.status < 300:
            made = str(answer.document()[key]["id"])
            self.have[kind or key].append(made)
            if key == "server":
                self.tally.servers.append(made)
            self._about(made, rests)
        return answer

    def _deleting(self, service: str, kind: str, path: str, made: str) -> Callable[[], Answer]:
        return partial(self._delete, service, kind, f"{path}/{made}", made)

    def _delete(self, service: str, kind: str, path: str, made: str) -> Answer:
        self._about(made, lambda _: self.api.ask(service, "GET", path).status == 404)
        answer = self.api.ask(service, "DELETE", path)
        if answer.status in (200, 202, 204, 404) and made in self.have[kind]:
            self.have[kind].remove(made)
        return answer

    def _about(self, made: str, rests: Callable[[str], bool] | None = None) -> None:
        """Say what the operation is about, and how it is known to be over."""
        self.subject = made
        self.settle = partial(self._wait, made, rests) if rests is not None else None

    def _wait(self, made: str, rests: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + SETTLE_S
        while not rests(made):
            if time.monotonic() > deadline:
                self.tally.fail(f"{made} does not come to rest within {SETTLE_S:g} s")
                return
            time.sleep(PAUSE_S)

    def _next(self) -> int:
        self.made += 1
        return self.made


def is_settled_server(server: dict[str, Any]) -> bool:
    """Whether nothing is under way."""
    return server["OS-EXT-STS:task_state"] is None and server["status"] != "BUILD"


def _actions(
    server: dict[str, Any], facts: Facts, name: str
) -> list[tuple[int, str, dict[str, Any]]]:
    """What can be done to a server as it is."""
    is_small = server["flavor"]["original_name"] == SMALL
    snapshot = (2, "server snapshot", {"createImage": {"name": name}})
    rebuild = (2, "server rebuild", {"rebuild": {"imageRef": facts.image}})
    resize = (
        3,
        "server resize",
        {"resize": {"flavorRef": facts.large if is_small else facts.small}},
    )
    shelve = (3, "server shelve", {"shelve": None})
    actions = {
        "ACTIVE": [
            (3, "server stop", {"os-stop": None}),
            (3, "server hard reboot", {"reboot": {"type": "HARD"}}),
            (1, "server soft reboot", {"reboot": {"type": "SOFT"}}),
            (3, "server pause", {"pause": None}),
            (2, "server suspend", {"suspend": None}),
            resize, shelve, rebuild, snapshot,
        ],
        "SHUTOFF": [(8, "server start", {"os-start": None}), resize, shelve, rebuild, snapshot],
        "PAUSED": [(8, "server unpause", {"unpause": None}), snapshot],
        "SUSPENDED": [(8, "server resume", {"resume": None})],
        "VERIFY_RESIZE": [
            (8, "server confirm", {"confirmResize": None}),
            (8, "server revert", {"revertResize": None}),
        ],
        "SHELVED": [
            (8, "server unshelve", {"unshelve": None}),
            (4, "server offload", {"shelveOffload": None}),
        ],
        "SHELVED_OFFLOADED": [(12, "server unshelve", {"unshelve": None})],
    }  # fmt: skip
    return actions.get(server["status"], [])
