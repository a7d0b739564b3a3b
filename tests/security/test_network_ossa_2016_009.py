"""OSSA-2016-009, 2019-004, 2021-001, 2021-004: a guest speaks in another's name, or as a router."""

from tests.network.linux import probe
from tests.network.linux.world import Guest, Host, changed


def test_a_guest_speaks_in_no_other_name(pair: tuple[Guest, Guest]) -> None:
    liar, victim = pair
    honest, forged = _honest(liar.port.mac), _forged(liar.port.mac, victim.port.mac)
    assert victim.hears(liar, honest) == set(honest)
    assert victim.hears(liar, forged) == set()


def test_who_needs_no_guard_may_say_all_that(pair: tuple[Guest, Guest], host: Host) -> None:
    liar, victim = pair
    host.apply(ports=[changed(each.port, is_secured=False) for each in pair])
    forged = _forged(liar.port.mac, victim.port.mac)
    assert victim.hears(liar, forged) == set(forged)


def _honest(mine: str) -> dict[str, bytes]:
    """What a guest may say that has 10.0.0.5 and fd00::5."""
    local, everyone = probe.local_address(mine), probe.EVERYONE
    udp = probe.udp4(("10.0.0.5", 1), ("10.0.0.6", 9), b"honest")
    advertised = probe.ip6(local, "ff02::1", 58, probe.advertisement("fd00::5"))
    return {
        "ip": probe.frame(mine, everyone, 0x0800, udp),
        "na": probe.frame(mine, everyone, 0x86DD, advertised),
        "arp": probe.frame(mine, everyone, 0x0806, probe.arp((mine, "10.0.0.5"), "10.0.0.6")),
        "moved": probe.frame(mine, everyone, 0x8035, b"it is here now, says QEMU"),
    }


def _forged(mine: str, yours: str) -> dict[str, bytes]:
    """What it must not say, each in one way only."""
    other, local = "fa:16:3e:99:99:99", probe.local_address(mine)
    udp = probe.udp4(("10.0.0.5", 1), ("10.0.0.6", 9))
    stolen = probe.udp4(("10.0.0.99", 1), ("10.0.0.6", 9))
    served = probe.udp4(("10.0.0.5", 67), ("10.0.0.6", 68))
    served6 = probe.ip6(local, "fd00::6", 17, probe.udp_header(547, 546))
    router = probe.ip6(local, "ff02::1", 58, probe.router_advertisement())
    neighbour = probe.ip6(local, "ff02::1", 58, probe.advertisement("fd00::1"))
    stolen6 = probe.ip6("fd00::99", "fd00::6", 17, probe.udp_header(1, 9))
    kinds = {
        "mac": (other, 0x0800, udp),
        "ip": (mine, 0x0800, stolen),
        "arp address": (mine, 0x0806, probe.arp((mine, "10.0.0.1"), "10.0.0.6")),
        "arp mac": (mine, 0x0806, probe.arp((other, "10.0.0.5"), "10.0.0.6")),
        "moved": (other, 0x8035, b"another is here now"),
        "dhcp": (mine, 0x0800, served),
        "dhcpv6": (mine, 0x86DD, served6),
        "ra": (mine, 0x86DD, router),
        "na": (mine, 0x86DD, neighbour),
        "ipv6": (mine, 0x86DD, stolen6),
        "vlan": (mine, 0x8100, b"\0\7\x08\0" + stolen),
        "other protocol": (mine, 0x88CC, b"a neighbour's description of itself"),
    }
    return {name: probe.frame(mac, yours, *rest) for name, (mac, *rest) in kinds.items()}
