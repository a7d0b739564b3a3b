"""OSSA-2019-001, 2019-002, 2014-014: a rule that is accepted, and keeps others from being applied.

Whatever the API accepts, however it was written, the real switch compiles; that what it compiles
loads into the kernel is tested beside the switch.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onestack.core.errors import BadRequest
from onestack.network.drivers.linux import groups
from onestack.network.security_groups.attributes import PROTOCOLS, Traffic, normalized, traffic
from onestack.network.switch import GroupWiring, RuleWiring

PROTOCOL = st.one_of(
    st.none(), st.sampled_from(sorted(PROTOCOLS)), st.integers(0, 255),
    st.integers(0, 260).map(str), st.sampled_from(["any", "TCP", "IcmpV6", "006", " tcp", "²"]),
)  # fmt: skip
PORT = st.one_of(
    st.none(), st.integers(-2, 300), st.integers(0, 65540), st.sampled_from(["22", " 7 ", "x", ""])
)
PREFIX = st.one_of(
    st.none(), st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(v=4), st.integers(0, 33)).map(lambda e: f"{e[0]}/{e[1]}"),
    st.tuples(st.ip_addresses(v=6), st.integers(0, 129)).map(lambda e: f"{e[0]}/{e[1]}"),
    st.sampled_from(["", "10/8", "10.0.0.0/255.0.0.0", "fe80::1%eth0/64", "::/0; accept", "0"]),
)  # fmt: skip


def test_what_is_accepted_compiles() -> None:
    accepted: list[Traffic] = []

    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(
        ethertype=st.sampled_from(["IPv4", "IPv6", "ipv6", "IPX"]), protocol=PROTOCOL,
        low=PORT, high=PORT, prefix=PREFIX,
    )  # fmt: skip
    def check(
        ethertype: str, protocol: str | int | None, low: Any, high: Any, prefix: str | None
    ) -> None:
        try:
            found = traffic(ethertype, protocol, (low, high), prefix)
        except BadRequest:
            return
        accepted.append(found)
        normalized(found.prefix)
        _compile(found)

    check()
    assert len(accepted) > 40
    assert {each.ethertype for each in accepted} == {"IPv4", "IPv6"}
    assert any(each.port_min and each.port_max for each in accepted)
    assert any(each.prefix for each in accepted)


def _compile(found: Traffic) -> None:
    rule = RuleWiring(
        direction="ingress", ethertype=found.ethertype, protocol=found.protocol,  # type: ignore[arg-type]
        port_min=found.port_min, port_max=found.port_max, remote_prefix=found.prefix,
    )  # fmt: skip
    piece, troubles = groups.compiled(GroupWiring(id="g", revision=1, rules=[rule]))
    assert troubles == []
    assert any(piece.chains.values())
