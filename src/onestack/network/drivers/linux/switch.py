"""The switch of a Linux host: bridges, taps, namespaces, nftables and dnsmasq, as they are told."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from onestack.core import clock, log
from onestack.core.shell import CommandFailed
from onestack.network.drivers.linux import masquerade, namespaces, networks, passage, removal
from onestack.network.drivers.linux.dhcp import DhcpServers
from onestack.network.drivers.linux.firewall import Firewall, Plan
from onestack.network.drivers.linux.links import Links, NoSuchDevice
from onestack.network.drivers.linux.names import Names
from onestack.network.drivers.linux.networks import Networks
from onestack.network.drivers.linux.options import LinuxOptions
from onestack.network.drivers.linux.questions import Questions
from onestack.network.drivers.linux.routers import Routers
from onestack.network.drivers.linux.store import TYPES, Numbers, Store, W
from onestack.network.switch import (
    Applied,
    Changes,
    GroupWiring,
    Item,
    Kind,
    NetworkWiring,
    PortWiring,
    RouterWiring,
    SwitchDescription,
    Trouble,
    Wiring,
    device_of,
)

LATE_S = 300.0
FEW = 20  # for more, all devices are asked for at once
FAILURES = (OSError, ValueError, OverflowError, NetlinkError, NoSuchDevice, CommandFailed)


class NotHere(ValueError):
    """A network that something joins is not on this host."""


class Outcome:
    """What came of changes, one by one."""

    def __init__(self) -> None:
        self.wanted: list[Item] = []
        self.troubles: dict[tuple[Kind, str], str] = {}
        self.late: set[tuple[Kind, str]] = set()

    @contextlib.contextmanager
    def attempt(self, kind: Kind, *names: str) -> Iterator[None]:
        """What goes wrong within is the trouble of these items, and nobody else's."""
        try:
            yield
        except FAILURES as error:
            log.warning("could not be applied", kind=kind, ids=names, reason=str(error))
            for name in names:
                self.trouble(kind, name, str(error))

    def trouble(self, kind: Kind, name: str, text: str) -> None:
        known = self.troubles.get((kind, name))
        self.troubles[kind, name] = f"{known}; {text}" if known else text

    def applied(self) -> Applied:
        troubled = [(item, self.troubles[item.kind, item.id]) for item in self.wanted
                    if (item.kind, item.id) in self.troubles]  # fmt: skip
        done = [item for item in self.wanted if (item.kind, item.id) not in self.troubles]
        return Applied(done, [Trouble(item, text) for item, text in troubled])


