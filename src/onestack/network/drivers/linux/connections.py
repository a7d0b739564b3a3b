"""Connections that the kernel tracks: those that would not be let through today are forgotten, so
that what still belongs to them is judged like anything new.

Those of TCP would come back: what the end that may speak sends again looks like a connection that
it begins. They stay known, with a mark by which the firewall lets nothing of them through.
"""

from collections.abc import Callable, Iterable
from errno import ENOENT
from socket import AF_INET, AF_INET6
from typing import Literal

import msgspec
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from onestack.core import log, shell
from onestack.network.drivers.linux import protocols
from onestack.network.drivers.linux.groups import Connection

TIMEOUT_S = 30.0
NOTHING_FOUND = 1
FAMILIES = {"ipv4": AF_INET, "ipv6": AF_INET6}
Fate = Literal["open", "refused", "over"]
STOPPED = 1  # the mark
STOPPED_S = 300  # then both ends have given up, or the kernel counts anew
OPTIONS = {"sport": "--sport", "dport": "--dport"}
ICMP = {"type": "--icmp-type", "code": "--icmp-code", "id": "--icmp-id"}
ICMPV6 = {"type": "--icmpv6-type", "code": "--icmpv6-code", "id": "--icmpv6-id"}


class Tracked(msgspec.Struct, frozen=True):
    """A connection that is there, and the words by which it is found again."""

    connection: Connection
    words: tuple[str, ...]
    is_stopped: bool
    family: int


def judge(zone: int, fate: Callable[[Connection], Fate]) -> bool:
    """Stop the connections of a zone that are refused now, and let go of those that no longer are;
    whether any bears the mark now."""
    count = marked = 0
    for each in _listed(zone):
        found = fate(each.connection)
        count += found != "open" and not each.is_stopped
        if found == "refused" and each.connection.protocol == protocols.TCP:
            marked += 1
            if not each.is_stopped:
                _mark(zone, each)
        elif found != "open" or each.is_stopped:
            _delete([*each.words, "--zone", str(zone)])
    if count:
        log.info("connections are no longer let through", zone=zone, count=count)
    return marked > 0


def forget_translations(addresses: Iterable[str]) -> None:
    """Forget, in this namespace, whatever was translated from or to these addresses."""
    for address in addresses:
        _delete(["--orig-dst", address])
        _delete(["--reply-dst", address])


def forget_zone(zone: int) -> None:
    """Forget every connection of a zone."""
    for family in FAMILIES:
        _delete(["--family", family, "--zone", str(zone)])


def _mark(zone: int, tracked: Tracked) -> None:
    """By netlink: the command marks such a connection in every zone."""
    one = tracked.connection
    with NFCTSocket(nfgen_family=tracked.family) as conntrack:
        way = NFCTAttrTuple(
            family=tracked.family, saddr=one.source, daddr=one.target, proto=one.protocol,
            sport=one.source_port, dport=one.target_port,
        )  # fmt: skip
        try:
            conntrack.entry("set", zone=zone, mark=STOPPED, timeout=STOPPED_S, tuple_orig=way)
        except NetlinkError as error:
            if error.code != ENOENT:  # it may have ended meanwhile
                raise


def _delete(words: list[str]) -> None:
    argv = ["conntrack", "--delete", *words]
    shell.run(argv, timeout_s=TIMEOUT_S, ok_codes=(0, NOTHING_FOUND))


def _listed(zone: int) -> list[Tracked]:
    found = []
    for family in FAMILIES:
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
    is_stopped = first.get("mark") == str(STOPPED)
    return Tracked(
        connection, ("--family", family, *_named(number, first)), is_stopped, FAMILIES[family]
    )


def _named(number: int, said: dict[str, str]) -> list[str]:
    """The words by which conntrack finds a connection again."""
    found = ["--proto", protocols.TRACKED.get(number, str(number)),
             "--orig-src", said["src"], "--orig-dst", said["dst"]]  # fmt: skip
    if number in protocols.TRACKED:
        options = {protocols.ICMP: ICMP, protocols.ICMPV6: ICMPV6}.get(number, OPTIONS)
        for key in options.keys() & said.keys():
            found += [options[key], said[key]]
    return found
