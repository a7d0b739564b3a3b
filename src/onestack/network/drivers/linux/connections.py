"""Connections that the kernel tracks: those that would not be let through today are forgotten, so
that what still belongs to them is judged like anything new."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onestack.core import log, shell
from onestack.network.drivers.linux.groups import Connection

TIMEOUT_S = 30.0
NOTHING_FOUND = 1
NAMES = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "icmpv6": 58, "sctp": 132,
         "udplite": 136}  # fmt: skip


@dataclass(frozen=True)
class Tracked:
    """A connection that is there, and the words by which it is found again."""

    connection: Connection
    words: tuple[str, ...]


def forget(zone: int, is_stale: Callable[[Connection], bool]) -> int:
    """Forget the connections of a zone that are stale; how many there were."""
    stale = [each for each in _listed(zone) if is_stale(each.connection)]
    for each in stale:
        _delete([*each.words, "--zone", str(zone)])
    if stale:
        log.info("connections are no longer let through", zone=zone, count=len(stale))
    return len(stale)


def forget_translations(addresses: Iterable[str]) -> None:
    """Forget, in this namespace, whatever was translated from or to these addresses."""
    for address in addresses:
        _delete(["--orig-dst", address])
        _delete(["--reply-dst", address])


def forget_zone(zone: int) -> None:
    """Forget every connection of a zone."""
    for family in ("ipv4", "ipv6"):
        _delete(["--family", family, "--zone", str(zone)])


def _delete(words: list[str]) -> None:
    argv = ["conntrack", "--delete", *words]
    shell.run(argv, timeout_s=TIMEOUT_S, ok_codes=(0, NOTHING_FOUND))


def _listed(zone: int) -> list[Tracked]:
    found = []
    for family in ("ipv4", "ipv6"):
        argv = ["conntrack", "--dump", "--family", family, "--zone", str(zone)]
        lines = shell.run(argv, timeout_s=TIMEOUT_S).text.splitlines()
        found += [each for line in lines if (each := _parsed(line, family)) is not None]
    return found


def _parsed(line: str, family: str) -> Tracked | None:
    """A line such as `tcp 6 431999 ESTABLISHED src=10.0.0.2 dst=10.0.0.3 sport=1 dport=2 src=...`;
    what comes first is the direction in which it began."""
    words = line.split()
    if len(words) < 3 or not words[1].isdecimal():
        return None
    first: dict[str, str] = {}
    for word in words:
        key, is_pair, text = word.partition("=")
        if is_pair:
            first.setdefault(key, text)
    if "src" not in first or "dst" not in first:
        return None
    number = int(words[1])
    connection = Connection(
        first["src"],
        first["dst"],
        number,
        int(first.get("sport", 0)),
        int(first.get("dport", first.get("type", 0))),
        int(first.get("code", 0)),
    )
    names = {"sport": "--sport", "dport": "--dport", "type": "--icmp-type", "code": "--icmp-code",
             "id": "--icmp-id"}  # fmt: skip
    if number == NAMES["icmpv6"]:
        names = {key: option.replace("icmp", "icmpv6") for key, option in names.items()}
    details = [part for key, option in names.items() if key in first
               for part in (option, first[key])]  # fmt: skip
    if number not in NAMES.values():
        details = []
    name = next((name for name, each in NAMES.items() if each == number), str(number))
    where = ("--family", family, "--proto", name, "--orig-src", first["src"], "--orig-dst",
             first["dst"])  # fmt: skip
    return Tracked(connection, (*where, *details))
