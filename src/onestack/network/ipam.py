"""Addresses: ranges, choices and derived addresses; knows neither database nor bus."""

import ipaddress
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LISTED_MAX = 1 << 16  # ranges up to this size are searched to their end


class Chance(Protocol):
    """What choices are left to."""

    def randrange(self, stop: int, /) -> int: ...
    def getrandbits(self, bits: int, /) -> int: ...


class Range(NamedTuple):
    """The addresses from one to another, both included, as numbers."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def holds(self, number: int) -> bool:
        return self.first <= number <= self.last


class BadRange(ValueError):
    """A range of addresses that makes no sense; the text says why."""


def text(number: int, version: int) -> str:
    """An address as it is written."""
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return str(kind(number))


def ranges_of(pools: Iterable[dict[str, str]]) -> list[Range]:
    """Allocation pools as ranges."""
    return [
        Range(int(ipaddress.ip_address(each["start"])), int(ipaddress.ip_address(each["end"])))
        for each in pools
    ]


def pools_of(ranges: Iterable[Range], version: int) -> list[dict[str, str]]:
    """Ranges as allocation pools."""
    return [
        {"start": text(each.first, version), "end": text(each.last, version)} for each in ranges
    ]


def usable(network: Network) -> Range:
    """What a host of a subnet may have: not the network's own address, nor the broadcast."""
    first, last = int(network.network_address), int(network.broadcast_address)
    host_bits = network.max_prefixlen - network.prefixlen
    if host_bits <= 1:  # a single address, or a link between two
        return Range(first, last)
    return Range(first + 1, last - 1 if network.version == 4 else last)


def default_gateway(network: Network) -> str | None:
    """The first address of a subnet; one that is a single address has none."""
    host_bits = network.max_prefixlen - network.prefixlen
    if host_bits == 0:
        return str(network.network_address)
    return text(int(network.network_address) + (1 if host_bits > 1 else 0), network.version)


def default_ranges(network: Network, gateway: str | None) -> list[Range]:
    """Everything usable but the gateway."""
    whole = usable(network)
    number = None if gateway is None else int(ipaddress.ip_address(gateway))
    if number is None or not whole.holds(number):
        return [whole]
    parts = (Range(whole.first, number - 1), Range(number + 1, whole.last))
    return [each for each in parts if each.size > 0]


def checked_ranges(pools: Sequence[dict[str, str]], network: Network) -> list[Range]:
    """Ranges that lie within a subnet and do not overlap; or `BadRange`."""
    found = []
    for pool in pools:
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
        span = f"{start}-{end}"
        if start.version != network.version or end.version != network.version:
            raise BadRange(f"The allocation pool {span} is not valid.")
        if int(end) < int(start):
            raise BadRange(f"The allocation pool {span} is not valid.")
        if not (usable(network).holds(int(start)) and usable(network).holds(int(end))):
            raise BadRange(f"The allocation pool {span} spans beyond the subnet cidr {network}.")
        found.append(Range(int(start), int(end)))
    ordered = sorted(found)
    for before, after in pairwise(ordered):
        if after.first <= before.last:
            spans = [f"{text(r.first, network.version)}-{text(r.last, network.version)}"
                     for r in (before, after)]  # fmt: skip
            raise BadRange(
                f"Found overlapping allocation pools: {spans[0]}, {spans[1]} for subnet {network}."
            )
    return found


def size(ranges: Iterable[Range]) -> int:
    """How many addresses there are."""
    return sum(each.size for each in ranges)


def draws(ranges: Sequence[Range], count: int, chance: Chance) -> list[int]:
    """Some addresses by chance, each once."""
    total = size(ranges)
    if total <= count:
        return list(_all(ranges))
    places = {chance.randrange(total): None for _ in range(count)}
    return [_nth(ranges, place) for place in places]


def free(ranges: Sequence[Range], taken: Container[int], count: int, chance: Chance) -> list[int]:
    """So many addresses that are not taken, by chance; fewer when there are no more."""
    if size(ranges) <= LISTED_MAX:
        left = [each for each in _all(ranges) if each not in taken]
        while len(left) > count:
            left.pop(chance.randrange(len(left)))
        return left
    found: list[int] = []
    for number in _all(ranges):  # so large a range is never full: its start will do
        if number not in taken:
            found.append(number)
            if len(found) == count:
                break
    return found


def automatic(cidr: str, mac: str) -> str:
    """The address that a host makes of a prefix and its MAC address (modified EUI-64)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    network = ipaddress.IPv6Network(cidr)
    return str(network.network_address + int.from_bytes(interface))


def new_mac(chance: Chance) -> str:
    """A MAC address as OpenStack's are."""
    tail = chance.getrandbits(24)
    return f"fa:16:3e:{tail >> 16:02x}:{tail >> 8 & 0xFF:02x}:{tail & 0xFF:02x}"


def overlap(left: str, right: str) -> bool:
    """Whether two prefixes share an address."""
    one, other = ipaddress.ip_network(left), ipaddress.ip_network(right)
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


def free_prefix(prefixes: Iterable[str], taken: Iterable[str], length: int) -> str | None:
    """The first prefix of a length within some prefixes that overlaps nothing taken."""
    used = sorted(
        (int(each.network_address), int(each.broadcast_address))
        for each in map(ipaddress.ip_network, taken)
    )
    for prefix in map(ipaddress.ip_network, prefixes):
        if length < prefix.prefixlen:
            continue
        step = 1 << (prefix.max_prefixlen - length)
        number, end = int(prefix.network_address), int(prefix.broadcast_address)
        for first, last in used:
            if last < number or first > end:
                continue
            if first >= number + step:
                break
            number = (last // step + 1) * step
        if number + step - 1 <= end:
            return f"{text(number, prefix.version)}/{length}"
    return None


def _all(ranges: Iterable[Range]) -> Iterator[int]:
    for each in ranges:
        yield from range(each.first, each.last + 1)


def _nth(ranges: Iterable[Range], place: int) -> int:
    for each in ranges:
        if place < each.size:
            return each.first + place
        place -= each.size
    raise IndexError(place)
