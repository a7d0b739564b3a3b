"""OSSA-2021-005, 2014-039, OSSN-0082: what ports say is no configuration of DHCP servers."""

import pytest

from tests.cloud import Local
from tests.network import actors

CONTROL = ("a\nb", "a\r\nb", "a\x1bb", "a\x7fb", "\n", "a\x00b")


@pytest.fixture
def owner(local: Local) -> actors.Actor:
    return actors.Actor(local, local.token("demo"))


@pytest.mark.parametrize("text", CONTROL)
def test_no_control_character_gets_in(owner: actors.Actor, text: str) -> None:
    network = owner.make("network")
    port = owner.make("port", network_id=network["id"])
    for given in (
        {"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": text}]},
        {"extra_dhcp_opts": [{"opt_name": text, "opt_value": "x"}]},
        {"dns_name": text}, {"name": text}, {"description": text}, {"device_id": text},
        {"device_owner": text},
    ):  # fmt: skip
        owner.make("port", 400, network_id=network["id"], **given)
        owner.change("port", port, 400, **given)
    for given in ({"name": text}, {"dns_domain": text}, {"description": text}):
        owner.make("network", 400, **given)
        owner.change("network", network, 400, **given)
    subnet = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
    for given in ({"dns_nameservers": [text]}, {"gateway_ip": text}, {"cidr": f"10.0.0.0/24{text}"},
                  {"host_routes": [{"destination": text, "nexthop": "10.0.0.1"}]}):  # fmt: skip
        owner.make("subnet", 400, **{**subnet, **given})
    owner.drop("network", network, 409)
    owner.drop("port", port)
    owner.drop("network", network)


@pytest.mark.parametrize("name", ["tag:x,3", "option:router,6", "dhcp-script=/bin/sh", "a b", "-x"])
def test_an_option_is_named_and_nothing_else(owner: actors.Actor, name: str) -> None:
    network = owner.make("network")
    options = [{"opt_name": name, "opt_value": "x"}]
    owner.make("port", 400, network_id=network["id"], extra_dhcp_opts=options)
    for label in ("a b", "a,b", "a/b", "x" * 64, "a..b", "-a"):
        owner.make("port", 400, network_id=network["id"], dns_name=label)
        owner.make("network", 400, dns_domain=label)
    owner.drop("network", network)
