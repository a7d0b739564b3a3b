"""The names of what a switch makes: short enough for the kernel, and its own by their mark."""

import hashlib

import msgspec

LENGTH_MAX = 15


class Names(msgspec.Struct, frozen=True):
    """Names with one switch's mark."""

    mark: str

    @property
    def table(self) -> str:
        return f"onestack-{self.mark}"

    @property
    def alias(self) -> str:
        """Written on every device: what carries it may be removed."""
        return f"onestack {self.mark}"

    @property
    def legs(self) -> str:
        """How the names of all our devices begin that are on bridges but are no guest's."""
        return f"o{self.mark}"

    @property
    def bridges(self) -> str:
        """How the names of our bridges begin, and of the host's own ends on them."""
        return f"n{self.mark}"

    def bridge(self, network_id: str) -> str:
        return self._device("b", network_id)

    def physical(self, name: str) -> str:
        return self._device("p", name)

    def tunnel(self, network_id: str) -> str:
        return self._leg("x", network_id)

    def dhcp_leg(self, network_id: str) -> str:
        return self._leg("d", network_id)

    def router_leg(self, port_id: str) -> str:
        return self._leg("r", port_id)

    def host_leg(self, bridge: str) -> str:
        return self._leg("h", bridge)

    def gateway(self, bridge: str) -> str:
        """The end of the host's own leg that has the gateway's address."""
        return self._device("g", bridge)

    def dhcp_namespace(self, network_id: str) -> str:
        return f"{self.namespaces}dhcp-{network_id}"

    def router_namespace(self, router_id: str) -> str:
        return f"{self.namespaces}router-{router_id}"

    @property
    def namespaces(self) -> str:
        return f"onestack-{self.mark}-"

    def _leg(self, kind: str, name: str) -> str:
        return f"{self.legs}{kind}{_digest(name)}"

    def _device(self, kind: str, name: str) -> str:
        return f"{self.bridges}{kind}{_digest(name)}"


def inner(kind: str, port_id: str) -> str:
    """The name of a leg's end within a namespace of ours, as operators know it from upstream."""
    return f"{kind}-{port_id[:11]}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[: LENGTH_MAX - 6]
