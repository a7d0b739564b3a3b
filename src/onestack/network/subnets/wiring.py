"""A subnet as switches are told of it: by networks that serve DHCP there, and by routers."""

from typing import Any, cast

from onestack.network.subnets.record import SubnetRecord
from onestack.network.switch import Route, SubnetWiring


def subnet(record: SubnetRecord) -> SubnetWiring:
    """A subnet as a switch is told of it."""
    return SubnetWiring(
        id=record.id, cidr=record.cidr, version=cast(Any, record.ip_version),
        gateway=record.gateway_ip, is_dhcp=record.enable_dhcp, ra_mode=record.ipv6_ra_mode,
        address_mode=record.ipv6_address_mode, nameservers=list(record.dns_nameservers),
        routes=[Route(each["destination"], each["nexthop"]) for each in record.host_routes],
    )  # fmt: skip
