"""Where guests may ask for their metadata, and whose address it is that asks."""

import socket

from onestack.network.drivers.linux import namespaces
from onestack.network.drivers.linux.dhcp import LINK_LOCAL_METADATA
from onestack.network.drivers.linux.dnsmasq import METADATA
from onestack.network.drivers.linux.guard import link_local
from onestack.network.drivers.linux.metadata import MetadataProxy
from onestack.network.drivers.linux.names import Names, inner
from onestack.network.drivers.linux.nat import METADATA_PORT
from onestack.network.drivers.linux.options import MetadataOptions
from onestack.network.switch import Lease, NetworkWiring, RouterWiring

HTTP_PORT = 80


class Questions:
    """The places of the metadata service on this host; without options there are none."""

    def __init__(self, options: MetadataOptions | None, names: Names) -> None:
        self._proxy = MetadataProxy(options) if options is not None else None
        self._names = names
        self._owners: dict[str, dict[str, Lease]] = {}
        self._legs: dict[str, list[str]] = {}

    def open_network(self, network: NetworkWiring) -> None:
        """Answer on a network that has its DHCP server here."""
        if self._proxy is None:
            return
        if network.dhcp is None:
            self.close_network(network.id)
            return
        self._owners[network.id] = _owners(network.dhcp.leases)
        where = namespaces.named(self._names.dhcp_namespace(network.id))
        device, name = inner("ns", network.dhcp.port_id), network.id

        def whose(address: str) -> Lease | None:
            return self._owners.get(name, {}).get(address)

        self._proxy.listen(f"network {name}", where, lambda: _listening(METADATA, HTTP_PORT), whose)
        self._proxy.listen(f"link {name}", where, lambda: _listening_on_link(device), whose)

    def close_network(self, network_id: str) -> None:
        self._owners.pop(network_id, None)
        if self._proxy is not None:
            self._proxy.silence(f"network {network_id}")
            self._proxy.silence(f"link {network_id}")

    def open_router(self, router: RouterWiring) -> None:
        """Answer those who ask by way of their router; it never joins networks that overlap."""
        if self._proxy is None:
            return
        where = namespaces.named(self._names.router_namespace(router.id))
        self._legs[router.id] = [each.network_id for each in router.interfaces]
        name = router.id

        def whose(address: str) -> Lease | None:
            tables = (self._owners.get(each, {}) for each in self._legs.get(name, ()))
            return next((table[address] for table in tables if address in table), None)

        self._proxy.listen(f"router {name}", where, lambda: _listening("", METADATA_PORT),
                           whose)  # fmt: skip

    def close_router(self, router_id: str) -> None:
        self._legs.pop(router_id, None)
        if self._proxy is not None:
            self._proxy.silence(f"router {router_id}")

    def close(self) -> None:
        if self._proxy is not None:
            self._proxy.close()


def _owners(leases: list[Lease]) -> dict[str, Lease]:
    found = {address: lease for lease in leases for address in lease.addresses}
    return found | {link_local(lease.mac): lease for lease in leases}


def _listening(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    return listening


def _listening_on_link(device: str) -> socket.socket:
    listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    where = (LINK_LOCAL_METADATA, HTTP_PORT, 0, socket.if_nametoindex(device))
    listening.bind(where)
    return listening
