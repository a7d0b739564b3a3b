"""What makes a port good: address pairs, DHCP options, names, and what security needs."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from onestack.core.errors import BadRequest, Conflict
from onestack.network.attributes import InvalidInput, mac, prefix

PAIRS_MAX = 10
OPTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# No control character, and nothing but what is printed, reaches a configuration file.
OPTION_VALUE = re.compile(r"[\x20-\x7e]{0,255}")


class TooManyPairs(BadRequest):
    type = "AllowedAddressPairExhausted"
    message = "The number of allowed address pair exceeds the maximum {most}."


class DuplicatePair(BadRequest):
    type = "DuplicateAddressPairInRequest"
    message = (
        "Request contains duplicate address pair: mac_address {mac_address} ip_address "
        "{ip_address}."
    )


class PairsNeedSecurity(Conflict):
    type = "AddressPairAndPortSecurityRequired"
    message = "Port Security must be enabled in order to have allowed address pairs on a port."


class GroupsNeedSecurity(BadRequest):
    type = "PortSecurityAndIPRequiredForSecurityGroups"
    message = (
        "Port security must be enabled and port must have an IP address in order to use security "
        "groups."
    )


class HasGroups(Conflict):
    type = "PortSecurityPortHasSecurityGroup"
    message = (
        "Port has security group associated. Cannot disable port security or IP address until "
        "security group is removed."
    )


def pairs_of(given: Sequence[Any] | None, own_mac: str) -> list[dict[str, str]]:
    """Address pairs, each once; a port's own MAC address is meant where none is said."""
    if len(given or ()) > PAIRS_MAX:
        raise TooManyPairs(most=PAIRS_MAX)
    found: list[dict[str, str]] = []
    for each in given or ():
        text = prefix(each.ip_address)
        # A single address is shown as it was given, without a length.
        shown = text if "/" in each.ip_address else text.partition("/")[0]
        pair = {
            "mac_address": mac(each.mac_address) if each.mac_address else own_mac,
            "ip_address": shown,
        }
        if pair in found:
            raise DuplicatePair(**pair)
        found.append(pair)
    return found


def options_of(
    given: Sequence[Any] | None, known: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """DHCP options: those that were known, changed as it was said."""
    found = {(each["opt_name"], each["ip_version"]): dict(each) for each in known}
    for each in given or ():
        name, version = each.opt_name, int(each.ip_version)
        if OPTION_NAME.fullmatch(name.removeprefix("option:").removeprefix("option6:")) is None:
            raise InvalidInput(reason=f"'{name[:64]!a}' is not a valid DHCP option")
        if each.opt_value is None:
            found.pop((name, version), None)
            continue
        if OPTION_VALUE.fullmatch(each.opt_value) is None:
            raise InvalidInput(reason=f"the value of the DHCP option {name} is not printable")
        found[name, version] = {
            "opt_name": name, "opt_value": each.opt_value, "ip_version": version,
        }  # fmt: skip
    return list(found.values())


def check_security(
    is_secured: bool, groups: Sequence[str], pairs: Sequence[Any], *, are_new: bool
) -> None:
    """Groups and address pairs only mean something where packets are looked at."""
    if is_secured:
        return
    if groups:
        raise GroupsNeedSecurity if are_new else HasGroups
    if pairs:
        raise PairsNeedSecurity
