"""Connections that the kernel tracks: those that would not be let through today are forgotten, so
that what still belongs to them is judged like anything new."""

from collections.abc import Callable, Iterable

import msgspec

from onestack.core import log, shell
from onestack.network.drivers.linux import protocols
from onestack.network.drivers.linux.groups import Connection

TIMEOUT_S = 30.0
NOTHING_FOUND = 1
OPTIONS = {"sport": "--sport", "dport": "--dport"}
ICMP = {"type": "--icmp-type", "code": "--icmp-code", "id": "--icmp-id"}
ICMPV6 = {"type": "--icmpv6-type", "code": "--icmpv6-code", "id": "--icmpv6-id"}


class Tracked(msgspec.Struct, frozen=True):
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
    return Tracked(connection, ("--family", family, *_named(number, first)))


def _named(number: int, said: dict[str, str]) -> list[str]:
    """The words by which conntrack finds a connection again."""
    found = ["--proto", protocols.TRACKED.get(number, str(number)),
             "--orig-src", said["src"], "--orig-dst", said["dst"]]  # fmt: skip
    if number in protocols.TRACKED:
        options = {protocols.ICMP: ICMP, protocols.ICMPV6: ICMPV6}.get(number, OPTIONS)
        for key in options.keys() & said.keys():
            found += [options[key], said[key]]
    return found
