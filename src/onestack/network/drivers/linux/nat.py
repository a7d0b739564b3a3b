"""How a router translates addresses: rules of nftables for its namespace."""

from onestack.network.drivers.linux import nft
from onestack.network.drivers.linux.dnsmasq import METADATA
from onestack.network.drivers.linux.names import inner
from onestack.network.drivers.linux.nft import ACCEPT, DROP, assign, header, match, meta
from onestack.network.switch import GatewayWiring, RouterWiring

TABLE = "onestack"
METADATA_PORT = 9697
FROM_OUTSIDE = 2  # the mark of what came in by the gateway
TRANSLATED = {"ct": {"key": "status"}}


def rules(router: RouterWiring) -> list[nft.Command]:
    """Commands that make a router's table anew, at once; connections go on as they were."""
    own = {"table": {"family": "inet", "name": TABLE}}
    commands: list[nft.Command] = [{"add": own}, {"delete": own}, {"add": own}]
    gateway = router.gateway
    outside = inner("qg", gateway.interface.port_id) if gateway else ""
    chains = {
        ("marked", "prerouting", -150): _marked(outside),
        ("nat-in", "prerouting", -100): _into(router, outside),
        ("to-router", "input", 0): _to_router(outside),
        ("through", "forward", 0): [] if router.is_up else [[DROP]],
        ("nat-out", "postrouting", 100): _out(router, gateway, outside) if gateway else [],
    }
    for (name, hook, priority), listed in chains.items():
        commands.append(nft.add_chain("inet", TABLE, name, hook, priority))
        commands += [nft.add_rule("inet", TABLE, name, each) for each in listed]
    return commands


def external_address(gateway: GatewayWiring) -> str | None:
    """The IPv4 address that a router has in the outside world."""
    addresses = (each.partition("/")[0] for each in gateway.interface.addresses)
    return next((each for each in addresses if "." in each), None)


def _marked(outside: str) -> list[nft.Rule]:
    return (
        [[match(meta("iifname"), outside), assign(meta("mark"), FROM_OUTSIDE)]] if outside else []
    )


def _into(router: RouterWiring, outside: str) -> list[nft.Rule]:
    metadata = [
        *([match(meta("iifname"), outside, "!=")] if outside else []),
        match(header("ip", "daddr"), METADATA), match(header("tcp", "dport"), 80),
        {"redirect": {"port": METADATA_PORT}},
    ]  # fmt: skip
    found: list[nft.Rule] = [metadata]
    for each in router.forwarding:
        found.append([
            match(header("ip", "daddr"), each.address),
            match(header(each.protocol, "dport"), each.port),
            {"dnat": {"family": "ip", "addr": each.fixed, "port": each.fixed_port}},
        ])  # fmt: skip
    for floating in router.floating:
        found.append([match(header("ip", "daddr"), floating.address),
                      {"dnat": {"family": "ip", "addr": floating.fixed}}])  # fmt: skip
    return found


def _to_router(outside: str) -> list[nft.Rule]:
    """The metadata service answers guests only; requests for addresses are the DHCP server's."""
    port = match(header("tcp", "dport"), METADATA_PORT)
    redirected = match(TRANSLATED, "dnat", "in")
    found: list[nft.Rule] = [[match(header("udp", "dport"), nft.one_of([67, 547])), DROP]]
    if outside:
        found.append([match(meta("iifname"), outside), port, DROP])
    return [*found, [port, redirected, ACCEPT], [port, DROP]]


def _out(router: RouterWiring, gateway: GatewayWiring, outside: str) -> list[nft.Rule]:
    leaves = match(meta("oifname"), outside)
    stays = match(meta("oifname"), outside, "!=")
    v4 = match(meta("nfproto"), "ipv4")
    translated = match(TRANSLATED, "dnat", "in")
    address = external_address(gateway)
    found: list[nft.Rule] = [[stays, match(TRANSLATED, "dnat", "!"), ACCEPT]]
    for each in router.floating:
        hidden = {"snat": {"family": "ip", "addr": each.address}}
        found.append([match(header("ip", "saddr"), each.fixed), hidden])
    if address is None:
        return found
    own = {"snat": {"family": "ip", "addr": address}}
    if gateway.is_snat:
        found.append([v4, leaves, own])
    # One guest asks for another by its floating address: the answer must come back this way.
    found.append([v4, stays, match(meta("mark"), FROM_OUTSIDE, "!="), translated, own])
    return found
