"""OSSA-2015-021, OSSA-2013-030: changed rules do not reach connections that are there already.

They go on where they may, and are cut where they may not any more.
"""

import re

import pytest

from onestack.network.switch import Item
from tests.network.linux.conftest import MakeHost
from tests.network.linux.world import OPEN, Guest, Host, changed, group, network, port, rule

EGRESS = rule(direction="egress")
SSH = rule(protocol="tcp", port_min=22, port_max=22)
WEB = rule(protocol="tcp", port_min=80, port_max=80)


class Two:
    """A server whose group lets SSH and web in, and a client."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.network, self.everything = network(), group(*OPEN, members=["10.0.0.5"])
        self.chosen = group(EGRESS, SSH, WEB)
        host.apply(networks=[self.network], groups=[self.everything, self.chosen])
        self.server = self._guest("10.0.0.6", self.chosen.id)
        self.client = self._guest("10.0.0.5", self.everything.id)

    def _guest(self, address: str, group_id: str) -> Guest:
        return self.host.guest(port(self.network, address, groups=[group_id])).addressed(24)

    def rules(self, *rules: object) -> None:
        self.host.apply(groups=[changed(self.chosen, rules=list(rules))])


@pytest.fixture
def two(host: Host) -> Two:
    return Two(host)


def test_a_rule_that_is_gone_takes_its_connections_along(two: Two) -> None:
    """And only its own."""
    with two.server.listening(22), two.server.listening(80):
        ssh, web = two.client.line("10.0.0.6", 22), two.client.line("10.0.0.6", 80)
        assert ssh.is_alive()
        assert web.is_alive()
        two.rules(EGRESS, WEB)
        assert ssh.is_dead()
        assert web.is_alive()
        assert two.client.connects("10.0.0.6", 22, False)
        two.rules(EGRESS, WEB, SSH)
        assert web.is_alive()
        assert two.client.connects("10.0.0.6", 22, True)


def test_no_end_of_a_connection_that_was_cut_brings_it_back(two: Two) -> None:
    """What a server may send begins nothing; with the rule, the old connection is back."""
    with two.server.listening(22) as sshd:
        line = two.client.line("10.0.0.6", 22)
        assert line.is_alive()
        two.rules(EGRESS, WEB)
        sshd.say(b"more")
        assert not line.hears(b"more", 1.0)
        two.rules(EGRESS, WEB, rule(protocol="tcp", port_min=443))
        assert line.is_dead()
        two.rules(EGRESS, WEB, SSH)
        assert line.hears(b"more")
        assert line.hears(b"x")


def test_pings_stop_with_their_rule(two: Two) -> None:
    two.rules(EGRESS, rule(protocol="icmp", port_min=8))
    with two.client.flood("10.0.0.6") as flood:
        assert two.client.reaches("10.0.0.6")
        two.rules(EGRESS)
        assert two.client.misses("10.0.0.6")
    assert flood.sent > flood.lost > 0


def test_a_member_that_left_is_cut_off(two: Two) -> None:
    two.rules(EGRESS, rule(remote_group=two.everything.id))
    with two.server.listening(22):
        line = two.client.line("10.0.0.6", 22)
        assert line.is_alive()
        two.host.apply(groups=[changed(two.everything, members=["10.0.0.9"])])
        assert line.is_dead()


def test_a_port_that_leaves_a_group_is_cut_off(two: Two) -> None:
    with two.server.listening(22):
        line = two.client.line("10.0.0.6", 22)
        assert line.is_alive()
        two.host.apply(ports=[changed(two.server.port, groups=[])])
        assert line.is_dead()


def test_what_is_let_through_by_another_rule_goes_on(two: Two) -> None:
    with two.server.listening(22):
        line = two.client.line("10.0.0.6", 22)
        two.rules(EGRESS, rule(protocol="tcp", port_min=20, port_max=30))
        assert line.is_alive()


def test_answers_go_on_when_the_way_in_is_closed(two: Two) -> None:
    """What the server itself began is judged by the way out."""
    with two.client.listening(9000):
        line = two.server.line("10.0.0.5", 9000)
        two.rules(EGRESS)
        assert line.is_alive()
        two.rules()
        assert line.is_dead()


def test_no_connection_outlives_its_port(two: Two) -> None:
    """The next guest with the address is not taken for the one before."""
    with two.server.listening(22):
        assert two.client.line("10.0.0.6", 22).is_alive()
        assert "dst=10.0.0.6" in two.host.call("conntrack", "-L", "-p", "tcp").stdout
        two.host.apply(gone=[Item("port", two.server.port.id)])
        assert "10.0.0.6" not in two.host.call("conntrack", "-L", "-p", "tcp").stdout


def test_a_guest_that_moves_is_guarded_by_the_same_rules_there(make_host: MakeHost) -> None:
    """OSSN-0095: to the letter, and no packet of before gets by."""
    net, open_, chosen = network(), group(*OPEN, members=["10.0.0.5"]), group(EGRESS, SSH)
    moving = port(net, "10.0.0.6", groups=[chosen.id])
    client = port(net, "10.0.0.5", groups=[open_.id])
    guarded = []
    for host in (make_host(), make_host()):
        host.apply(networks=[net], groups=[open_, chosen])
        other, server = host.guest(client).addressed(24), host.guest(moving).addressed(24)
        with server.listening(22), server.listening(80):
            assert other.connects("10.0.0.6", 22, True)
            assert other.connects("10.0.0.6", 80, False)
        rules = host.call("nft", "list", "ruleset").stdout.replace(host.options.mark, "MARK")
        numbers = r"packets \d+ bytes \d+|0x[0-9a-f]{4,}|(?<=[a-z]-)\d+|(?<=zone set )\d+|\d{4,}"
        guarded.append(re.sub(numbers, "#", rules))
    assert guarded[0] == guarded[1]
