"""What an operator chooses of a host's switch."""

import re
from dataclasses import dataclass, field

import msgspec

MARK = re.compile(r"[a-z0-9]{4}")


@dataclass(frozen=True)
class MetadataOptions:
    """Where guests' metadata comes from, and the secret that vouches for who asks."""

    url: str
    secret: str = field(repr=False)


class LinuxOptions(msgspec.Struct, frozen=True):
    """How a switch presents itself, and what of the host it may use."""

    host: str
    # In the name of everything that the switch makes. No two agents of one kernel may have the
    # same one, even in network namespaces of their own: the names of namespaces are the kernel's.
    mark: str
    tunnel_address: str = "127.0.0.1"
    tunnel_port: int = 4789
    # Bridges of the host by the name of the physical network that they lead to; one that does not
    # exist is made, and then leads nowhere but to this host.
    physical_networks: dict[str, str] = {}
    # Physical networks whose gateway this host is: it has the gateway's address on them, so that
    # it reaches floating addresses without a router of the outside world.
    gateway_of: frozenset[str] = frozenset()
    is_masquerading: bool = False  # as that gateway, whether it hides them behind its own address
    metadata: MetadataOptions | None = None

    def __post_init__(self) -> None:
        if not MARK.fullmatch(self.mark):
            raise ValueError("A switch's mark is four lower-case letters or digits.")
