"""The host as the router between its own external networks and the outside world."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from onestack.network.drivers.linux import nft
from onestack.network.drivers.linux.links import read_sysctl, set_sysctl
from onestack.network.drivers.linux.store import write

FORWARDING = "ipv4/ip_forward"


def ensure(folder: Path, table: str, bridges: Mapping[str, list[str]], inner: str) -> None:
    """Let pass what comes from the host's own gateways, behind the host's own address. What stays
    on a bridge goes by the same rules, and is left as it is; so is what goes to our own devices,
    whose names begin with `inner`."""
    own = {"table": {"family": "ip", "name": table}}
    commands: list[nft.Command] = [*gone(table), {"add": own}]
    commands.append(nft.add_chain("ip", table, "nat-out", "postrouting", 100))
    for bridge, cidrs in sorted(bridges.items()):
        prefixes = [nft.prefix(ipaddress.ip_network(each)) for each in cidrs]
        if not prefixes:
            continue
        rule = [
            nft.match(nft.header("ip", "saddr"), nft.one_of(prefixes)),
            nft.match(nft.meta("oifname"), bridge, "!="),
            nft.match(nft.meta("oifname"), f"{inner}*", "!="),
            {"masquerade": None},
        ]
        commands.append(nft.add_rule("ip", table, "nat-out", rule))
    nft.load(commands)
    before = folder / "ip_forward"
    if not before.exists():
        write(before, read_sysctl(FORWARDING).encode())
    set_sysctl(FORWARDING, "1")


def gone(table: str) -> list[nft.Command]:
    """Commands that remove the table, whether or not it is there."""
    own = {"table": {"family": "ip", "name": table}}
    return [{"add": own}, {"delete": own}]


def restore(folder: Path) -> None:
    """Have the host forward no more than before."""
    before = folder / "ip_forward"
    if before.exists():
        set_sysctl(FORWARDING, before.read_text())
        before.unlink()
