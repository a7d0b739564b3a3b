"""DHCP servers: a namespace for each network that has one here, with dnsmasq in it."""

import shutil
from pathlib import Path

import msgspec

from onestack.network.drivers.linux import dnsmasq, namespaces
from onestack.network.drivers.linux.links import Links, set_sysctl
from onestack.network.drivers.linux.names import Names, inner
from onestack.network.drivers.linux.programs import Program
from onestack.network.drivers.linux.store import write
from onestack.network.switch import NetworkWiring

LINK_LOCAL_METADATA = "fe80::a9fe:a9fe"


class DhcpServers:
    """The DHCP servers of this host; what they read is in `folder`, one folder for a network."""

    def __init__(self, folder: Path, names: Names) -> None:
        self._folder, self._names = folder, names

    def ensure(self, links: Links, network: NetworkWiring, bridge: str) -> None:
        """Have the server that a network must have here, if any."""
        if network.dhcp is None:
            self.remove(links, network.id)
            return
        namespace, device = self._names.dhcp_namespace(network.id), self.device(network)
        is_new = namespaces.ensure(namespace)
        leg = self._names.dhcp_leg(network.id)
        if is_new:  # what there may be leads to a namespace that nobody finds any more
            links.remove(leg)
            Program(self._folder / network.id, "dnsmasq").stop()
        inside = namespaces.named(namespace)
        links.veth(leg, self._names.alias, device, inside.path)
        links.join(leg, bridge, network.mtu)
        inside.run(lambda: self._arrange(network, device, is_new))
        self._serve(network, device)

    def remove(self, links: Links, network_id: str) -> None:
        folder = self._folder / network_id
        if folder.exists():
            Program(folder, "dnsmasq").stop()
            shutil.rmtree(folder)
        links.remove(self._names.dhcp_leg(network_id))
        namespaces.remove(self._names.dhcp_namespace(network_id))

    def device(self, network: NetworkWiring) -> str:
        assert network.dhcp is not None
        return inner("ns", network.dhcp.port_id)

    def _arrange(self, network: NetworkWiring, device: str, is_new: bool) -> None:
        assert network.dhcp is not None
        with Links() as links:
            if is_new:
                links.alter("lo", state="up")
            set_sysctl(f"ipv6/conf/{device}/accept_dad", "0")
            set_sysctl(f"ipv6/conf/{device}/accept_ra", "0")
            links.end(device, network.dhcp.mac, network.mtu)
            wanted = [*network.dhcp.addresses, f"{dnsmasq.METADATA}/32"]
            links.addresses(device, wanted)
            links.link_local(device, LINK_LOCAL_METADATA)
            gateway = next((each.gateway for each in network.subnets
                            if each.version == 4 and each.gateway), None)  # fmt: skip
            v4 = any("." in each for each in network.dhcp.addresses)
            links.routes({"0.0.0.0/0": (gateway, device)} if gateway and v4 else {})

    def _serve(self, network: NetworkWiring, device: str) -> None:
        folder = self._folder / network.id
        program = Program(folder, "dnsmasq")
        if not (dnsmasq.served(network, 4) or dnsmasq.served(network, 6)):
            program.stop()
            return
        # The second set of files is read again on a signal; a changed first one takes a new start.
        is_other = write(folder / "configuration",
                         dnsmasq.configuration(network, device, folder).encode())  # fmt: skip
        known = (folder / "hosts").read_text() if (folder / "hosts").exists() else ""
        is_fresh = [
            write(folder / "hosts", dnsmasq.hosts(network).encode(), 0o644),
            write(folder / "names", dnsmasq.names(network).encode(), 0o644),
            write(folder / "options", dnsmasq.options(network).encode(), 0o644),
        ]
        is_fragile = any(is_fresh) and dnsmasq.HOST_TAG in known
        is_reassigned = self._given(network, folder)
        if is_other or is_fragile or is_reassigned or not program.is_running():
            argv = ["dnsmasq", "--keep-in-foreground", "--user=root", "--log-facility=-",
                    f"--conf-file={folder / 'configuration'}"]  # fmt: skip
            program.start(argv, namespaces.named(self._names.dhcp_namespace(network.id)))
            self._remember(network, folder, {})
        elif any(is_fresh):
            program.read_again()

    def _given(self, network: NetworkWiring, folder: Path) -> bool:
        """Whether an address has another owner than this run of dnsmasq remembers: until its lease
        ends, dnsmasq would not give it to the new one."""
        path = folder / "given.json"
        known = msgspec.json.decode(path.read_bytes()) if path.exists() else {}
        owners = _owners(network)
        is_other = any(known.get(address, mac) != mac for address, mac in owners.items())
        if not is_other:
            self._remember(network, folder, known)
        return is_other

    def _remember(self, network: NetworkWiring, folder: Path, known: dict[str, str]) -> None:
        write(folder / "given.json", msgspec.json.encode({**known, **_owners(network)}))


def _owners(network: NetworkWiring) -> dict[str, str]:
    assert network.dhcp is not None
    return {text: lease.mac for lease in network.dhcp.leases for text in lease.addresses}