class LinuxSwitch:
    """Works in the network namespace that it is made in; what it was told is kept in `folder`."""

    def __init__(self, folder: Path, options: LinuxOptions) -> None:
        self._folder, self._options = folder, options
        self._names = Names(options.mark)
        self._home = namespaces.Here()
        self._lock = threading.Lock()
        self._store = Store(folder / "wirings")
        self._networks = Networks(options, self._names)
        self._dhcp = DhcpServers(folder / "dhcp", self._names)
        self._routers = Routers(folder / "routers", self._names)
        self._firewall = Firewall(self._names, Numbers(folder / "numbers.json", options.mark))
        self._questions = Questions(options.metadata, self._names)
        self._heard: dict[tuple[Kind, str], tuple[int, float]] = {}  # revisions, and when they came
        self._troubled: set[tuple[Kind, str]] = set()
        self._passing: set[str] = set()  # the bridges that other firewalls know of
        self._is_resumed = False
        self._segments: list[str] = []

    def describe(self) -> SwitchDescription:
        with self._lock:
            self._resume()
        return SwitchDescription(
            driver="linux",
            segments=self._segments,
            tunnel_address=self._options.tunnel_address,
            physical_networks=sorted(self._options.physical_networks),
        )

    def apply(self, changes: Changes) -> Applied:
        """Make the host as it is told to be; what is right already is left as it is."""
        with self._lock:
            self._resume()
            return self._home.run(lambda: self._apply(changes))

    def inventory(self) -> list[Item]:
        """What is here as it must be: what is in trouble has yet to be applied."""
        with self._lock:
            self._resume()
            return [each for each in self._store.items()
                    if (each.kind, each.id) not in self._troubled]  # fmt: skip

    def take_down(self) -> None:
        """Remove everything that has this switch's mark; what it was told stays."""
        self.close()
        self._home.run(lambda: removal.take_down(self._folder, self._options.mark))

    def remove_all(self) -> None:
        """Remove everything that has this switch's mark, and forget what it was told."""
        self.close()
        self._home.run(lambda: removal.remove_all(self._folder, self._options.mark))

    def close(self) -> None:
        """Let go of what this process holds; what was made goes on working."""
        self._questions.close()

    def _resume(self) -> None:
        """After a restart, of the agent or of the host, all is as it was before."""
        if self._is_resumed:
            return
        kept = Changes(
            networks=self._store.all(NetworkWiring),
            groups=self._store.all(GroupWiring),
            ports=self._store.all(PortWiring),
            routers=self._store.all(RouterWiring),
        )
        self._home.run(self._probe)
        self._home.run(lambda: self._apply(kept))
        self._heard.clear()
        self._is_resumed = True

    def _probe(self) -> None:
        with Links() as links:
            can_tunnel = links.can_tunnel(self._names.tunnel("probe"))
        self._segments = [each for each in networks.SEGMENTS if each != "vxlan" or can_tunnel]

    def _apply(self, changes: Changes) -> Applied:
        outcome = Outcome()
        outcome.wanted += changes.gone
        plan = Plan()
        with Links() as links:
            if len(changes.ports) + len(changes.networks) > FEW:
                links.look_around()
            before = {each.id: each for each in self._store.all(RouterWiring)}
            fresh = self._noted(changes, outcome)
            self._take_away(links, changes.gone, plan, outcome)
            for port in fresh.ports:
                plan.ports[port.id] = port
            for group in fresh.groups:
                plan.groups[group.id] = group
            for network in fresh.networks:
                with outcome.attempt("network", network.id):
                    plan.bridges[network.id] = self._networks.bridge(links, network)
            # Nothing is on a bridge before the rules that guard it are in force.
            self._firewall.change(plan)
            self._report(plan, outcome)
            self._let_pass(fresh.networks, outcome)
            for network in fresh.networks:
                if ("network", network.id) not in outcome.troubles:
                    with outcome.attempt("network", network.id):
                        self._network(links, network)
            for port in fresh.ports:
                with outcome.attempt("port", port.id):
                    self._port(links, port, is_guarded=port.id not in plan.unguarded)
            for router in fresh.routers:
                with outcome.attempt("router", router.id):
                    self._router(links, router, before.get(router.id))
            flat = [each.id for each in fresh.networks if each.segment.kind == "flat"]
            if self._options.is_masquerading and flat:
                with outcome.attempt("network", *flat):
                    self._masquerade()
        touched = {(each.kind, each.id) for each in outcome.wanted} - outcome.late
        self._troubled -= touched
        self._troubled |= touched & outcome.troubles.keys()
        return outcome.applied()

    def _noted(self, changes: Changes, outcome: Outcome) -> Changes:
        """Keep what is newer than what was known: should we end here, it is carried out later."""
        return Changes(
            networks=self._newer("network", changes.networks, outcome),
            groups=self._newer("group", changes.groups, outcome),
            ports=self._newer("port", changes.ports, outcome),
            routers=self._newer("router", changes.routers, outcome),
        )

    def _newer(self, kind: Kind, wirings: Sequence[W], outcome: Outcome) -> list[W]:
        found = []
        for wiring in wirings:
            outcome.wanted.append(Item(kind, wiring.id, wiring.revision))
            if self._is_late(kind, wiring):
                outcome.late.add((kind, wiring.id))
                outcome.trouble(kind, wiring.id, "a newer wiring came before this one")
                continue
            self._store.put(kind, wiring)
            self._heard[kind, wiring.id] = wiring.revision, clock.monotonic()
            found.append(wiring)
        return found

    def _is_late(self, kind: Kind, wiring: Wiring) -> bool:
        """Whether a message comes after one that was sent later. Only for as long as messages are
        under way: after that, who counts from one again is right, as when its database was lost."""
        revision, heard_at = self._heard.get((kind, wiring.id), (0, 0.0))
        return revision > wiring.revision and clock.monotonic() - heard_at < LATE_S

    def _take_away(self, links: Links, gone: Sequence[Item], plan: Plan, outcome: Outcome) -> None:
        """Remove what must be here no more: routers and ports, and then what they were on."""
        names: dict[Kind, list[str]] = {kind: [] for kind in TYPES}
        for item in gone:
            names[item.kind].append(item.id)
        plan.ports |= dict.fromkeys(names["port"])
        plan.groups |= dict.fromkeys(names["group"])
        plan.bridges |= dict.fromkeys(names["network"])
        for name in names["router"]:
            with outcome.attempt("router", name):
                self._questions.close_router(name)
                self._routers.remove(links, name, self._store.find(RouterWiring, name))
        with outcome.attempt("port", *names["port"]):
            links.remove(*(device_of(name) for name in names["port"]))
        for name in names["network"]:
            with outcome.attempt("network", name):
                self._remove_network(links, name)
        for item in gone:
            if (item.kind, item.id) not in outcome.troubles:
                self._store.forget(item.kind, item.id)
                self._heard.pop((item.kind, item.id), None)

    def _remove_network(self, links: Links, name: str) -> None:
        network = self._store.find(NetworkWiring, name)
        self._questions.close_network(name)
        self._dhcp.remove(links, name)
        if network is None:  # nothing is known of it any more but its name
            links.remove(self._names.bridge(name), self._names.tunnel(name))
        else:
            self._networks.remove(links, network)

    def _report(self, plan: Plan, outcome: Outcome) -> None:
        by_kind: dict[Kind, set[str]] = {
            "network": set(plan.bridges),
            "group": set(plan.groups),
            "port": set(plan.ports),
        }
        for kind, names in by_kind.items():
            for name in names & plan.troubles.keys():
                outcome.trouble(kind, name, plan.troubles[name])

    def _network(self, links: Links, network: NetworkWiring) -> None:
        self._networks.ensure(links, network)
        bridge = self._networks.name(network)
        self._dhcp.ensure(links, network, bridge)
        self._questions.open_network(network)

    def _let_pass(self, fresh: Sequence[NetworkWiring], outcome: Outcome) -> None:
        """Have other firewalls of this host leave our bridges to us, as far as they can be told."""
        there = [each for each in fresh if ("network", each.id) not in outcome.troubles]
        unknown = {self._networks.pattern(each) for each in there} - self._passing
        try:
            if unknown:
                passage.ensure(self._names.alias, sorted(unknown))
            self._passing |= unknown
        except FAILURES as error:
            log.warning("another firewall may drop what is on our bridges", reason=str(error))

    def _masquerade(self) -> None:
        gateways = self._networks.gateways(self._store.all(NetworkWiring))
        masquerade.ensure(self._folder, self._names.table, gateways, self._names.bridges)

    def _port(self, links: Links, port: PortWiring, *, is_guarded: bool) -> None:
        if not is_guarded:
            links.part(port.device)
            return
        network = self._there(port.network_id)
        bridge = self._networks.name(network)
        links.tap(port.device, self._names.alias, bridge, network.mtu)

    def _router(self, links: Links, router: RouterWiring, before: RouterWiring | None) -> None:
        legs = [*router.interfaces, *([router.gateway.interface] if router.gateway else [])]
        joined = {leg.network_id: self._there(leg.network_id) for leg in legs}
        bridges = {
            name: (self._networks.name(network), network.mtu) for name, network in joined.items()
        }
        self._routers.ensure(links, router, before, bridges)
        self._questions.open_router(router)

    def _there(self, network_id: str) -> NetworkWiring:
        network = self._store.find(NetworkWiring, network_id)
        if network is None:
            raise NotHere(f"network {network_id} is not on this host")
        return network
