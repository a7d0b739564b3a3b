"""Giving addresses to ports, so that within a subnet nobody else has them."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec
from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.db import bump
from onestack.core.errors import BadRequest, Conflict
from onestack.core.listed import among
from onestack.network import ipam
from onestack.network.ports.record import ROUTER_INTERFACE, AddressRecord
from onestack.network.standard import TOPIC
from onestack.network.subnets.record import SubnetRecord

FIXED_IPS_MAX = 5
DRAWS = 8  # at first; nearly always one of them is free

_ADDRESSES = cast(Table, AddressRecord.__table__)
_ADD = insert(_ADDRESSES)
_TAKEN = select(_ADDRESSES.c.ip_address).where(_ADDRESSES.c.subnet_id == bindparam("subnet_id"))
_TAKEN_OF = _TAKEN.where(among(_ADDRESSES.c.ip_address, "addresses"))


class InvalidIpForNetwork(BadRequest):
    message = (
        "IP address {address} is not a valid IP for any of the subnets on the specified network."
    )


class InvalidIpForSubnet(BadRequest):
    message = "IP address {address} is not a valid IP for the specified subnet."


class InvalidSubnetForNetwork(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: Failed to create port on network {network_id}, because "
        "fixed_ips included invalid subnet {subnet_id}."
    )


class AutomaticSubnet(BadRequest):
    type = "AllocationOnAutoAddressSubnet"
    message = (
        "IPv6 address {address} can not be directly assigned to a port on subnet {subnet_id} "
        "since the subnet is configured for automatic addresses"
    )


class IpAddressInUse(Conflict):
    type = "IpAddressInUse"
    message = (
        "Unable to complete operation for network {network_id}. The IP address {address} is in use."
    )


class NoMoreAddresses(Conflict):
    type = "IpAddressGenerationFailure"
    message = "No more IP addresses available on network {network_id}."


class TooManyAddresses(BadRequest):
    type = "InvalidInput"
    message = "Invalid input for operation: Exceeded maximum amount of fixed ips per port."


class Wish(msgspec.Struct):
    """A port that is to have addresses, and what was said of them."""

    port_id: str
    mac: str
    owner: str = ""
    fixed: Sequence[tuple[str | None, str | None]] | None = None  # (subnet, address)
    given: list[tuple[str, str]] = []  # what it keeps, and then all that it gets: (subnet, address)


class Allocator:
    """Gives addresses on one network; what it gave, and what others have, it gives no more."""

    def __init__(self, session: Session, network_id: str, subnets: Sequence[SubnetRecord]) -> None:
        self._session, self._network_id = session, network_id
        self._subnets = {each.id: each for each in subnets}
        self._given: set[tuple[str, str]] = set()

    def give(self, wishes: Sequence[Wish]) -> None:
        """Fill in, for each port, the addresses that it gets."""
        for wish in wishes:
            self._given.update(wish.given)
            self._take_named(wish)
        drawn: dict[str, list[Wish]] = {}
        for wish in wishes:
            for subnet_id in self._open(wish):
                drawn.setdefault(subnet_id, []).append(wish)
            self._add_automatic(wish)
        for subnet_id, waiting in drawn.items():
            self._draw(self._subnets[subnet_id], waiting)

    def keep(self, wishes: Iterable[Wish]) -> None:
        """Write down who has which addresses."""
        rows = [
            {"subnet_id": subnet_id, "ip_address": address, "port_id": wish.port_id,
             "network_id": self._network_id, "position": position}
            for wish in wishes
            for position, (subnet_id, address) in enumerate(wish.given)
        ]  # fmt: skip
        if rows:
            self._session.flush()
            self._session.connection().execute(_ADD, rows)
            bump(self._session, TOPIC)

    def _take_named(self, wish: Wish) -> None:
        if wish.fixed is None:
            return
        if len(wish.fixed) > FIXED_IPS_MAX:
            raise TooManyAddresses
        for subnet_id, address in wish.fixed:
            if subnet_id is not None and subnet_id not in self._subnets:
                raise InvalidSubnetForNetwork(network_id=self._network_id, subnet_id=subnet_id[:64])
            if address is not None:
                self._take(wish, subnet_id, address)

    def _take(self, wish: Wish, subnet_id: str | None, address: str) -> None:
        parsed = ipaddress.ip_address(address)
        subnet = self._holding(parsed, subnet_id)
        is_derived = subnet.is_automatic and wish.owner != ROUTER_INTERFACE
        if is_derived and str(parsed) != ipam.automatic(subnet.cidr, wish.mac):
            raise AutomaticSubnet(address=address, subnet_id=subnet.id)
        if self._is_taken(subnet.id, str(parsed)):
            raise IpAddressInUse(network_id=self._network_id, address=address)
        self._note(wish, subnet.id, str(parsed))

    def _holding(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, subnet_id: str | None
    ) -> SubnetRecord:
        if subnet_id is None:
            for subnet in self._subnets.values():
                if address in ipaddress.ip_network(subnet.cidr):
                    return subnet
            raise InvalidIpForNetwork(address=address)
        subnet = self._subnets[subnet_id]
        network = ipaddress.ip_network(subnet.cidr)
        if address not in network or not ipam.usable(network).holds(int(address)):
            raise InvalidIpForSubnet(address=address)
        return subnet

    def _is_taken(self, subnet_id: str, address: str) -> bool:
        if (subnet_id, address) in self._given:
            return True
        return bool(self._taken_of(subnet_id, [address]))

    def _open(self, wish: Wish) -> list[str]:
        """The subnets that a port still gets an address of by chance."""
        if wish.fixed is not None:
            return [
                subnet_id
                for subnet_id, address in wish.fixed
                if subnet_id is not None and address is None and not self._derives(wish, subnet_id)
            ]
        chosen = []
        for version in (4, 6):
            fitting = [each for each in self._subnets.values()
                       if each.ip_version == version and not each.is_automatic
                       and _serves(each, wish.owner)]  # fmt: skip
            if fitting:
                chosen.append(self._roomiest(fitting))
        return chosen

    def _derives(self, wish: Wish, subnet_id: str) -> bool:
        return self._subnets[subnet_id].is_automatic and wish.owner != ROUTER_INTERFACE

    def _roomiest(self, subnets: Sequence[SubnetRecord]) -> str:
        """The first of these subnets that has a free address; or `NoMoreAddresses`."""
        if len(subnets) == 1:
            return subnets[0].id
        for subnet in subnets:
            taken = self._taken(subnet)
            if ipam.free(ipam.ranges_of(subnet.allocation_pools), taken, 1, clock.randomness()):
                return subnet.id
        raise NoMoreAddresses(network_id=self._network_id)

    def _add_automatic(self, wish: Wish) -> None:
        """Addresses that hosts make themselves, on every subnet where they do."""
        if wish.owner == ROUTER_INTERFACE:
            return
        for subnet in self._subnets.values():
            if subnet.is_automatic and subnet.id not in {each for each, _ in wish.given}:
                address = ipam.automatic(subnet.cidr, wish.mac)
                if self._is_taken(subnet.id, address):
                    raise IpAddressInUse(network_id=self._network_id, address=address)
                self._note(wish, subnet.id, address)

    def _draw(self, subnet: SubnetRecord, waiting: Sequence[Wish]) -> None:
        """An address for each, with one look at what is taken, or two in a full subnet."""
        ranges = ipam.ranges_of(subnet.allocation_pools)
        chance = clock.randomness()
        numbers = ipam.draws(ranges, len(waiting) + DRAWS, chance)
        texts = [ipam.text(each, subnet.ip_version) for each in numbers]
        taken = self._taken_of(subnet.id, texts)
        left = [e for e in texts if e not in taken and (subnet.id, e) not in self._given]
        if len(left) < len(waiting):
            found = ipam.free(ranges, self._taken(subnet), len(waiting), chance)
            left = [ipam.text(each, subnet.ip_version) for each in found]
        if len(left) < len(waiting):
            raise NoMoreAddresses(network_id=self._network_id)
        for wish, address in zip(waiting, left, strict=False):
            self._note(wish, subnet.id, address)

    def _taken(self, subnet: SubnetRecord) -> set[int]:
        """Every address of a subnet that somebody has."""
        rows = self._session.execute(_TAKEN, {"subnet_id": subnet.id})
        found = {int(ipaddress.ip_address(each)) for each in rows.scalars()}
        own = {address for subnet_id, address in self._given if subnet_id == subnet.id}
        return found | {int(ipaddress.ip_address(each)) for each in own}

    def _taken_of(self, subnet_id: str, addresses: Sequence[str]) -> set[str]:
        """Which of these addresses somebody has."""
        values = {"subnet_id": subnet_id, "addresses": addresses}
        return set(self._session.connection().execute(_TAKEN_OF, values).scalars())

    def _note(self, wish: Wish, subnet_id: str, address: str) -> None:
        wish.given.append((subnet_id, address))
        self._given.add((subnet_id, address))


def _serves(subnet: SubnetRecord, owner: str) -> bool:
    """Whether a subnet gives addresses to such ports, when none is asked for by name."""
    return not subnet.service_types or any(owner.startswith(e) for e in subnet.service_types if e)
