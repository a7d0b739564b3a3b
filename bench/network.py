"""Networks and ports under load: made one by one and in bulk, listed, shown and deleted."""

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

import cloud
import services
from identity import Length
from services import Api, Line, again_and_again, each_once

NETWORKS = 20
PORTS = 200
BULK, BULKS = 50, 20


def figures(api: Api, length: Length, roots: Sequence[int]) -> Iterator[Line]:
    """All figures; what is made for them is removed."""
    services.unlimited(api, "/quotas/{}", "quota", ("network", "subnet", "port"))
    try:
        for _ in range(length.runs):
            wanted = [_network(api, number) for number in range(NETWORKS)]
            yield each_once("neutron_network_create_c8", wanted, roots)
        nets = _ids(api, "networks")
        subnet = {"network_id": nets[0], "ip_version": 4, "cidr": "10.64.0.0/16"}
        api.ask("POST", "/subnets", {"subnet": subnet})
        yield from _ports(api, nets[0], roots)
        path = f"/ports?network_id={nets[0]}"
        one = api.ask("GET", f"{path}&limit=1&fields=id")["ports"][0]["id"]
        plan = (
            ("neutron_ports_list_1000", path, (1, 8)),
            ("neutron_port_show", f"/ports/{one}", (1, 16)),
            (f"neutron_networks_list_{len(nets)}", "/networks", (1, 16)),
        )
        for name, asked, concurrencies in plan:
            for concurrency in concurrencies:
                request = api.request("GET", asked)
                yield again_and_again(name, request, concurrency, length, roots)
    finally:
        _clean(api)


def _ports(api: Api, network_id: str, roots: Sequence[int]) -> Iterator[Line]:
    """Ports, until there are a thousand."""
    for name, count, clients in (("c1", PORTS // 2, 1), ("200_c8", PORTS, 8)):
        wanted = [
            api.request("POST", "/ports", {"port": _port(network_id, number)})
            for number in range(count)
        ]
        yield each_once(f"neutron_port_create_{name}", wanted, roots, clients)
        made = [api.request("DELETE", f"/ports/{each}") for each in _ids(api, "ports")]
        yield each_once(f"neutron_port_delete_{name}", made, roots, clients)
    ports = [_port(network_id, number) for number in range(BULK)]
    bulk = [api.request("POST", "/ports", {"ports": ports})] * BULKS
    yield each_once("neutron_port_create_bulk50_c1", bulk, roots, 1)


def _network(api: Api, number: int) -> "services.load.Request":
    return api.request("POST", "/networks", {"network": {"name": f"bench-{number}"}})


def _port(network_id: str, number: int) -> dict[str, str]:
    return {"network_id": network_id, "name": f"bench-{number}"}


def _ids(api: Api, kind: str) -> list[str]:
    found = api.ask("GET", f"/{kind}?fields=id&fields=name")[kind]
    return [each["id"] for each in found if each["name"].startswith("bench-")]


def _clean(api: Api) -> None:
    for kind in ("ports", "networks"):
        gone = [api.request("DELETE", f"/{kind}/{each}") for each in _ids(api, kind)]
        if gone:
            each_once(f"{kind}_delete", gone, [])


def _figures(
    signed_in: cloud.Cloud, length: Length, roots: Sequence[int], _arguments: Namespace
) -> Iterator[Line]:
    return figures(services.api_of(signed_in, ("network",), "", "/v2.0"), length, roots)


if __name__ == "__main__":
    sys.exit(services.measured(__doc__, _figures))
